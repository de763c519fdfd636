import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Sheet } from "../shared/sheet";
import { useSession } from "./context";
import type { RoomSession } from "./session";
import { type RoomWord, w } from "./words";

const STORAGE_KEY = "flashroom.keys";
const areOn = signal(readSwitch());

const LIST: readonly (readonly [key: string, word: RoomWord])[] = [
  ["B", "key_buy"],
  ["Enter", "key_confirm"],
  ["Esc", "key_close"],
  ["C", "key_chat"],
  ["P", "key_pause"],
  ["L", "key_like"],
  ["G", "key_bag"],
  ["T", "key_things"],
  ["F", "key_fairness"],
  ["?", "key_help"],
];

function readSwitch(): boolean {
  try {
    return localStorage.getItem(STORAGE_KEY) !== "off";
  } catch {
    return true;
  }
}

function setSwitch(on: boolean): void {
  areOn.value = on;
  try {
    localStorage.setItem(STORAGE_KEY, on ? "on" : "off");
  } catch {
    // Then it holds for this page.
  }
}

/** Single-letter keys: off while typing, off with a modifier, and switchable off for good. */
export function useKeys(session: RoomSession, isDesktop: boolean): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const target = event.target as HTMLElement;
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
      if (target.closest("input, textarea, select, [contenteditable]")) return;
      if (!areOn.value && event.key !== "?") return;
      if (press(session, isDesktop, event.key)) event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [session, isDesktop]);
}

function press(session: RoomSession, isDesktop: boolean, key: string): boolean {
  const panel = session.panel.peek();
  switch (key.toLowerCase()) {
    case "b": {
      const productId = panel?.kind === "product" ? panel.productId : session.pinned.peek()?.product_id;
      const sale = productId ? session.saleOf(productId) : null;
      if (sale && panel?.kind !== "checkout") void session.buy(sale);
      return true;
    }
    case "c":
      if (isDesktop) session.sideTab.value = "chat";
      // The field may have to appear first.
      requestAnimationFrame(() => document.getElementById(isDesktop ? "comment-side" : "comment-dock")?.focus());
      return true;
    case "p":
      session.isChatPaused.value = !session.isChatPaused.peek();
      return true;
    case "l":
      session.like();
      return true;
    case "g":
      if (isDesktop) document.querySelector<HTMLElement>(".bag-item")?.focus();
      else session.panel.value = { kind: "bag" };
      return true;
    case "t":
      session.panel.value = { kind: "things" };
      return true;
    case "f":
      if (isDesktop) session.sideTab.value = "fairness";
      else session.panel.value = { kind: "fairness" };
      return true;
    case "?":
      session.panel.value = { kind: "keys" };
      return true;
    default:
      return false;
  }
}

export function KeysSheet() {
  const session = useSession();
  return (
    <Sheet title={w("keys")} kind="dialog" onClose={() => (session.panel.value = null)} testid="keys">
      <label class="switch">
        <input type="checkbox" checked={areOn.value} onChange={(event) => setSwitch(event.currentTarget.checked)} />
        <span>{w("keys_on")}</span>
      </label>
      <dl class="keys">
        {LIST.map(([key, word]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{w(word)}</dd>
          </div>
        ))}
      </dl>
    </Sheet>
  );
}
