import { computed, useComputed } from "@preact/signals";
import { Component } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { announce } from "../shared/announce";
import { formatRemaining, heartbeat } from "../shared/clock";
import { CommandRefused } from "../shared/connection";
import { BagIcon, PinIcon, SendIcon } from "../shared/icons";
import type { ChatLine } from "../shared/room-store";
import { usePaced } from "../shared/paced";
import { language, localised, shared } from "../shared/words";
import { useSession } from "./context";
import type { RoomSession } from "./session";
import { w } from "./words";

const OVERLAY_LINES = 6;
const READING_MS = 200;
const SPEAK_EVERY_MS = 5_000;
const MAX_TEXT = 200;
const ORDER_SHOWN_MS = 5_000;

/** Whether a comment speaks to somebody by `@name`, as a word of its own. */
export function mentions(text: string, name: string): boolean {
  if (!name) return false;
  const at = text.toLowerCase().indexOf(`@${name.toLowerCase()}`);
  return at >= 0 && !/[\p{L}\p{N}_]/u.test(text.charAt(at + name.length + 1));
}

/** One comment. Rendered again only when the line itself or the language changes: the log moves many times a second. */
class Line extends Component<{ line: ChatLine; lang: string; me: string }> {
  override shouldComponentUpdate(next: { line: ChatLine; lang: string; me: string }): boolean {
    return next.line !== this.props.line || next.lang !== this.props.lang || next.me !== this.props.me;
  }

  override render() {
    const { line, me } = this.props;
    return (
      <p class={`line ${line.ghost ? "line-ghost" : ""} ${mentions(line.text, me) ? "line-mention" : ""}`} data-testid="comment" data-id={line.id}>
        {line.role !== "viewer" && <span class={`badge badge-${line.role}`}>{shared.t(`role_${line.role}`)}</span>}
        <b class="line-name">{line.name}</b>
        {line.ghost && (
          <span class="line-mark" title={shared.t("ghost")}>
            ◌<span class="visually-hidden"> {shared.t("ghost")}</span>
          </span>
        )}
        <span class="line-text">{line.text}</span>
      </p>
    );
  }
}

/** Layer E on a phone: the last lines over the picture, fading upwards; a tap opens the whole log. */
export function ChatOverlay() {
  const session = useSession();
  const comments = usePaced(session.store.comments, READING_MS);
  const lines = useComputed(() => comments.value.filter((line) => !line.deleted).slice(-OVERLAY_LINES));
  return (
    <div class="overlay">
      <LastOrder />
      <div class="overlay-lines">
        {lines.value.map((line) => (
          <Line key={line.id} line={line} lang={language.value} me={session.viewer.value?.name ?? ""} />
        ))}
      </div>
      <button
        type="button"
        class="overlay-open"
        aria-label={w("chat_all")}
        onClick={() => (session.panel.value = { kind: "chat" })}
      />
    </div>
  );
}

/** Somebody just bought: real orders only, a simulated one says so, gone after some seconds. */
function LastOrder() {
  const session = useSession();
  const last = useMemo(
    () =>
      computed(() => {
        void heartbeat.value;
        const tick = session.store.orderTicks.value.at(-1);
        return tick && session.store.serverNow() - tick.at_ms < ORDER_SHOWN_MS ? tick : null;
      }),
    [session],
  );
  const tick = last.value;
  if (!tick) return null;
  return (
    <p class="last-order" key={tick.at_ms}>
      <BagIcon size={15} />
      <span>
        {w("order_tick", {
          name: tick.name,
          quantity: tick.quantity,
          product: localised(session.product(tick.product_id)?.title),
        })}
      </span>
      {tick.ghost && <em>{shared.t("ghost")}</em>}
    </p>
  );
}

/** The whole log with its states: pinned comment, sampled, paused by me, empty. */
export function ChatLog() {
  const session = useSession();
  const { store } = session;
  const box = useRef<HTMLDivElement>(null);
  const [frozen, setFrozen] = useState<readonly ChatLine[] | null>(null);
  const isPaused = session.isChatPaused.value;
  const all = usePaced(store.comments, READING_MS).value;
  // While paused the log stands still; only deletions still show, because a deleted comment must vanish.
  const gone = useMemo(() => new Set(all.filter((line) => line.deleted).map((line) => line.id)), [all]);
  const shown = (isPaused && frozen ? frozen : all).filter((line) => !line.deleted && !gone.has(line.id));
  const lastFrozenId = frozen?.at(-1)?.id;
  const fresh = isPaused && frozen ? all.length - 1 - all.findIndex((line) => line.id === lastFrozenId) : 0;

  useEffect(() => {
    setFrozen(isPaused ? store.comments.peek() : null);
  }, [isPaused]);
  useLayoutEffect(() => {
    if (!isPaused && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [all, isPaused]);
  // A sheet that opens and a keyboard that slides in change the height without a new line.
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      if (!session.isChatPaused.peek()) element.scrollTop = element.scrollHeight;
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [session]);
  useSpokenChat(session);

  const pinned = store.chat.value.pinned_comment;
  const oneIn = store.mode.value.chat_one_in;
  return (
    <div class="chat-log">
      {pinned && (
        <div class="chat-pinned">
          <PinIcon size={16} />
          <p>
            <span class="visually-hidden">{w("chat_pinned")}: </span>
            <b>{pinned.name}</b> {pinned.text}
          </p>
        </div>
      )}
      {oneIn > 1 && <p class="chat-note">{w("chat_sampled", { n: oneIn })}</p>}
      <div
        ref={box}
        class="chat-lines"
        role="log"
        aria-live="off"
        aria-label={w("chat")}
        tabIndex={0}
        onScroll={(event) => {
          const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
          const isAtEnd = scrollHeight - scrollTop - clientHeight < 40;
          if (isAtEnd === session.isChatPaused.peek() && (isAtEnd || scrollHeight > clientHeight)) {
            session.isChatPaused.value = !isAtEnd;
          }
        }}
      >
        {shown.length === 0 ? (
          <p class="empty">{w("chat_empty")}</p>
        ) : (
          shown.map((line) => <Line key={line.id} line={line} lang={language.value} me={session.viewer.value?.name ?? ""} />)
        )}
      </div>
      {isPaused && fresh > 0 && (
        <button type="button" class="chat-fresh" onClick={() => (session.isChatPaused.value = false)}>
          {w("chat_new", { n: fresh })} ↓
        </button>
      )}
    </div>
  );
}

/** Screen readers hear the newest comment at most every few seconds: a busy log read in full helps nobody. */
function useSpokenChat(session: RoomSession): void {
  useEffect(() => {
    let spokenId = session.store.comments.peek().at(-1)?.id;
    const timer = setInterval(() => {
      const line = session.store.comments.peek().findLast((l) => !l.deleted);
      if (line && line.id !== spokenId && !line.ghost) announce(`${line.name}: ${line.text}`);
      spokenId = line?.id;
    }, SPEAK_EVERY_MS);
    return () => clearInterval(timer);
  }, [session]);
}

/** The field to write in, with every reason why it can't be used, and for how long. */
export function Composer({ id, children }: { id: string; children?: preact.ComponentChildren }) {
  const session = useSession();
  const { store, things, follow } = session;
  const [text, setText] = useState("");
  const [note, setNote] = useState<string | null>(null);
  const [slowUntilMs, setSlowUntilMs] = useState(0);
  const [isSending, setSending] = useState(false);
  const wait = useMemo(
    () =>
      computed(() => {
        void heartbeat.value;
        const nowMs = store.serverNow();
        if (things.mutedUntilMs.value > nowMs) {
          return w("chat_muted", { time: formatRemaining(things.mutedUntilMs.value - nowMs) });
        }
        return slowUntilMs > nowMs ? String(Math.ceil((slowUntilMs - nowMs) / 1000)) : "";
      }),
    [store, things, slowUntilMs],
  );
  const isStaff = (session.viewer.value?.role ?? "viewer") !== "viewer";
  const isMuted = wait.value !== "" && !/^\d+$/.test(wait.value);
  const isOff = store.chat.value.off && !isStaff;
  const mustFollow = store.chat.value.followers_only && !isStaff && !isOff && things.following.value === false;
  const isDisabled = isMuted || isOff || !session.isLive.value;
  const placeholder = isMuted ? wait.value : isOff ? w("chat_off") : !session.isLive.value ? shared.t("connecting") : wait.value ? w("chat_slow", { n: wait.value }) : w("say_something");

  async function send(event: Event): Promise<void> {
    event.preventDefault();
    const trimmed = text.trim();
    if (!trimmed || isSending || isDisabled || wait.value) return;
    setSending(true);
    setNote(null);
    try {
      const reply = await session.connection.command("comment", { text: trimmed });
      setText("");
      if (reply.held) setNote(w("chat_held"));
      const slowS = store.chat.peek().slow_mode_s;
      if (slowS > 0 && !isStaff) setSlowUntilMs(store.serverNow() + slowS * 1000);
    } catch (error) {
      if (!(error instanceof CommandRefused)) throw error;
      refused(error);
    } finally {
      setSending(false);
    }
  }

  function refused(error: CommandRefused): void {
    const waitS = Math.max(1, Math.ceil(error.retryAfterMs / 1000));
    const untilMs = store.serverNow() + error.retryAfterMs;
    if (error.code === "muted") things.mutedUntilMs.value = untilMs;
    else if (error.code === "slow_mode") setSlowUntilMs(untilMs);
    else if (error.code === "rate_limited") setNote(w("chat_rate", { n: waitS }));
    else if (error.code === "chat_off") setNote(w("chat_off"));
    else if (error.code === "followers_only") {
      things.setFollowing(false); // whatever this page believed: following again mends it
      setNote(w("chat_followers"));
    } else if (error.code === "banned") setNote(w("chat_banned"));
    else setNote(w("chat_failed"));
  }

  async function followAndWrite(): Promise<void> {
    const isDone = await follow.set(true);
    setNote(follow.problem.peek());
    if (!isDone) return;
    requestAnimationFrame(() => document.getElementById(id)?.focus());
  }

  return (
    <form class="composer" onSubmit={(event) => void send(event)}>
      {note && (
        <p class="composer-note" role="status">
          {note}
        </p>
      )}
      <div class="composer-row">
        {mustFollow ? (
          <button type="button" id={id} class="composer-follow" data-testid="follow-to-write" aria-keyshortcuts="C" onClick={() => void followAndWrite()}>
            {w("chat_follow")}
          </button>
        ) : (
          <label class="composer-field">
            <span class="visually-hidden">{w("message")}</span>
            <input
              id={id}
              class="composer-input"
              data-testid="comment-input"
              value={text}
              maxLength={MAX_TEXT}
              autocomplete="off"
              enterkeyhint="send"
              placeholder={placeholder}
              disabled={isDisabled}
              aria-keyshortcuts="C"
              onInput={(event) => setText(event.currentTarget.value)}
            />
            <button
              type="submit"
              class="composer-send"
              aria-label={wait.value && !isMuted ? w("chat_slow", { n: wait.value }) : w("send")}
              disabled={isDisabled || isSending || !text.trim() || wait.value !== ""}
            >
              {wait.value && !isMuted ? <span class="num">{wait.value}</span> : <SendIcon size={19} />}
            </button>
          </label>
        )}
        {children}
      </div>
    </form>
  );
}
