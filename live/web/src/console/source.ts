/** How what is being done now was set off, for the room's log: by the input that came last, or by a line that was obeyed. */

export type Source = "key" | "mouse" | "touch" | "command";

let last: Source | null = null;

/** null before anything was pressed: then nobody set it off here. */
export function sourceNow(): Source | null {
  return last;
}

/** A line is obeyed: what follows is its doing, though it ended with a key. Until the next input. */
export function tookCommand(): void {
  last = "command";
}

/** Capturing, so that it is known before what hears the same event acts on it. A click by a script is nobody's. */
export function watchSource(target: Pick<EventTarget, "addEventListener">): void {
  const note = (event: Event): void => {
    if (event.isTrusted) last = sourceOf(event as KeyboardEvent | PointerEvent);
  };
  for (const type of ["keydown", "pointerdown"]) target.addEventListener(type, note, { capture: true });
}

function sourceOf(event: KeyboardEvent | PointerEvent): Source {
  if (!("pointerType" in event)) return "key";
  return event.pointerType === "mouse" ? "mouse" : "touch"; // a pen touches
}
