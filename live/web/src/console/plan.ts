/** The show beside its plan. No I/O. */

const MINUTE_MS = 60_000;

export interface Progress {
  /** The minute planned for each item in the run's order, where one is. */
  minutes: readonly (number | null)[];
  /** The place of the item that is shown; -1 for none. */
  shown: number;
  /** When it was shown, and what time it is: ms since the show began. */
  shownAtMs: number;
  nowMs: number;
}

/** How many minutes the show is late at which item: below 0 it is early. Null where no plan says anything. */
export function lateness({ minutes, shown, shownAtMs, nowMs }: Progress): { at: number; by: number } | null {
  if (shown < 0) return null;
  const next = minutes.findIndex((minute, place) => place > shown && minute !== null);
  const overdue = next < 0 ? 0 : Math.floor(nowMs / MINUTE_MS) - (minutes[next] ?? 0);
  if (overdue >= 1) return { at: next, by: overdue };
  const planned = minutes[shown] ?? null;
  return planned === null ? null : { at: shown, by: Math.trunc(shownAtMs / MINUTE_MS - planned) };
}
