import type { ComponentChildren } from "preact";
import { formatElapsed, heartbeat } from "../shared/clock";
import { BoltIcon, ChevronIcon, KeyboardIcon, UserIcon } from "../shared/icons";
import { formatCount, formatMoney } from "../shared/money";
import { language, localised, shared } from "../shared/words";
import { useConsole, useDesk, useTicking } from "./context";
import { HoldButton } from "./hold-button";
import { Menu } from "./menu";
import type { Health } from "./numbers";
import { FailureLine } from "./parts";
import type { RoomDesk } from "./room-desk";
import { LanguageButton } from "./sign-in";
import { Schedule } from "./schedule";
import { w } from "./words";

export function TopBar() {
  const desk = useDesk();
  const room = desk.store.room.value;
  return (
    <header class="top">
      <h1 class="visually-hidden">
        {localised(room?.title)} · {w("console")}
      </h1>
      <span class="mark" aria-hidden="true">
        <BoltIcon size={18} />
      </span>
      <RoomMenu />
      <LiveClock />
      {room?.status === "ended" && (
        <button type="button" class="chip-button" onClick={() => (desk.isSummaryOpen.value = true)}>
          {w("summary")}
        </button>
      )}
      {room?.rehearsal && (
        <span class="rehearsal-mark" title={w("rehearsal_means")} data-testid="rehearsal">
          {shared.t("rehearsal")}
        </span>
      )}
      {room && room.status !== "live" && room.status !== "away" && <BeforeShow class="chip-button" />}
      <Figures />
      <div class="top-end">
        <Lamps />
        <LanguageButton />
        <button type="button" class="icon-button" aria-label={w("keys")} title={`${w("keys")} (?)`} onClick={() => (desk.isKeysOpen.value = true)}>
          <KeyboardIcon size={19} />
        </button>
        <AccountMenu />
      </div>
    </header>
  );
}

/** Opens what should be right before going on air, and the rehearsal. */
function BeforeShow({ class: look, onOpen }: { class: string; onOpen?: () => void }) {
  const desk = useDesk();
  return (
    <button
      type="button"
      class={look}
      data-testid="open-preflight"
      onClick={() => {
        onOpen?.();
        desk.isPreflightOpen.value = true;
      }}
    >
      {w("before_show")}
    </button>
  );
}

function RoomMenu() {
  const session = useConsole();
  const desk = useDesk();
  const room = desk.store.room.value;
  const title = localised(room?.title) || desk.roomId;
  const status = room?.status;
  const waiting = desk.runner.waiting("room");
  return (
    <Menu
      name={title}
      testid="room-menu"
      class="room-menu"
      label={
        <>
          <b>{title}</b>
          <ChevronIcon size={14} class="turn-down" />
        </>
      }
    >
      {(close) => (
        <>
          {desk.may("produce") && (
            <div class="menu-group">
              {status !== "live" && (
                <button type="button" class="menu-item" disabled={waiting !== null} onClick={() => void desk.setStatus("live").then(close)}>
                  {w("go_live")}
                </button>
              )}
              {status === "live" && (
                <button type="button" class="menu-item" disabled={waiting !== null} onClick={() => void desk.setStatus("away").then(close)}>
                  {w("go_away")}
                </button>
              )}
              {status !== "ended" && (
                <HoldButton tone="danger" class="hold-small" hint={w("hold_hint")} disabled={waiting !== null} onFire={() => void desk.setStatus("ended").then(close)}>
                  {w("end_show")}
                </HoldButton>
              )}
              <FailureLine runner={desk.runner} place="room" />
              {status !== "live" && <Schedule />}
            </div>
          )}
          <div class="menu-group">
            <button
              type="button"
              class="menu-item"
              data-testid="open-summary"
              onClick={() => {
                close();
                desk.isSummaryOpen.value = true;
              }}
            >
              {w("summary")}
            </button>
            <BeforeShow class="menu-item" onOpen={close} />
            <a class="menu-item" href={`/r/${encodeURIComponent(desk.roomId)}`} target="_blank" rel="noopener">
              {w("open_viewer")}
            </a>
            <button type="button" class="menu-item" onClick={() => void session.showRooms()}>
              {w("room_other")}
            </button>
          </div>
        </>
      )}
    </Menu>
  );
}

function AccountMenu() {
  const session = useConsole();
  const desk = useDesk();
  const user = session.user.value;
  return (
    <Menu name={w("account")} align="right" label={<UserIcon size={19} />} class="account-menu" testid="account">
      {() => (
        <>
          <p class="menu-head">
            <b>{user?.name}</b>
            <span>{user?.email}</span>
            {desk.role && <span class="badge">{shared.t(`role_${desk.role}`)}</span>}
          </p>
          <div class="menu-group">
            <button type="button" class="menu-item" data-testid="sign-out" onClick={() => void session.signOut()}>
              {w("sign_out")}
            </button>
          </div>
        </>
      )}
    </Menu>
  );
}

function LiveClock() {
  const desk = useDesk();
  const room = desk.store.room.value;
  const startedAtMs = room?.started_at_ms ?? null;
  const isOn = room?.status === "live" || room?.status === "away";
  const elapsed = useTicking(() => {
    void heartbeat.value;
    return startedAtMs === null ? "" : formatElapsed(desk.store.serverNow() - startedAtMs);
  }, [desk, startedAtMs]);
  const status = room?.status ?? "preshow";
  return (
    <span class={`on-air on-air-${status}`} data-testid="status">
      <i aria-hidden="true" />
      {shared.t(`status_${status}`)}
      {isOn && elapsed && <span class="num on-air-clock">{elapsed}</span>}
    </span>
  );
}

function Figures() {
  const desk = useDesk();
  const lang = language.value;
  const stats = desk.numbers.stats.value;
  const watching = desk.store.watching.value ?? (stats ? { count: stats.watching, peak: stats.peak } : null);
  const orders = stats?.orders;
  const currency = desk.products.value[0]?.currency ?? "CNY";
  const money = (minor: number | undefined): string => (minor === undefined ? "–" : formatMoney(minor, currency, lang));
  const count = (n: number): string => (n === 1 ? w("order_1") : w("orders_n", { n: formatCount(n, lang) }));
  return (
    <div class="figures" tabIndex={0} role="region" aria-label={w("figures")}>
      <dl>
        {stats && stats.delay_ms !== null && <Figure name={w("delay")} title={w("delay_means")} testid="delay" quiet value={`${(stats.delay_ms / 1000).toFixed(1)} s`} />}
        <Figure
          name={w("watching")}
          title={w("watching_means") + simulated(stats?.ghosts)}
          testid="watching"
          value={watching ? formatCount(watching.count, lang) : "–"}
          note={watching ? w("watching_peak", { n: formatCount(watching.peak, lang) }) : ""}
          ghosts={stats?.ghosts}
        />
        <Figure name={w("likes")} testid="likes" value={formatCount(desk.store.likes.value.total, lang, desk.store.likes.value.total > 99_999)} />
        <Figure name={w("comments")} testid="comments" value={formatCount(desk.numbers.comments.value, lang)} />
        <Figure
          name={w("placed")}
          title={w("placed_means") + simulated(orders?.ghost_placed)}
          testid="placed"
          quiet
          value={money(orders?.placed_minor)}
          note={orders ? count(orders.placed) : ""}
          ghosts={orders?.ghost_placed}
        />
        <Figure
          name={w("paid")}
          title={w("paid_means") + simulated(orders?.ghost_paid)}
          testid="paid"
          strong
          value={money(orders?.paid_minor)}
          note={orders ? count(orders.paid) : ""}
          ghosts={orders?.ghost_paid}
        />
      </dl>
    </div>
  );
}

function simulated(n: number | undefined): string {
  return n ? ` ${w("simulated_n", { n })}` : "";
}

interface FigureProps {
  name: string;
  value: ComponentChildren;
  note?: string;
  /** Simulated ones, shown beside and never added. */
  ghosts?: number | undefined;
  title?: string;
  quiet?: boolean;
  strong?: boolean;
  testid: string;
}

function Figure({ name, value, note, ghosts, title, quiet = false, strong = false, testid }: FigureProps) {
  return (
    <div class={`figure ${quiet ? "figure-quiet" : ""} ${strong ? "figure-strong" : ""}`} title={title} data-testid={`figure-${testid}`}>
      <dt>
        {name}
        {note && <span class="num">{note}</span>}
      </dt>
      <dd class="num">
        {value}
        {ghosts ? <span class="figure-ghosts">{w("plus_simulated", { n: ghosts })}</span> : null}
      </dd>
    </div>
  );
}

/** The picture's lamp: red when a live room has lost it, amber when it is there and can't be recorded. */
function videoLamp(desk: RoomDesk): { health: Health; text: string } {
  const media = desk.store.media.value;
  if (media?.publishing) {
    const isUnrecorded = media.recording === "no_space" || media.recording === "failed";
    return isUnrecorded ? { health: "slow", text: w("lamp_video_unrecorded") } : { health: "good", text: w(media.recording === "on" ? "lamp_video_recorded" : "lamp_video_on") };
  }
  const isLost = media !== null && desk.store.room.value?.status === "live";
  return isLost ? { health: "down", text: w("lamp_video_lost") } : { health: "unknown", text: w("lamp_video_off") };
}

/** One lamp per plane; its word says what its colour says. */
function Lamps() {
  const desk = useDesk();
  const state = desk.store.connection.value.state;
  const isStale = desk.truth.isStale.value;
  const roundTripMs = desk.truth.roundTripMs.value;
  const realtime =
    state === "live" && !isStale
      ? ({ health: "good", text: roundTripMs === null ? shared.t("connected") : w("health_good", { n: Math.max(1, Math.round(roundTripMs)) }) } as const)
      : state === "connecting"
        ? ({ health: "unknown", text: shared.t("connecting") } as const)
        : state === "reconnecting" || state === "live"
          ? ({ health: "down", text: shared.t("reconnecting_now") } as const)
          : ({ health: "down", text: shared.t("disconnected") } as const);
  const video = videoLamp(desk);
  const health = desk.numbers.health.value;
  const commerceMs = desk.numbers.roundTripMs.value;
  const commerceText = health === "good" && commerceMs !== null ? w("health_good", { n: Math.max(1, Math.round(commerceMs)) }) : w(`health_${health}`, { n: 0 });
  return (
    <ul class="lamps" aria-label={w("health")}>
      <li class={`lamp lamp-${video.health}`} data-testid="lamp-video">
        <i aria-hidden="true" />
        <span>{w("plane_video")}</span>
        <em>{video.text}</em>
      </li>
      <li class={`lamp lamp-${realtime.health}`} data-testid="lamp-realtime">
        <i aria-hidden="true" />
        <span>{w("plane_realtime")}</span>
        <em class="num">{realtime.text}</em>
      </li>
      <li class={`lamp lamp-${health}`} data-testid="lamp-commerce">
        <i aria-hidden="true" />
        <span>{w("plane_commerce")}</span>
        <em class="num">{commerceText}</em>
      </li>
    </ul>
  );
}
