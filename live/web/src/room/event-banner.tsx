import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { heartbeat } from "../shared/clock";
import { Countdown } from "../shared/countdown";
import { BellIcon, BoltIcon, ClockIcon, CloseIcon, MegaphoneIcon, OfflineIcon, WarningIcon } from "../shared/icons";
import { late } from "../shared/late";
import { formatMoney } from "../shared/money";
import type { SaleValue } from "../shared/types";
import { language, localised, shared } from "../shared/words";
import { useSession } from "./context";
import { Picture } from "./picture";
import type { Told } from "./reminders";
import { w } from "./words";

const ToldAgain = late(() => import("./told-again").then((module) => module.ToldAgain));
const ANNOUNCEMENT_MS = 15_000;
const HOST_AWAY_MS = 120_000;

/** Layer D: one event at a time, the most urgent first; and above it the connection's own trouble. */
export function EventBanner() {
  const session = useSession();
  const { store } = session;
  const status = store.connection.value;
  if (status.state === "closed") {
    return (
      <div class="banner banner-bad" role="alert">
        <WarningIcon size={20} />
        <p>{w(`closed_${status.reason === "stopped" ? "signed_out" : status.reason}`)}</p>
        {status.reason !== "banned" && (
          <button type="button" class="button banner-button" onClick={() => location.reload()}>
            {w("reload")}
          </button>
        )}
      </div>
    );
  }
  return (
    <>
      {status.state === "reconnecting" && store.isJoined.value && (
        <div class="banner banner-warn" data-testid="offline-banner">
          <OfflineIcon size={20} />
          <p>{w("plane_chat")}</p>
        </div>
      )}
      {store.media.value?.publishing && session.video.value === "reconnecting" && (
        <div class="banner banner-warn" data-testid="video-banner">
          <OfflineIcon size={20} />
          <p>{w("plane_video")}</p>
        </div>
      )}
      {session.things.toldAgain.value && <ToldAgain />}
      <HostAway />
      <SaleOrNews />
    </>
  );
}

/** The picture has stopped and the show goes on: for two minutes the host may come back to it. */
function HostAway() {
  const { store } = useSession();
  const isAway = useMemo(
    () =>
      computed(() => {
        void heartbeat.value;
        const media = store.media.value;
        const goneMs = media?.publishing === false ? store.serverNow() - (media.since_ms ?? 0) : Infinity;
        return goneMs < HOST_AWAY_MS && store.room.value?.status === "live";
      }),
    [store],
  );
  if (!isAway.value) return null;
  return (
    <div class="banner" role="status" data-testid="host-away">
      <ClockIcon size={20} />
      <p>{w("banner_away")}</p>
    </div>
  );
}

function SaleOrNews() {
  const session = useSession();
  const { store } = session;
  const [told] = session.reminders.told.value;
  if (told) return <ReminderBanner told={told} />;
  const pinnedId = session.shownId.value;
  const running = [...store.sales.value.values()];
  const countdown = running.find((s) => s.state === "countdown");
  if (countdown) return <CountdownBanner sale={countdown} isPinned={countdown.product_id === pinnedId} />;
  const room = store.room.value;
  if (room && (room.status === "away" || room.status === "ended" || room.status === "preshow")) {
    return (
      <div class="banner" data-testid="room-banner">
        <ClockIcon size={20} />
        <p>{w(`banner_${room.status}`)}</p>
        {room.status === "ended" && !room.rehearsal && (
          <button type="button" class="button" data-testid="watch-again" onClick={() => (session.panel.value = { kind: "replay" })}>
            {w("replay")}
          </button>
        )}
      </div>
    );
  }
  const elsewhere = running.find((s) => s.state === "open" && s.product_id !== pinnedId);
  if (elsewhere) return <OpenBanner sale={elsewhere} />;
  return <News />;
}

/** What this viewer waits for, before what is for everybody. Announced by `Reminders`. */
function ReminderBanner({ told }: { told: Told }) {
  const session = useSession();
  const { sale } = told;
  return (
    <div class="banner banner-flash" data-testid="reminder-banner">
      <BellIcon size={22} />
      <div class="banner-text">
        <b>{w("banner_reminder")}</b>
        <span>
          {localised(session.product(told.product_id)?.title)} · {formatMoney(sale.price_minor, sale.currency, language.value)}
        </span>
      </div>
      {sale.state === "countdown" && sale.opens_at_ms !== null && (
        <Countdown class="banner-clock" untilMs={sale.opens_at_ms} clock={session.store.clock} unconfirmed={!session.isLive.value} />
      )}
      <button type="button" class="button button-flash banner-button" data-testid="reminder-show" onClick={() => session.reminders.open(told)}>
        {w("banner_show")}
      </button>
      <button type="button" class="icon-button banner-close" aria-label={shared.t("close")} onClick={() => session.reminders.close(told.id)}>
        <CloseIcon size={20} />
      </button>
    </div>
  );
}

function CountdownBanner({ sale, isPinned }: { sale: SaleValue; isPinned: boolean }) {
  const session = useSession();
  const product = session.product(sale.product_id);
  return (
    <div class="banner banner-flash" data-testid="countdown-banner">
      <BoltIcon size={26} />
      <div class="banner-text">
        <b>{w("banner_countdown")}</b>
        <span>
          {localised(product?.title)} · {formatMoney(sale.price_minor, sale.currency, language.value)}
        </span>
      </div>
      {sale.opens_at_ms !== null && (
        <Countdown class="banner-clock" untilMs={sale.opens_at_ms} clock={session.store.clock} unconfirmed={!session.isLive.value} />
      )}
      {!isPinned && product && <ShowButton productId={product.product_id} />}
    </div>
  );
}

function OpenBanner({ sale }: { sale: SaleValue }) {
  const session = useSession();
  const product = session.product(sale.product_id);
  if (!product) return null;
  return (
    <div class="banner" data-testid="open-banner">
      <Picture product={product} class="banner-picture" />
      <div class="banner-text">
        <b>{w("banner_open")}</b>
        <span>
          {localised(product.title)} · {formatMoney(sale.price_minor, sale.currency, language.value)}
        </span>
      </div>
      <ShowButton productId={product.product_id} />
    </div>
  );
}

function ShowButton({ productId }: { productId: string }) {
  const session = useSession();
  return (
    <button type="button" class="button button-flash banner-button" onClick={() => (session.panel.value = { kind: "product", productId })}>
      {w("banner_show")}
    </button>
  );
}

function News() {
  const session = useSession();
  const announcement = session.store.announcement.value;
  const isFresh = useMemo(
    () =>
      computed(() => {
        void heartbeat.value;
        return announcement !== null && session.store.serverNow() - announcement.at_ms < ANNOUNCEMENT_MS;
      }),
    [session, announcement],
  );
  if (!announcement || !isFresh.value) return null;
  return (
    <div class="banner" role="status" data-testid="announcement">
      <MegaphoneIcon size={20} />
      <p>{announcement.text}</p>
    </div>
  );
}
