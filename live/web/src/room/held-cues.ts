/**
 * Cues that wait for the picture: a card changes when the host is seen to show it, a caption comes when its words are heard, not seconds
 * before. Only what is shown waits; stock, clocks and the state of sales are told at once. No I/O and no clock of its own: time and delay
 * are arguments.
 */

/** Below this nobody sees the difference. */
export const HOLD_ABOVE_MS = 300;
/** No cue waits longer, however late the picture is. */
export const MAX_HOLD_MS = 15_000;
/** Five a second, as fast as a recogniser mends its line, for as long as a cue waits at most. */
export const MAX_WAITING = 75;

/** Something to show, and the moment of the show it belongs to, by the server's clock; null: it is old. */
export interface Timed {
  at_ms: number | null;
}

/** What the host pinned. */
export interface PinCue extends Timed {
  product_id: string | null;
}

export interface Now<Cue> {
  serverMs: number;
  /** How late the picture is; null without a moving picture, with an uncertain clock, or where the viewer wants cues at once. */
  delayMs: number | null;
  /** What is shown at once, however late the picture is. */
  isUrgent?: (cue: Cue) => boolean;
}

export class HeldCues<Cue extends Timed> {
  private shown: Cue;
  private waiting: Cue[] = [];

  constructor(first: Cue) {
    this.shown = first;
  }

  get isHolding(): boolean {
    return this.waiting.length > 0;
  }

  /** Another cue, in the order they were given. Beyond the bound it takes the place of the one before it: nothing is shown too early. */
  offer(cue: Cue): void {
    if (this.waiting.length === MAX_WAITING) this.waiting.pop();
    this.waiting.push(cue);
  }

  /** The newest cue that is due; what was shown once never goes back, whatever the delay does then. */
  at(now: Now<Cue>): Cue {
    const last = this.waiting.findLastIndex((cue) => isDue(cue, now));
    const due = this.waiting[last];
    if (due) {
      this.shown = due;
      this.waiting = this.waiting.slice(last + 1);
    }
    return this.shown;
  }
}

function isDue<Cue extends Timed>(cue: Cue, now: Now<Cue>): boolean {
  if (cue.at_ms === null || now.delayMs === null || now.delayMs < HOLD_ABOVE_MS) return true;
  return now.serverMs >= cue.at_ms + Math.min(now.delayMs, MAX_HOLD_MS) || (now.isUrgent?.(cue) ?? false);
}
