import { useState } from "preact/hooks";
import { MegaphoneIcon, ReplyIcon, SendIcon } from "../shared/icons";
import { Sheet } from "../shared/sheet";
import { parse, usagesFor } from "./command-line";
import { useConsole, useDesk } from "./context";
import { Menu } from "./menu";
import { obey } from "./obey";
import { FailureLine } from "./parts";
import { linesOf, MAX_REPLIES, PLACE } from "./replies";
import { tookCommand } from "./source";
import { type ConsoleWord, w } from "./words";

const MAX_TEXT = 200;
const MAX_ANNOUNCEMENT = 300;
const MAX_OFFERED = 6;

type Mode = "say" | "announce";

/** Write to the room, announce, answer with a saved reply; a line that begins with "/" is a command. */
export function Composer() {
  const session = useConsole();
  const desk = useDesk();
  const [mode, setMode] = useState<Mode>("say");
  const [isSending, setSending] = useState(false);
  const [isRefused, setRefused] = useState(false);
  const text = desk.draft.value;
  if (!desk.may("moderate")) return <p class="composer-locked">{w("moderate_locked")}</p>;
  const isCommand = text.startsWith("/");
  const put = (next: string): void => {
    desk.draft.value = next;
    setRefused(false);
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const words = text.trim();
    if (!words || isSending) return;
    if (isCommand) {
      const command = parse(words);
      tookCommand();
      if (command && obey(desk, command)) put("");
      else setRefused(true);
      return;
    }
    setSending(true);
    const done = await (mode === "say" ? desk.moderation.say(words) : desk.moderation.announce(words));
    setSending(false);
    if (done) {
      put("");
      setMode("say");
    }
  };
  const name = session.user.value?.name ?? "";
  const offered = isCommand ? usagesFor(text).slice(0, MAX_OFFERED) : [];
  const shown = isCommand ? "command" : mode;
  return (
    <form class={`composer composer-${shown}`} onSubmit={(event) => void submit(event)}>
      {isCommand && (
        <ul class="line-help" id="line-help" aria-label={w("line_help")} data-testid="line-help">
          {offered.map((usage) => (
            <li key={usage.form}>
              <code>{usage.form}</code> <span>{w(usage.word as ConsoleWord)}</span>
            </li>
          ))}
          {(isRefused || offered.length === 0) && (
            <li class="line-refused" role="alert" data-testid="line-refused">
              {w(offered.length === 0 ? "line_unknown" : parse(text) ? "line_not_now" : "line_incomplete")}
            </li>
          )}
        </ul>
      )}
      <Menu name={w(shown === "command" ? "line_help" : shown)} class="composer-mode" label={mode === "announce" && !isCommand ? <MegaphoneIcon size={18} /> : <SayMark mark={isCommand ? "/" : "Aa"} />} testid="composer-mode">
        {(close) => (
          <div class="menu-group">
            {(["say", "announce"] as const).map((one) => (
              <button
                key={one}
                type="button"
                class="menu-item"
                onClick={() => {
                  setMode(one);
                  close();
                  document.getElementById("composer")?.focus();
                }}
              >
                {w(one)}
              </button>
            ))}
          </div>
        )}
      </Menu>
      <SavedReplies />
      <input
        id="composer"
        class="composer-input"
        maxLength={mode === "announce" || isCommand ? MAX_ANNOUNCEMENT : MAX_TEXT}
        autocomplete="off"
        placeholder={mode === "say" ? w("say_placeholder", { name }) : w("announce_placeholder")}
        aria-label={w(shown === "command" ? "line_help" : shown)}
        aria-describedby={isCommand ? "line-help" : undefined}
        value={text}
        onInput={(event) => put(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") {
            if (isCommand) put("");
            event.currentTarget.blur();
          }
          const verb = offered.length === 1 ? offered[0]?.verb : undefined;
          if (event.key === "Tab" && !event.shiftKey && verb && !text.includes(" ") && text !== `/${verb}`) {
            event.preventDefault();
            put(`/${verb} `);
          }
        }}
      />
      <button type="submit" class="composer-send" disabled={isSending || !text.trim()} aria-label={w(isSending ? "sending" : "send")} title={w("send")}>
        <SendIcon size={18} />
      </button>
      {desk.replies.isEditing.value && <RepliesSheet />}
    </form>
  );
}

/** What is said again and again: one press puts it into the field, a second look and Enter send it. */
function SavedReplies() {
  const desk = useDesk();
  const list = desk.replies.list.value;
  return (
    <Menu name={w("replies")} class="composer-mode replies-menu" label={<ReplyIcon size={18} />} testid="replies">
      {(close) => (
        <div class="menu-group replies">
          {list.length === 0 && <p class="menu-note">{w("replies_none")}</p>}
          {list.map((reply, index) => (
            <button
              key={index}
              type="button"
              class="menu-item"
              title={`/reply ${index + 1}`}
              data-testid="reply"
              onClick={() => {
                desk.draft.value = reply;
                close();
                document.getElementById("composer")?.focus();
              }}
            >
              <span class="reply-number num">{index + 1}</span>
              <span class="reply-text">{reply}</span>
            </button>
          ))}
          <button
            type="button"
            class="menu-item menu-more"
            data-testid="edit-replies"
            onClick={() => {
              close();
              desk.replies.isEditing.value = true;
            }}
          >
            {w("replies_edit")}
          </button>
        </div>
      )}
    </Menu>
  );
}

function RepliesSheet() {
  const desk = useDesk();
  const [text, setText] = useState(desk.replies.list.peek().join("\n"));
  const lines = linesOf(text);
  const isBad = lines.length > MAX_REPLIES || lines.some((line) => line.length > MAX_TEXT);
  const close = (): void => void (desk.replies.isEditing.value = false);
  return (
    <Sheet title={w("replies")} kind="dialog" theme="dark" onClose={close} testid="replies-sheet" focus="textarea">
      {/* Not a form: the composer around it is one. */}
      <div class="sheet-form">
        <label class="field">
          <span>{w("replies_hint", { n: MAX_REPLIES })}</span>
          <textarea class="input csv-text" rows={9} value={text} data-testid="replies-text" onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        {isBad && <em class="field-problem">{w("replies_bad", { n: MAX_REPLIES, most: MAX_TEXT })}</em>}
        <FailureLine runner={desk.runner} place={PLACE} />
        <button type="button" class="button button-strong button-wide" disabled={isBad || desk.runner.isBusy(PLACE)} data-testid="save-replies" onClick={() => void desk.replies.save(text).then((done) => done && close())}>
          {w("replies_save")}
        </button>
      </div>
    </Sheet>
  );
}

function SayMark({ mark }: { mark: string }) {
  return (
    <span class="say-mark" aria-hidden="true">
      {mark}
    </span>
  );
}
