/** How a script moves past the reader's eye. No I/O. */

/** Lines a minute. A speaker says about one line of five words in four seconds. */
export const SPEEDS = [6, 9, 12, 15, 19, 24, 30, 40] as const;
/** Of the letters, as a factor. */
export const SIZES = [0.6, 0.75, 0.9, 1, 1.2, 1.45, 1.75] as const;

export interface Wish {
  /** Places in SPEEDS and SIZES. */
  speed: number;
  size: number;
  isMirrored: boolean;
}

export const FIRST_WISH: Wish = { speed: 3, size: 3, isMirrored: false };

/** What was kept as JSON; whatever isn't right in it is as it was at first. */
export function readWish(text: string | null): Wish {
  try {
    const { speed, size, isMirrored } = JSON.parse(text ?? "{}") as Partial<Wish>;
    return {
      speed: isPlaceIn(SPEEDS, speed) ? speed : FIRST_WISH.speed,
      size: isPlaceIn(SIZES, size) ? size : FIRST_WISH.size,
      isMirrored: isMirrored === true,
    };
  } catch {
    return FIRST_WISH;
  }
}

function isPlaceIn(list: readonly number[], place: unknown): place is number {
  return Number.isInteger(place) && (place as number) in list;
}

/** One step along a list, and no further than its ends. */
export function stepped(list: readonly number[], place: number, by: number): number {
  return Math.min(list.length - 1, Math.max(0, place + by));
}

/** Where the text stands after so much time; `isSmooth` false moves it by whole lines, for whom motion is too much. */
export class Scroll {
  private restPx = 0;

  constructor(public px = 0) {}

  /** Gives false at the end. */
  advance(ms: number, linesPerMinute: number, lineHeightPx: number, maxPx: number, isSmooth: boolean): boolean {
    // After a pause of the page (a tab in the background) the text must not have run away.
    const movedPx = (Math.min(ms, 250) * linesPerMinute * lineHeightPx) / 60_000;
    if (isSmooth) this.px += movedPx;
    else {
      this.restPx += movedPx;
      const lines = Math.floor(this.restPx / lineHeightPx);
      this.restPx -= lines * lineHeightPx;
      this.px += lines * lineHeightPx;
    }
    this.px = Math.min(maxPx, this.px);
    return this.px < maxPx;
  }

  jump(byPx: number, maxPx: number): void {
    this.restPx = 0;
    this.px = Math.min(maxPx, Math.max(0, this.px + byPx));
  }
}

/** The lines of a script; what stands in brackets is to be done, not said. */
export function linesOf(script: string): { text: string; isCue: boolean }[] {
  return script.split("\n").map((line) => ({ text: line, isCue: /^\s*[[【].*[\]】]\s*$/.test(line) }));
}
