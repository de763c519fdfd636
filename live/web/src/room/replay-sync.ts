/** A film's time and the wall clock's: a film leaves pauses out, so each of its spans says when it began. */

export interface Span {
  at_s: number;
  wall_ms: number;
}

/** The wall time of a moment of the film. */
export function wallAt(spans: readonly Span[], filmS: number): number {
  let span = spans[0];
  for (const one of spans) if (one.at_s <= filmS + 0.001) span = one;
  return span ? span.wall_ms + (filmS - span.at_s) * 1000 : 0;
}

/** The moment of the film that shows a wall time; what happened in a pause belongs to the moment after it. */
export function filmAt(spans: readonly Span[], wallMs: number, durationS: number): number {
  let at = 0;
  for (const [index, span] of spans.entries()) {
    if (span.wall_ms > wallMs) break;
    const end = spans[index + 1]?.at_s ?? durationS;
    at = Math.min(end, span.at_s + (wallMs - span.wall_ms) / 1000);
  }
  return at;
}
