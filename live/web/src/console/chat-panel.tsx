import { useEffect, useRef, useState } from "preact/hooks";
import { formatTime } from "../shared/clock";
import { CheckIcon, CloseIcon, MegaphoneIcon, MuteIcon, PinIcon, ReplyIcon, ShieldIcon, TrashIcon, UndoIcon } from "../shared/icons";
import { late } from "../shared/late";
import type { ChatLine } from "../shared/room-store";
import { language, shared } from "../shared/words";
import { Composer } from "./composer";
import { useDesk } from "./context";
import { type Restraint, UNDO_MS } from "./moderation";
import { Empty, GhostMark, ProblemLine } from "./parts";
import { w } from "./words";

const ChatHead = late(
  () => import("./chat-head").then((module) => module.ChatHead),
  () => <div class="chat-head" />,
);
const NoneMatches = late(() => import("./chat-head").then((module) => module.NoneMatches));
const SLOW_MODES = [0, 3, 5, 10, 30, 60] as const;
const NEAR_END_PX = 48;

export function ChatPanel() {
  const desk = useDesk();
  const problem = desk.moderation.problem.value;
  return (
    <div class="chat">
      <Settings />
      <ChatHead />
      <HeldQueue />
      <Lines />
      <Announcement />
      <Undos />
      {problem && <ProblemLine text={problem} onDismiss={() => (desk.moderation.problem.value = null)} />}
      <Composer />
    </div>
  );
}

function Settings() {
  const desk = useDesk();
  const chat = desk.store.chat.value;
  const isLocked = !desk.may("moderate") || desk.runner.isBusy("chat");
  return (
    <div class="chat-settings">
      <label class="setting">
        <span>{w("slow_mode")}</span>
        <select
          class="select num"
          disabled={isLocked}
          value={String(chat.slow_mode_s)}
          data-testid="slow-mode"
          onChange={(event) => void desk.moderation.set({ slow_mode_s: Number(event.currentTarget.value) })}
        >
          {[...new Set([...SLOW_MODES, chat.slow_mode_s])]
            .sort((a, b) => a - b)
            .map((seconds) => (
              <option key={seconds} value={String(seconds)}>
                {seconds ? w("slow_s", { n: seconds }) : w("slow_off")}
              </option>
            ))}
        </select>
      </label>
      <Toggle name={w("review")} isOn={chat.review} disabled={isLocked} testid="review" onChange={(review) => void desk.moderation.set({ review })} />
      <Toggle name={w("followers_only")} isOn={chat.followers_only} disabled={isLocked} testid="followers-only" onChange={(followers_only) => void desk.moderation.set({ followers_only })} />
      <Toggle name={w("chat_off")} isOn={chat.off} disabled={isLocked} testid="chat-off" danger onChange={(off) => void desk.moderation.set({ off })} />
    </div>
  );
}

interface ToggleProps {
  name: string;
  isOn: boolean;
  disabled: boolean;
  danger?: boolean;
  testid: string;
  onChange: (isOn: boolean) => void;
}

function Toggle({ name, isOn, disabled, danger = false, testid, onChange }: ToggleProps) {
  return (
    <button type="button" class={`toggle ${danger ? "toggle-danger" : ""}`} role="switch" aria-checked={isOn} disabled={disabled} data-testid={testid} onClick={() => onChange(!isOn)}>
      <i aria-hidden="true" />
      {name}
    </button>
  );
}

function HeldQueue() {
  const desk = useDesk();
  const held = desk.moderation.held.value;
  if (!held.length) return null;
  return (
    <section class="held" aria-label={w("held_n", { n: held.length })} data-testid="held">
      <h3 class="small-head">{w("held_n", { n: held.length })}</h3>
      <ul>
        {held.map((comment) => {
          const busy = desk.runner.isBusy(`comment:${comment.comment_id}`);
          return (
            <li key={comment.comment_id}>
              <p>
                <b>{comment.name}</b> {comment.text}
              </p>
              <button type="button" class="mini" disabled={busy} aria-label={w("approve")} title={w("approve")} onClick={() => void desk.moderation.judge(comment, true)}>
                <CheckIcon size={16} />
              </button>
              <button type="button" class="mini mini-danger" disabled={busy} aria-label={w("reject")} title={w("reject")} onClick={() => void desk.moderation.judge(comment, false)}>
                <CloseIcon size={16} />
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

/** The log. It follows the newest line until the operator scrolls up or chooses a line; then it counts what is new. */
function Lines() {
  const desk = useDesk();
  const lines = desk.moderation.lines.value;
  const filter = desk.moderation.filter.value;
  const selectedId = desk.moderation.selectedId.value;
  const list = useRef<HTMLDivElement>(null);
  const [follows, setFollows] = useState(true);
  const seenLast = useRef<string | undefined>(undefined);
  const last = lines.at(-1)?.id;
  // Other lines are shown: their end is where the newest is.
  useEffect(() => setFollows(true), [filter]);
  useEffect(() => {
    if (!follows || !list.current) return;
    list.current.scrollTop = list.current.scrollHeight;
    seenLast.current = last;
  }, [last, follows, filter]);
  useEffect(() => {
    if (!selectedId) return;
    setFollows(selectedId === last);
    document.getElementById(`line-${selectedId}`)?.scrollIntoView({ block: "nearest" });
  }, [selectedId]);
  // An undo bar or an opened queue takes room from the log: the line that was in sight stays in sight.
  useEffect(() => {
    const element = list.current;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      const selected = desk.moderation.selectedId.peek();
      if (selected) document.getElementById(`line-${selected}`)?.scrollIntoView({ block: "nearest" });
      else if (follows) element.scrollTop = element.scrollHeight;
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [desk, follows]);
  const unseen = follows ? 0 : lines.length - 1 - lines.findIndex((line) => line.id === seenLast.current);
  return (
    <div class="lines-box">
      <div
        class="lines"
        ref={list}
        role="log"
        aria-label={w("chat")}
        aria-live="off"
        tabIndex={0}
        data-testid="chat-log"
        onScroll={(event) => {
          const { scrollHeight, scrollTop, clientHeight } = event.currentTarget;
          const isNear = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
          if (isNear !== follows) setFollows(isNear);
          if (isNear) seenLast.current = last;
        }}
      >
        {lines.length === 0 && filter && <NoneMatches />}
        {lines.length === 0 && !filter && <Empty title={w("chat_empty")} hint={w("chat_empty_hint")} />}
        <ol>
          {lines.map((line) => (
            <Line key={line.id} line={line} isSelected={line.id === selectedId} restraint={desk.moderation.restrained.value.get(line.viewer_id) ?? null} />
          ))}
        </ol>
      </div>
      {unseen > 0 && (
        <button
          type="button"
          class="new-lines num"
          onClick={() => {
            desk.moderation.selectedId.value = null;
            setFollows(true);
          }}
        >
          ↓ {w("chat_new", { n: unseen })}
        </button>
      )}
    </div>
  );
}

function Line({ line, isSelected, restraint }: { line: ChatLine; isSelected: boolean; restraint: Restraint | null }) {
  const desk = useDesk();
  const isStaff = line.role !== "viewer";
  return (
    <li
      id={`line-${line.id}`}
      class={`line ${isSelected ? "is-selected" : ""} ${line.deleted ? "is-hidden" : ""} ${line.ghost ? "is-ghost" : ""}`}
      data-testid="comment"
      data-id={line.id}
      onClick={() => (desk.moderation.selectedId.value = isSelected ? null : line.id)}
    >
      <time class="line-time num">{formatTime(line.at_ms, language.value, false)}</time>
      <p class="line-text">
        {isStaff && <span class={`badge badge-${line.role}`}>{shared.t(`role_${line.role}`)}</span>}
        <b>{line.name}</b>
        {line.ghost && <GhostMark />}
        {restraint && <span class="ghost-mark is-muted">{w(restraint === "ban" ? "is_banned" : "is_muted")}</span>}
        <span class="line-words">{line.text}</span>
        {line.deleted && <em class="line-hidden">{w("hidden")}</em>}
      </p>
      {desk.may("moderate") && <LineActions line={line} isStaff={isStaff} restraint={restraint} />}
    </li>
  );
}

function LineActions({ line, isStaff, restraint }: { line: ChatLine; isStaff: boolean; restraint: Restraint | null }) {
  const desk = useDesk();
  const { moderation, runner } = desk;
  const busyLine = runner.isBusy(`comment:${line.id}`);
  const busyViewer = runner.isBusy(`viewer:${line.viewer_id}`);
  return (
    <span class="line-actions" role="group" aria-label={w("message_actions", { name: line.name })} onClick={(event) => event.stopPropagation()}>
      {line.deleted ? (
        <button type="button" class="mini" disabled={busyLine} aria-label={w("restore")} title={w("restore")} data-testid="restore" onClick={() => void moderation.restore(line)}>
          <UndoIcon size={16} />
        </button>
      ) : (
        <button type="button" class="mini" disabled={busyLine} aria-label={w("hide")} title={`${w("hide")} (H)`} data-testid="delete" onClick={() => void moderation.hide(line)}>
          <TrashIcon size={16} />
        </button>
      )}
      {!line.deleted && (
        <button
          type="button"
          class="mini"
          disabled={busyLine}
          aria-pressed={desk.store.chat.value.pinned_comment?.id === line.id}
          aria-label={w("pin_message")}
          title={`${w("pin_message")} (Shift+P)`}
          data-testid="pin-comment"
          onClick={() => void moderation.pin(line)}
        >
          <PinIcon size={16} />
        </button>
      )}
      {!line.deleted && (
        <button type="button" class="mini" aria-label={`${w("reply")}: ${line.name}`} title={w("reply")} data-testid="reply-to" onClick={() => moderation.replyTo(line)}>
          <ReplyIcon size={16} />
        </button>
      )}
      {restraint && (
        <button
          type="button"
          class="mini"
          disabled={busyViewer}
          data-testid="release"
          onClick={() => void (restraint === "ban" ? moderation.unban(line.viewer_id) : moderation.unmute(line.viewer_id))}
        >
          <small>{w(restraint === "ban" ? "unban" : "unmute")}</small>
        </button>
      )}
      {!isStaff && restraint !== "ban" && (
        <>
          <button type="button" class="mini" disabled={busyViewer} aria-label={`${w("mute_60")}: ${line.name}`} title={`${w("mute_60")} (T)`} data-testid="mute-60" onClick={() => void moderation.mute(line.viewer_id, line.name, 60)}>
            <MuteIcon size={16} />
            <small aria-hidden="true">60s</small>
          </button>
          <button type="button" class="mini" disabled={busyViewer} aria-label={`${w("mute_600")}: ${line.name}`} title={w("mute_600")} data-testid="mute-600" onClick={() => void moderation.mute(line.viewer_id, line.name, 600)}>
            <MuteIcon size={16} />
            <small aria-hidden="true">10m</small>
          </button>
          <button type="button" class="mini mini-danger" disabled={busyViewer} aria-label={`${w("ban")}: ${line.name}`} title={w("ban")} data-testid="ban" onClick={() => void moderation.ban(line.viewer_id, line.name)}>
            <ShieldIcon size={16} />
          </button>
        </>
      )}
    </span>
  );
}

function Announcement() {
  const desk = useDesk();
  const announcement = desk.store.announcement.value;
  if (!announcement) return null;
  return (
    <p class="announced">
      <MegaphoneIcon size={15} />
      <span>{w("announced", { text: announcement.text })}</span>
      <time class="num">{formatTime(announcement.at_ms, language.value, false)}</time>
    </p>
  );
}

function Undos() {
  const desk = useDesk();
  return (
    <div class="undos" role="status">
      {desk.moderation.undos.value.map((undo) => (
        <div key={undo.id} class="undo" data-testid="undo">
          <span>{undo.text}</span>
          <button type="button" class="undo-button" onClick={() => void desk.moderation.takeBack(undo)}>
            <UndoIcon size={15} />
            {w("undo")}
          </button>
          <i class="undo-left" aria-hidden="true" style={{ animationDuration: `${UNDO_MS}ms` }} />
        </div>
      ))}
    </div>
  );
}
