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

/** A sale's stock over the show; a point is [ms after the beginning, available, held, sold] and holds until the next one. */
export interface StockTrack {
  sale_id: string;
  product_id: string;
  round: number;
  price_minor: number;
  currency: string;
  opened_at_ms: number;
  closed_at_ms: number | null;
  points: readonly (readonly [afterMs: number, available: number, held: number, sold: number])[];
}

export interface StockThen {
  track: StockTrack;
  available: number;
  held: number;
  sold: number;
  quota: number;
  /** The sale took no taps any more. */
  isClosed: boolean;
}

/** From `from` of the film (0 to 1) on: shares of the most units the sale ever had. */
export interface BurnStep {
  from: number;
  sold: number;
  /** Sold and held together. */
  taken: number;
  all: number;
}

/** A sale's stock over the whole film, for a plot under its timeline. Empty where nothing is known. */
export function burnDown(track: StockTrack, beganMs: number, spans: readonly Span[], durationS: number): BurnStep[] {
  const most = Math.max(0, ...track.points.map(([, available, held, sold]) => available + held + sold));
  if (!most || durationS <= 0) return [];
  return track.points.map(([afterMs, available, held, sold]) => ({
    from: filmAt(spans, beganMs + afterMs, durationS) / durationS,
    sold: sold / most,
    taken: (sold + held) / most,
    all: (sold + held + available) / most,
  }));
}

/** The outline of one part of a burn-down as an SVG path, on a canvas of that size: steps, down to the ground at both ends. */
export function stepsPath(steps: readonly BurnStep[], part: "sold" | "taken" | "all", width: number, height: number): string {
  const [first] = steps;
  if (!first) return "";
  const n = (value: number): string => String(Math.round(value * 10) / 10);
  const corners = steps.map((step, index) => `V${n(height * (1 - step[part]))}H${n(width * (steps[index + 1]?.from ?? 1))}`);
  return `M${n(width * first.from)} ${height}${corners.join("")}V${height}Z`;
}

/**
 * The stock to show at a moment: of the newest round on the product that was on the card then, else of the newest sale that was open. Null
 * before one has opened, and where nothing is known of it.
 */
export function stockThen(tracks: readonly StockTrack[], beganMs: number, pinnedId: string | null, wallMs: number): StockThen | null {
  const isOpen = (track: StockTrack): boolean => track.closed_at_ms === null || wallMs < track.closed_at_ms;
  const opened = tracks.filter((one) => one.opened_at_ms <= wallMs).toSorted((a, b) => b.opened_at_ms - a.opened_at_ms);
  const track = opened.find((one) => one.product_id === pinnedId) ?? opened.find(isOpen);
  const point = track?.points.findLast(([afterMs]) => beganMs + afterMs <= wallMs);
  if (!track || !point) return null;
  const [, available, held, sold] = point;
  return { track, available, held, sold, quota: available + held + sold, isClosed: !isOpen(track) };
}
