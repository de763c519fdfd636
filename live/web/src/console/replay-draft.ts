/** A replay while its owner edits it: typed times, chapters, what is not right, and what would be saved. No I/O. */

import { formatElapsed } from "../shared/clock";
import { type Chapter, MAX_CHAPTERS, type ReplayEdit } from "../shared/film";

export const MAX_TITLE = 80;
const MIN_SHOWN_MS = 1_000;
const TIME = /^(?:(\d{1,2}):)?(\d{1,3}):(\d{2})$/;

/** A time as it stands in its field; `ms` null where that is none. What was not typed keeps what lies below a second. */
export interface Moment {
  text: string;
  ms: number | null;
}

export interface DraftChapter {
  /** Of this draft, for as long as the chapter is in it. */
  key: number;
  starts: Moment;
  en: string;
  zh: string;
  productId: string | null;
}

export interface Draft {
  hidden: boolean;
  from: Moment;
  until: Moment;
  chapters: readonly DraftChapter[];
}

export type ReplayBody = Omit<ReplayEdit, "version"> & { film_length_ms: number };

export type Wrong = "bad_time" | "outside" | "order" | "cut_empty" | "title_missing" | "title_long";
/** Field -> what is wrong: `from`, `until`, `time:KEY`, `title:KEY`. */
export type Problems = ReadonlyMap<string, Wrong>;

/** "mm:ss" or "h:mm:ss" as milliseconds; null for anything else. */
export function parseTime(text: string): number | null {
  const found = TIME.exec(text.trim().replaceAll("：", ":"));
  if (!found) return null;
  const [hours, minutes, seconds] = [Number(found[1] ?? 0), Number(found[2]), Number(found[3])];
  if (seconds > 59 || (found[1] !== undefined && minutes > 59)) return null;
  return ((hours * 60 + minutes) * 60 + seconds) * 1000;
}

export const typed = (text: string): Moment => ({ text, ms: parseTime(text) });

export const momentAt = (ms: number): Moment => ({ text: formatElapsed(ms), ms });

/** So many milliseconds earlier or later, within the film; what is no time stays as it is. */
export function nudged(moment: Moment, byMs: number, filmMs: number): Moment {
  return moment.ms === null ? moment : momentAt(Math.min(filmMs, Math.max(0, moment.ms + byMs)));
}

/** The edit as a draft; `pins` are its chapters where nobody has made any. */
export function draftOf(edit: Omit<ReplayEdit, "version">, pins: readonly Chapter[], filmMs: number): Draft {
  return {
    hidden: edit.hidden,
    from: momentAt(edit.from_film_ms),
    until: momentAt(edit.until_film_ms ?? filmMs),
    chapters: draftChapters(edit.chapters ?? pins, 0),
  };
}

/** The chapters as they were pinned, in place of what was made of them. */
export function restored(draft: Draft, pins: readonly Chapter[]): Draft {
  return { ...draft, chapters: draftChapters(pins, nextKey(draft)) };
}

/** One more chapter, where its time belongs among the others. */
export function added(draft: Draft, ms: number): [Draft, key: number] {
  const key = nextKey(draft);
  const after = draft.chapters.findIndex((one) => one.starts.ms !== null && one.starts.ms > ms);
  const chapter: DraftChapter = { key, starts: momentAt(ms), en: "", zh: "", productId: null };
  return [{ ...draft, chapters: draft.chapters.toSpliced(after < 0 ? draft.chapters.length : after, 0, chapter) }, key];
}

export function changed(draft: Draft, key: number, values: Partial<DraftChapter>): Draft {
  return { ...draft, chapters: draft.chapters.map((one) => (one.key === key ? { ...one, ...values } : one)) };
}

export function removed(draft: Draft, key: number): Draft {
  return { ...draft, chapters: draft.chapters.filter((one) => one.key !== key) };
}

export const isFull = (draft: Draft): boolean => draft.chapters.length >= MAX_CHAPTERS;

/** Everything that can't be saved, by its field; the API's own rules. */
export function problemsOf(draft: Draft, filmMs: number): Problems {
  const found = new Map<string, Wrong>();
  const [from, until] = [draft.from.ms, untilOf(draft, filmMs)];
  if (from === null) found.set("from", "bad_time");
  if (until === null) found.set("until", "bad_time");
  else if (until > filmMs) found.set("until", "outside");
  else if (from !== null && from + MIN_SHOWN_MS > until) found.set("until", "cut_empty");
  let before = -1;
  for (const { key, starts, en, zh } of draft.chapters) {
    if (starts.ms === null) found.set(`time:${key}`, "bad_time");
    else if (starts.ms >= filmMs) found.set(`time:${key}`, "outside");
    else if (starts.ms <= before) found.set(`time:${key}`, "order");
    before = Math.max(before, starts.ms ?? -1);
    if (!en.trim() && !zh.trim()) found.set(`title:${key}`, "title_missing");
    else if (Math.max(lengthOf(en), lengthOf(zh)) > MAX_TITLE) found.set(`title:${key}`, "title_long");
  }
  return found;
}

/** Whether viewers see the chapter: it begins in what is left of the film. */
export function isSeen(draft: Draft, { starts }: DraftChapter, filmMs: number): boolean {
  const [from, until] = [draft.from.ms, untilOf(draft, filmMs)];
  return starts.ms === null || from === null || until === null || (starts.ms >= from && starts.ms < until);
}

/** What would be saved; chapters that are as they were pinned stay so, and follow the items' names. Only of a draft without problems. */
export function bodyOf(draft: Draft, pins: readonly Chapter[], filmMs: number): ReplayBody {
  const until = untilOf(draft, filmMs);
  const chapters = draft.chapters.map(chapterOf);
  return {
    film_length_ms: filmMs,
    hidden: draft.hidden,
    from_film_ms: draft.from.ms ?? 0,
    until_film_ms: until === filmMs ? null : until,
    chapters: JSON.stringify(chapters) === JSON.stringify(draftChapters(pins, 0).map(chapterOf)) ? null : chapters,
  };
}

/** Whether there is anything to save. */
export const differs = (one: Draft, other: Draft): boolean => JSON.stringify(plain(one)) !== JSON.stringify(plain(other));

function plain(draft: Draft): unknown {
  return [draft.hidden, draft.from, draft.until, draft.chapters.map(({ key: _key, ...rest }) => rest)];
}

/** The last whole second that the film's length shows is its end, whatever lies behind it. */
function untilOf({ until }: Draft, filmMs: number): number | null {
  return until.text === formatElapsed(filmMs) ? filmMs : until.ms;
}

function chapterOf({ starts, en, zh, productId }: DraftChapter): Chapter {
  const title = { ...(en.trim() && { en: en.trim() }), ...(zh.trim() && { zh: zh.trim() }) };
  return { film_ms: starts.ms ?? 0, title, product_id: productId };
}

function draftChapters(chapters: readonly Chapter[], firstKey: number): DraftChapter[] {
  return chapters.map((one, index) => ({
    key: firstKey + index,
    starts: momentAt(one.film_ms),
    en: one.title.en ?? "",
    zh: one.title.zh ?? "",
    productId: one.product_id,
  }));
}

/** As the API counts: characters, not the halves of a pair. */
const lengthOf = (text: string): number => [...text.trim()].length;

const nextKey = (draft: Draft): number => Math.max(-1, ...draft.chapters.map((one) => one.key)) + 1;
