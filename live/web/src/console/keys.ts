import { useLayoutEffect } from "preact/hooks";
import { commandOf, focusOf } from "./keymap";
import { isEndKeyDown, obey } from "./obey";
import { areKeysOn, keymap } from "./own-keys";
import type { RoomDesk } from "./room-desk";

/** A layout effect: the keys work from the moment the desk is seen. */
export function useKeys(desk: RoomDesk): void {
  useLayoutEffect(() => {
    const onDown = (event: KeyboardEvent): void => {
      if (document.querySelector("dialog[open]")) return;
      const command = commandOf(event, focusOf(event.target as Element), keymap.peek(), areKeysOn.peek());
      if (command && obey(desk, command)) event.preventDefault();
    };
    const release = (): void => void (isEndKeyDown.value = false);
    document.addEventListener("keydown", onDown);
    document.addEventListener("keyup", release);
    window.addEventListener("blur", release);
    return () => {
      document.removeEventListener("keydown", onDown);
      document.removeEventListener("keyup", release);
      window.removeEventListener("blur", release);
    };
  }, [desk]);
}
