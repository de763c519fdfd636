/** What a viewer of a film sees beside it, in step: stock as it stood, and the part of the film that the host shows. */

import { type Chapter, type Film, filmAt, type Happened, type ReplayEdit, type Span } from "../shared/film";

/** What is shown of a film, in its own time. */
export interface Shown {
  fromS: number;
  untilS: number;
}

/** The part of the film between the host's cuts; all of it where they leave nothing. */
export function shownOf(edit: ReplayEdit, durationS: number): Shown {
  const fromS = edit.from_film_ms / 1000;
  const untilS = Math.min(durationS, (edit.until_film_ms ?? Infinity) / 1000);
  return fromS < untilS ? { fromS, untilS } : { fromS: 0, untilS: durationS };
}

export const isShown = (shown: Shown, filmMs: number): boolean => filmMs >= shown.fromS * 1000 && filmMs < shown.untilS * 1000;

/** Where an item is shown first: at its chapter; without one, while it was pinned, as far as that isn't cut. Null when it isn't seen. */
export function momentOf(productId: string, chapters: readonly Chapter[], film: Film, events: readonly Happened[], shown: Shown): number | null {
  const chapter = chapters.find((one) => one.product_id === productId && isShown(shown, one.film_ms));
  if (chapter) return chapter.film_ms / 1000;
  const pins = events.filter((one) => one.type === "pin");
  for (const [index, pin] of pins.entries()) {
    if (pin.data.product_id !== productId) continue;
    const next = pins[index + 1];
    const begins = Math.max(shown.fromS, filmAt(film.spans, pin.at_ms, film.duration_s));
    const ends = next ? filmAt(film.spans, next.at_ms, film.duration_s) : film.duration_s;
    if (begins < Math.min(ends, shown.untilS)) return begins;
  }
  return null;
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

/** From `from` of what is shown of the film (0 to 1) on: shares of the most units the sale ever had. */
export interface BurnStep {
  from: number;
  sold: number;
  /** Sold and held together. */
  taken: number;
  all: number;
}

/** A sale's stock over what is shown of the film, for a plot under its timeline. Empty where nothing is known. */
export function burnDown(track: StockTrack, beganMs: number, film: { spans: readonly Span[]; duration_s: number }, { fromS, untilS }: Shown): BurnStep[] {
  const most = Math.max(0, ...track.points.map(([, available, held, sold]) => available + held + sold));
  if (!most || untilS <= fromS) return [];
  const steps = track.points.map(([afterMs, available, held, sold]) => ({
    from: (filmAt(film.spans, beganMs + afterMs, film.duration_s) - fromS) / (untilS - fromS),
    sold: sold / most,
    taken: (sold + held) / most,
    all: (sold + held + available) / most,
  }));
  // Of what was before the beginning the last holds there; what comes after the end is not drawn.
  const first = Math.max(0, steps.findLastIndex((step) => step.from <= 0));
  return steps.slice(first).flatMap((step) => (step.from < 1 ? [{ ...step, from: Math.max(0, step.from) }] : []));
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
