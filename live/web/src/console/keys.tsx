import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Sheet } from "../shared/sheet";
import { useDesk } from "./context";
import { type Command, commandOf, focusOf } from "./keymap";
import type { RoomDesk } from "./room-desk";
import { type ConsoleWord, w } from "./words";

/** True while Shift+E is kept down: the End early button then counts it as its own press. */
export const isEndKeyDown = signal(false);

const LIST: readonly (readonly [keys: readonly string[], word: ConsoleWord])[] = [
  [["1", "–", "9"], "key_select"],
  [["Shift", "1", "–", "9"], "key_pin"],
  [["U"], "key_unpin"],
  [["A"], "key_arm"],
  [["Shift", "Enter"], "key_fire"],
  [["Space"], "key_pause"],
  [["+"], "key_stock"],
  [["Shift", "E"], "key_end"],
  [["J", "K"], "key_messages"],
  [["H"], "key_hide"],
  [["T"], "key_mute"],
  [["/"], "key_write"],
  [["?"], "key_help"],
];

export function useKeys(desk: RoomDesk): void {
  useEffect(() => {
    const onDown = (event: KeyboardEvent): void => {
      if (document.querySelector("dialog[open]")) return;
      const command = commandOf(event, focusOf(event.target as Element));
      if (command && obey(desk, command)) event.preventDefault();
    };
    const onUp = (event: KeyboardEvent): void => {
      if (event.key.toLowerCase() === "e" || event.key === "Shift") isEndKeyDown.value = false;
    };
    const onBlur = (): void => void (isEndKeyDown.value = false);
    document.addEventListener("keydown", onDown);
    document.addEventListener("keyup", onUp);
    window.addEventListener("blur", onBlur);
    return () => {
      document.removeEventListener("keydown", onDown);
      document.removeEventListener("keyup", onUp);
      window.removeEventListener("blur", onBlur);
    };
  }, [desk]);
}

function obey(desk: RoomDesk, command: Command): boolean {
  const sale = desk.sale();
  switch (command.name) {
    case "select":
    case "pin": {
      const product = desk.products.peek()[command.index];
      if (!product) return false;
      desk.select(product.product_id);
      if (command.name === "pin") void desk.pin(product.product_id);
      return true;
    }
    case "unpin":
      if (desk.store.pin.peek().product_id) void desk.pin(null);
      return true;
    case "arm":
    case "fire":
      if (sale) void desk.act(sale, command.name);
      return true;
    case "toggle_pause":
      if (sale?.state === "open") void desk.act(sale, "pause", { reason: "host" });
      else if (sale?.state === "paused") void desk.act(sale, "resume");
      return sale?.state === "open" || sale?.state === "paused";
    case "add_stock":
      if (!sale || !desk.view(sale).controls.has("add_stock")) return false;
      desk.tray.value = "add_stock";
      return true;
    case "end_early":
      isEndKeyDown.value = true;
      return true;
    case "next_message":
    case "previous_message":
      desk.sideTab.value = "chat";
      desk.moderation.move(command.name === "next_message" ? 1 : -1);
      return true;
    case "hide_message": {
      const line = desk.moderation.selected();
      if (line) void desk.moderation.hide(line);
      return true;
    }
    case "mute_message": {
      const line = desk.moderation.selected();
      if (line) void desk.moderation.mute(line.viewer_id, line.name, 60);
      return true;
    }
    case "write":
      desk.sideTab.value = "chat";
      requestAnimationFrame(() => document.getElementById("composer")?.focus());
      return true;
    case "keys":
      desk.isKeysOpen.value = true;
      return true;
  }
}

export function KeysSheet() {
  const desk = useDesk();
  return (
    <Sheet title={w("keys_title")} kind="dialog" theme="dark" onClose={() => (desk.isKeysOpen.value = false)} testid="keys">
      <p class="keys-hint">{w("keys_hint")}</p>
      <dl class="keys">
        {LIST.map(([keys, word]) => (
          <div key={word}>
            <dt>
              {keys.map((key) => (key === "–" ? <span key={key}>–</span> : <kbd key={key}>{key}</kbd>))}
            </dt>
            <dd>{w(word)}</dd>
          </div>
        ))}
      </dl>
    </Sheet>
  );
}
