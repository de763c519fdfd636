import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { formatElapsed, heartbeat } from "../shared/clock";
import { MutedIcon, SoundIcon, UsersIcon } from "../shared/icons";
import { formatCount } from "../shared/money";
import { language, localised, setLanguage, shared } from "../shared/words";
import { CaptionsButton } from "./captions";
import { useSession } from "./context";
import { ShareButton } from "./share";
import { w } from "./words";

const CLOCK_SHOWN_MS = 500;

/** Layer A: who is live, since when, who watches, how well we are connected, in which language. */
export function StatusStrip() {
  const session = useSession();
  const { store } = session;
  const room = store.room.value;
  const watching = store.watching.value;
  const offsetMs = store.clock.offsetMs.value;
  const host = room?.host_name ?? "";
  return (
    <header class="strip">
      <div class="strip-row">
        <div class="strip-host">
          <span class="avatar" aria-hidden="true">
            {host.slice(0, 1).toUpperCase() || "F"}
          </span>
          <div class="strip-names">
            <b>{host || "Flashroom"}</b>
            <h1>{localised(room?.title)}</h1>
          </div>
          <FollowButton />
        </div>
        <LivePill />
        <button
          type="button"
          class="pill pill-button"
          data-testid="watching"
          data-count={watching?.count ?? 0}
          onClick={() => (session.panel.value = { kind: "watching" })}
        >
          <UsersIcon size={16} />
          <span class="num">{watching ? formatCount(watching.count, language.value) : "–"}</span>
          <span class="visually-hidden">{shared.t("watching")}</span>
        </button>
      </div>
      <div class="strip-row strip-second">
        {room?.rehearsal && (
          <span class="badge badge-rehearsal" title={w("rehearsal_means")}>
            {shared.t("rehearsal")}
          </span>
        )}
        {session.follow.problem.value && <span class="pill pill-small">{session.follow.problem.value}</span>}
        <ConnectionDot />
        <VideoDelayPill />
        <SoundButton />
        <CaptionsButton />
        {store.mode.value.hearts !== "full" && <span class="pill pill-small">{w(store.mode.value.chat === "paused" ? "mode_paused" : "mode_reduced")}</span>}
        {Math.abs(offsetMs) > CLOCK_SHOWN_MS && store.isJoined.value && (
          <span class="pill pill-small">{w("clock_off", { n: (Math.abs(offsetMs) / 1000).toFixed(1) })}</span>
        )}
        <ShareButton />
        <button
          type="button"
          class="pill pill-button pill-end"
          data-testid="language"
          lang={language.value === "zh" ? "en" : "zh"}
          onClick={() => setLanguage(language.value === "zh" ? "en" : "zh")}
        >
          {shared.t("language_other")}
        </button>
      </div>
    </header>
  );
}

function FollowButton() {
  const { follow, things } = useSession();
  const isOn = things.following.value;
  return (
    <button type="button" class={`pill pill-button follow ${isOn ? "is-on" : ""}`} disabled={isOn === null} data-testid="follow" data-following={isOn ?? "unknown"} onClick={() => void follow.toggle()}>
      {w(isOn ? "following" : "follow")}
    </button>
  );
}

function LivePill() {
  const session = useSession();
  const room = session.store.room.value;
  const startedAtMs = room?.started_at_ms ?? null;
  const elapsed = useMemo(
    () =>
      computed(() => {
        void heartbeat.value;
        return startedAtMs === null ? "" : formatElapsed(session.store.serverNow() - startedAtMs);
      }),
    [session, startedAtMs],
  );
  if (!room) return null;
  const isLive = room.status === "live";
  return (
    <span class={`pill ${isLive ? "pill-live" : ""}`} data-testid="room-status" data-status={room.status}>
      {isLive && <i class="live-dot" aria-hidden="true" />}
      {shared.t(`status_${room.status}`)}
      {isLive && <time class="num">{elapsed.value}</time>}
    </span>
  );
}

/** How late the picture is, to a tenth of a second; a tap says what that means, and whether cards wait for it. */
function VideoDelayPill() {
  const session = useSession();
  const delay = session.videoDelay.value;
  if (!delay || delay.ms === null || session.video.value !== "playing") return null;
  const key = delay.way === "hls" ? "video_delay_hls" : "video_delay";
  return (
    <button
      type="button"
      class="pill pill-small pill-button num"
      data-testid="video-delay"
      data-way={delay.way}
      data-ms={Math.round(delay.ms)}
      title={w(`${key}_means`)}
      onClick={() => (session.panel.value = { kind: "delay" })}
    >
      {w(key, { n: (delay.ms / 1000).toFixed(1) })}
    </button>
  );
}

/** Browsers start a picture without sound; whoever wants to hear says so once. */
function SoundButton() {
  const session = useSession();
  if (session.video.value !== "playing") return null;
  const isMuted = session.isMuted.value;
  return (
    <button type="button" class="pill pill-button pill-small" data-testid="sound" data-muted={isMuted} aria-keyshortcuts="M" title={w(isMuted ? "sound_on" : "sound_off")} onClick={() => session.toggleSound()}>
      {isMuted ? <MutedIcon size={16} /> : <SoundIcon size={16} />}
      <span class={isMuted ? "" : "visually-hidden"}>{w(isMuted ? "sound_on" : "sound_off")}</span>
    </button>
  );
}

function ConnectionDot() {
  const session = useSession();
  const status = session.store.connection.value;
  const seconds = useMemo(
    () =>
      computed(() => {
        void heartbeat.value;
        return status.state === "reconnecting" ? Math.max(0, Math.ceil((status.retryAtMs - Date.now()) / 1000)) : 0;
      }),
    [status],
  );
  const text =
    status.state === "live"
      ? shared.t("connected")
      : status.state === "connecting"
        ? shared.t("connecting")
        : status.state === "reconnecting"
          ? seconds.value > 0
            ? shared.t("reconnecting", { n: seconds.value })
            : shared.t("reconnecting_now")
          : shared.t("disconnected");
  return (
    <span class={`connection connection-${status.state}`} data-testid="connection" data-state={status.state} title={text}>
      <i aria-hidden="true" />
      <span class={status.state === "live" ? "visually-hidden" : ""}>{text}</span>
    </span>
  );
}
