import { signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import { Sheet } from "../shared/sheet";
import { toggleCaptions } from "./captions";
import { useSession } from "./context";
import { keep, readKept } from "./kept";
import { type Action, ACTIONS, actionOf, DEFAULT_KEYMAP, type Keymap, readKeymap, remapped } from "./keymap";
import type { RoomSession } from "./session";
import { type RoomWord, w } from "./words";

const areOn = signal(readKept("keys") !== "off");
const keymap = signal(readKeymap(readKept("room.keymap")));

const WORDS: Readonly<Record<Action, RoomWord>> = {
  buy: "key_buy",
  chat: "key_chat",
  pause: "key_pause",
  mute: "key_mute",
  captions: "key_captions",
  like: "key_like",
  bag: "key_bag",
  things: "key_things",
  fairness: "key_fairness",
  help: "key_help",
};

function setSwitch(on: boolean): void {
  areOn.value = on;
  keep("keys", on ? "on" : "off");
}

function setKeymap(next: Keymap): void {
  keymap.value = next;
  keep("room.keymap", JSON.stringify(next));
}

/** Single-letter keys: off while typing, off with a modifier, and switchable off for good. */
export function useKeys(session: RoomSession, isDesktop: boolean): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      if (target.closest("input, textarea, select, [contenteditable]")) return;
      const action = actionOf(keymap.peek(), event.key);
      if (!action || (!areOn.value && action !== "help")) return;
      press(session, isDesktop, action);
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [session, isDesktop]);
}

function press(session: RoomSession, isDesktop: boolean, action: Action): void {
  const panel = session.panel.peek();
  switch (action) {
    case "buy": {
      const productId = panel?.kind === "product" ? panel.productId : session.pinned.peek()?.product_id;
      if (productId && panel?.kind !== "checkout") void session.buy(productId);
      break;
    }
    case "chat":
      if (isDesktop) session.sideTab.value = "chat";
      // The field may have to appear first.
      requestAnimationFrame(() => document.getElementById(isDesktop ? "comment-side" : "comment-dock")?.focus());
      break;
    case "pause":
      session.isChatPaused.value = !session.isChatPaused.peek();
      break;
    case "mute":
      session.toggleSound();
      break;
    case "captions":
      toggleCaptions();
      break;
    case "like":
      session.like();
      break;
    case "bag":
      if (isDesktop) document.querySelector<HTMLElement>(".bag-item")?.focus();
      else session.panel.value = { kind: "bag" };
      break;
    case "things":
      session.panel.value = { kind: "things" };
      break;
    case "fairness":
      if (isDesktop) session.sideTab.value = "fairness";
      else session.panel.value = { kind: "fairness" };
      break;
    case "help":
      session.panel.value = { kind: "keys" };
  }
}

/** What each key does; a press on it and then on another key changes it. */
export function KeysSheet() {
  const session = useSession();
  const [changing, setChanging] = useState<Action | null>(null);
  const [problem, setProblem] = useState("");
  // A layout effect: the Esc after a change must close the sheet already.
  useLayoutEffect(() => {
    if (!changing) return;
    const onDown = (event: KeyboardEvent): void => {
      if (event.key === "Shift") return;
      event.preventDefault();
      event.stopPropagation();
      const next = event.key === "Escape" ? keymap.peek() : remapped(keymap.peek(), changing, event.key);
      if (next === null) setProblem(w("keys_not_possible"));
      else if (typeof next === "string") setProblem(w("keys_taken", { by: w(WORDS[next]) }));
      else {
        setKeymap(next);
        setChanging(null);
        setProblem("");
      }
    };
    document.addEventListener("keydown", onDown, true);
    return () => document.removeEventListener("keydown", onDown, true);
  }, [changing]);
  return (
    <Sheet title={w("keys")} kind="dialog" onClose={() => (session.panel.value = null)} testid="keys">
      <label class="switch">
        <input type="checkbox" checked={areOn.value} onChange={(event) => setSwitch(event.currentTarget.checked)} />
        <span>{w("keys_on")}</span>
      </label>
      <p class="keys-said" role="status">
        {problem || w(changing ? "keys_press" : "keys_hint")}
      </p>
      <dl class="keys">
        {ACTIONS.map((action) => (
          <div key={action}>
            <dt>
              <button
                type="button"
                class="key-choice"
                aria-label={`${keymap.value[action].toUpperCase()}: ${w(WORDS[action])}. ${w("keys_hint")}`}
                data-testid={`key-${action}`}
                onClick={() => {
                  setProblem("");
                  setChanging(changing === action ? null : action);
                }}
              >
                <kbd>{changing === action ? "…" : keymap.value[action].toUpperCase()}</kbd>
              </button>
            </dt>
            <dd>{w(WORDS[action])}</dd>
          </div>
        ))}
        <Fixed name="Enter" word="key_confirm" />
        <Fixed name="Esc" word="key_close" />
      </dl>
      <button type="button" class="keys-reset" onClick={() => setKeymap(DEFAULT_KEYMAP)}>
        {w("keys_reset")}
      </button>
    </Sheet>
  );
}

function Fixed({ name, word }: { name: string; word: RoomWord }) {
  return (
    <div>
      <dt>
        <kbd>{name}</kbd>
      </dt>
      <dd>{w(word)}</dd>
    </div>
  );
}
