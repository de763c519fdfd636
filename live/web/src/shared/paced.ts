/** What moves too often to be drawn each time: a busy chat changes twenty times a second, and nobody reads faster than five. */

import { type ReadonlySignal, effect, signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

export interface Paced<T> {
  readonly signal: ReadonlySignal<T>;
  /** Begin to follow; gives back how to stop. */
  follow(): () => void;
}

/** Follows `source` at once after a quiet moment, and else at most every `everyMs`, always up to its last value. */
export function paced<T>(source: ReadonlySignal<T>, everyMs: number): Paced<T> {
  const shown = signal(source.peek());
  function follow(): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let shownAtMs = -Infinity;
    const show = (): void => {
      timer = undefined;
      shownAtMs = performance.now();
      shown.value = source.peek();
    };
    const stop = effect(() => {
      void source.value;
      const waitMs = shownAtMs + everyMs - performance.now();
      if (waitMs <= 0) show();
      else timer ??= setTimeout(show, waitMs);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }
  return { signal: shown, follow };
}

/** The same for a component. */
export function usePaced<T>(source: ReadonlySignal<T>, everyMs: number): ReadonlySignal<T> {
  const made = useMemo(() => paced(source, everyMs), [source, everyMs]);
  useEffect(() => made.follow(), [made]);
  return made.signal;
}
