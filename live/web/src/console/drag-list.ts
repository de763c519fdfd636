import { useRef, useState } from "preact/hooks";
import { placeAt } from "./run-order";

const SCROLL_ZONE_PX = 40;
const SCROLL_STEP_PX = 12;

export interface Drag {
  from: number;
  to: number;
}

/** Dragging rows of a list by their handles, with mouse, pen or finger. `list` scrolls by itself at its edges. */
export function useDrag(onDrop: (from: number, to: number) => void) {
  const list = useRef<HTMLOListElement>(null);
  const [drag, setDrag] = useState<Drag | null>(null);
  const current = useRef<Drag | null>(null);
  const put = (next: Drag | null): void => {
    current.current = next;
    setDrag(next);
  };
  const handle = (index: number) => ({
    onPointerDown: (event: PointerEvent): void => {
      if (event.button !== 0) return;
      (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
      put({ from: index, to: index });
    },
    onPointerMove: (event: PointerEvent): void => {
      const element = list.current;
      if (!current.current || !element) return;
      const box = element.getBoundingClientRect();
      if (event.clientY < box.top + SCROLL_ZONE_PX) element.scrollTop -= SCROLL_STEP_PX;
      if (event.clientY > box.bottom - SCROLL_ZONE_PX) element.scrollTop += SCROLL_STEP_PX;
      const rows = [...element.children].map((row) => row.getBoundingClientRect());
      const to = placeAt(event.clientY, rows, current.current.from);
      if (to !== current.current.to) put({ from: current.current.from, to });
    },
    onPointerUp: (): void => {
      const done = current.current;
      put(null);
      if (done && done.from !== done.to) onDrop(done.from, done.to);
    },
    onPointerCancel: (): void => put(null),
  });
  return { list, drag, handle };
}

/** Where the line of the drop stands at a row: above it, below it, or not at all. */
export function dropLine(drag: Drag | null, index: number): "above" | "below" | undefined {
  if (!drag || drag.to === drag.from || index !== drag.to) return undefined;
  return drag.to < drag.from ? "above" : "below";
}
