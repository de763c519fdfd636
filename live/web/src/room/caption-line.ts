/** The line of captions over the picture: it comes with the moment its words belong to, and stays its time from then on. */

import type { CaptionsValue } from "../shared/types";
import { HeldCues, MAX_HOLD_MS, type Now } from "./held-cues";

export interface ShownCaption {
  text: string;
  language: string | null;
  /** By the server's clock; it is over before when another line is shown. */
  until_ms: number;
}

interface Line {
  text: string;
  language: string | null;
  at_ms: number;
  came_ms: number;
  /** What was left of its time when it came: a line that somebody finds on coming in is nearly over. */
  lasts_ms: number;
}

const NOTHING: Line = { text: "", language: null, at_ms: 0, came_ms: 0, lasts_ms: 0 };

export class CaptionLine {
  private readonly cues = new HeldCues<Line>(NOTHING);
  private line = NOTHING;
  private shown: ShownCaption | null = null;

  get isHolding(): boolean {
    return this.cues.isHolding;
  }

  /** Another line came, `serverMs` by the server's clock; an empty one takes the line away, in its turn. */
  offer(caption: CaptionsValue, serverMs: number): void {
    const { text, language, at_ms, until_ms } = caption;
    this.cues.offer({ text, language, at_ms, came_ms: serverMs, lasts_ms: Math.max(0, until_ms - serverMs) });
  }

  /** The line to show; the same object as long as it is the same line, null when there is none. */
  at(now: Now<never>): ShownCaption | null {
    const { serverMs, delayMs } = now;
    const line = this.cues.at({ serverMs, delayMs });
    if (line !== this.line) {
      this.line = line;
      const { text, language } = line;
      // From when it was due, not from now: a page that slept doesn't show for 8 s what was said a minute ago.
      const dueMs = Math.max(line.came_ms, line.at_ms + Math.min(delayMs ?? 0, MAX_HOLD_MS));
      this.shown = text && line.lasts_ms > 0 ? { text, language, until_ms: dueMs + line.lasts_ms } : null;
    }
    if (this.shown !== null && serverMs >= this.shown.until_ms) this.shown = null;
    return this.shown;
  }
}
