import { Fragment } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";
import { Sheet } from "../shared/sheet";
import { useDesk } from "./context";
import { USAGES } from "./command-line";
import { type Action, ACTIONS, type KeyProblem, remapped } from "./keymap";
import { type KeyWord, t } from "./keys-words";
import { areKeysOn, keymap, resetKeymap, setKeymap, switchKeys } from "./own-keys";
import { type ConsoleWord, w } from "./words";

const WORDS: Readonly<Record<Action, KeyWord>> = {
  unpin: "key_unpin",
  arm: "key_arm",
  fire: "key_fire",
  toggle_pause: "key_pause",
  add_stock: "key_stock",
  end_early: "key_end",
  next_message: "key_next",
  previous_message: "key_previous",
  hide_message: "key_hide",
  mute_message: "key_mute",
  pin_message: "key_pin_message",
  ban_message: "key_ban",
  undo: "key_undo",
  prompter: "key_prompter",
  write: "key_write",
  command_line: "key_line",
  keys: "key_help",
};

/** What each key does; a press on it and then on another key changes it. */
export function KeysSheet() {
  const desk = useDesk();
  const [changing, setChanging] = useState<Action | null>(null);
  const [problem, setProblem] = useState<KeyProblem | null>(null);
  // A layout effect: the Esc after a change must close the sheet already.
  useLayoutEffect(() => {
    if (!changing) return;
    const onDown = (event: KeyboardEvent): void => {
      if (event.key === "Shift") return;
      event.preventDefault();
      event.stopPropagation();
      if (event.key === "Escape") {
        setChanging(null);
        return;
      }
      const next = remapped(keymap.peek(), changing, event);
      if ("why" in next) {
        setProblem(next);
        return;
      }
      setKeymap(next);
      setChanging(null);
      setProblem(null);
    };
    document.addEventListener("keydown", onDown, true);
    return () => document.removeEventListener("keydown", onDown, true);
  }, [changing]);
  return (
    <Sheet title={t("keys_title")} kind="dialog" theme="dark" class="sheet-wide" onClose={() => (desk.isKeysOpen.value = false)} testid="keys">
      <p class="keys-hint">{t("keys_hint")}</p>
      <label class="keys-switch">
        <input type="checkbox" checked={areKeysOn.value} data-testid="keys-on" onChange={(event) => switchKeys(event.currentTarget.checked)} />
        {t("keys_on")}
      </label>
      <p class="keys-said" role="status">
        {changing && problem ? problemText(problem) : changing ? t("keys_press") : ""}
      </p>
      <dl class="keys">
        <Fixed keys={["1", "–", "9"]} word="key_select" />
        <Fixed keys={["Shift", "1", "–", "9"]} word="key_pin" />
        {ACTIONS.map((action) => (
          <div key={action}>
            <dt>
              <button
                type="button"
                class={`key-choice ${changing === action ? "is-changing" : ""}`}
                aria-label={`${partsOf(keymap.value[action]).join(" ")}: ${t(WORDS[action])}. ${t("keys_change")}`}
                data-testid={`key-${action}`}
                onClick={() => {
                  setProblem(null);
                  setChanging(changing === action ? null : action);
                }}
              >
                {changing === action
                  ? "…"
                  : partsOf(keymap.value[action]).map((part, index) => (
                      <Fragment key={part}>
                        {index > 0 && " "}
                        <kbd>{part}</kbd>
                      </Fragment>
                    ))}
              </button>
            </dt>
            <dd>{t(WORDS[action])}</dd>
          </div>
        ))}
      </dl>
      <button type="button" class="link" data-testid="keys-reset" onClick={resetKeymap}>
        {t("keys_reset")}
      </button>
      <h3 class="small-head keys-lines-head">{t("keys_lines")}</h3>
      <dl class="keys keys-lines">
        {USAGES.map(({ form, word }) => (
          <div key={form}>
            <dt>
              <code>{form}</code>
            </dt>
            <dd>{w(word as ConsoleWord)}</dd>
          </div>
        ))}
      </dl>
    </Sheet>
  );
}

/** "Shift+E" as its keys; "+" is a key itself. */
function partsOf(chord: string): string[] {
  return chord.split(/(?<=.)\+/).map((part) => (part.length === 1 ? part.toUpperCase() : part));
}

function Fixed({ keys, word }: { keys: readonly string[]; word: KeyWord }) {
  return (
    <div>
      <dt>{keys.map((key) => (key === "–" ? <span key={key}>–</span> : <kbd key={key}>{key}</kbd>))}</dt>
      <dd>{t(word)}</dd>
    </div>
  );
}

function problemText(problem: KeyProblem): string {
  switch (problem.why) {
    case "taken":
      return t("keys_taken", { by: t(WORDS[problem.by]) });
    case "needs_shift":
      return t("keys_needs_shift");
    case "not_possible":
      return t("keys_not_possible");
  }
}
