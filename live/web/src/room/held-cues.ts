/**
 * Cues that wait for the picture: a card changes when the host is seen to show it, not seconds before. Only what is shown waits; stock,
 * clocks and the state of sales are told at once. No I/O and no clock of its own: time and delay are arguments.
 */

/** Below this nobody sees the difference. */
export const HOLD_ABOVE_MS = 300;
/** No cue waits longer, however late the picture is. */
export const MAX_HOLD_MS = 15_000;
const MAX_WAITING = 16;

/** What the host pinned and when, by the server's clock. */
export interface Cue {
  product_id: string | null;
  at_ms: number | null;
}

export interface Now {
  serverMs: number;
  /** How late the picture is; null without a moving picture, with an uncertain clock, or where the viewer wants cards at once. */
  delayMs: number | null;
  /** Whether the cue's product can be bought since after the cue: nobody loses time to buy by a late picture. */
  hasOpened: (cue: Cue) => boolean;
}

export class HeldCues {
  private shown: Cue;
  private waiting: Cue[] = [];

  constructor(first: Cue) {
    this.shown = first;
  }

  get isHolding(): boolean {
    return this.waiting.length > 0;
  }

  /** Another cue, in the order they were given. */
  offer(cue: Cue): void {
    this.waiting.push(cue);
    if (this.waiting.length > MAX_WAITING) this.shown = this.waiting.shift() ?? this.shown;
  }

  /** The newest cue that is due; what was shown once never goes back, whatever the delay does then. */
  at(now: Now): Cue {
    const last = this.waiting.findLastIndex((cue) => isDue(cue, now));
    const due = this.waiting[last];
    if (due) {
      this.shown = due;
      this.waiting = this.waiting.slice(last + 1);
    }
    return this.shown;
  }
}

function isDue(cue: Cue, now: Now): boolean {
  if (cue.at_ms === null || now.delayMs === null || now.delayMs < HOLD_ABOVE_MS) return true;
  return now.serverMs >= cue.at_ms + Math.min(now.delayMs, MAX_HOLD_MS) || now.hasOpened(cue);
}
