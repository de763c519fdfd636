/**
 * A show's film, as viewers watch it again and its owner edits it. A film leaves pauses out, so each of its spans says when it began by the wall
 * clock. Of an edit, everything is in the film's own time.
 */

import type { MediaAccess } from "./media-session";
import type { Localised } from "./types";

/** As the API has it. */
export const MAX_CHAPTERS = 100;

export interface Span {
  at_s: number;
  wall_ms: number;
}

export interface Film {
  url: string;
  /** What was said, as WebVTT; null when nobody wrote it down. */
  captions_url: string | null;
  duration_s: number;
  spans: Span[];
}

/** What was said and shown while it was made. */
export interface Happened {
  type: string;
  at_ms: number;
  data: { id?: string; name?: string; text?: string; product_id?: string | null };
}

export interface Chapter {
  film_ms: number;
  title: Localised;
  product_id: string | null;
}

/** What the host has made of a film. */
export interface ReplayEdit {
  version: number;
  hidden: boolean;
  from_film_ms: number;
  /** null: to its end. */
  until_film_ms: number | null;
  /** null: as they were pinned. */
  chapters: Chapter[] | null;
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

/** A chapter for each thing that was shown, at most 100: what was pinned again without another between goes on, and of one moment the last counts. */
export function chaptersOfPins(film: Film, events: readonly Happened[], titleOf: (productId: string) => Localised | undefined): Chapter[] {
  const found: Chapter[] = [];
  for (const { type, at_ms, data } of events) {
    if (type !== "pin" || !data.product_id) continue;
    const film_ms = Math.round(filmAt(film.spans, at_ms, film.duration_s) * 1000);
    if (film_ms >= film.duration_s * 1000) continue;
    if (found.at(-1)?.film_ms === film_ms) found.pop();
    if (found.at(-1)?.product_id === data.product_id) continue;
    found.push({ film_ms, title: titleOf(data.product_id) ?? {}, product_id: data.product_id });
  }
  return found.slice(0, MAX_CHAPTERS);
}

/** What the media server says at an address. Throws when it refuses, or what `fetch` throws. */
export async function mediaJson<T>(access: MediaAccess, path = ""): Promise<T> {
  const response = await fetch(`${access.url}${path}`, { headers: { Authorization: `Bearer ${access.token}` } });
  if (!response.ok) throw new Error(`the media server answered ${response.status}`);
  return (await response.json()) as T;
}

/** An address of the media server that opens by itself: a `<video>` and a download send no headers. */
export function mediaAddress(access: MediaAccess, url: string): URL {
  const address = new URL(url, access.url);
  address.searchParams.set("token", access.token);
  return address;
}
