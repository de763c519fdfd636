import { expect, it, test } from "vitest";
import type { Chapter, ReplayEdit } from "../shared/film";
import { added, bodyOf, changed, differs, draftOf, isFull, isSeen, nudged, parseTime, problemsOf, removed, restored, typed } from "./replay-draft";

const FILM_MS = 3_725_400;
const PINS: Chapter[] = [
  { film_ms: 20_413, title: { en: "Mug", zh: "马克杯" }, product_id: "pr_mug" },
  { film_ms: 65_000, title: { zh: "台灯" }, product_id: "pr_lamp" },
];
const UNTOUCHED: ReplayEdit = { version: 0, hidden: false, from_film_ms: 0, until_film_ms: null, chapters: null };
const fresh = () => draftOf(UNTOUCHED, PINS, FILM_MS);

it.each([
  ["00:00", 0],
  ["2:05", 125_000],
  ["  02:05 ", 125_000],
  ["90:00", 5_400_000],
  ["1:02:03", 3_723_000],
  ["１：02", null],
  ["1：02", 62_000],
  ["1:60", null],
  ["1:60:00", null],
  ["75", null],
  ["1:2", null],
  ["-1:00", null],
  ["", null],
])("%j is %j ms", (text, ms) => {
  expect(parseTime(text)).toBe(ms);
});

test("an untouched replay is prefilled from its pins and saves as what it was", () => {
  const draft = fresh();
  expect(draft.chapters.map((one) => [one.starts.text, one.en, one.zh])).toEqual([
    ["00:20", "Mug", "马克杯"],
    ["01:05", "", "台灯"],
  ]);
  expect([draft.from.text, draft.until.text]).toEqual(["00:00", "1:02:05"]);
  expect(problemsOf(draft, FILM_MS)).toEqual(new Map());
  const { version: _version, ...content } = UNTOUCHED;
  expect(bodyOf(draft, PINS, FILM_MS)).toEqual({ ...content, film_length_ms: FILM_MS });
});

test("a change is kept, what was not touched stays to the millisecond, and undone it is none", () => {
  const renamed = changed(fresh(), 0, { en: " The mug " });
  expect(differs(renamed, fresh())).toBe(true);
  expect(bodyOf(renamed, PINS, FILM_MS).chapters).toEqual([{ film_ms: 20_413, title: { en: "The mug", zh: "马克杯" }, product_id: "pr_mug" }, PINS[1]]);
  const back = restored(removed(renamed, 1), PINS);
  expect(differs(back, fresh())).toBe(false);
  expect(bodyOf(back, PINS, FILM_MS).chapters).toBeNull();
  const none = removed(removed(fresh(), 0), 1);
  expect(bodyOf(none, PINS, FILM_MS).chapters).toEqual([]);
});

test("a chapter is added where its time belongs, with a key of its own", () => {
  const [draft, key] = added(fresh(), 30_000);
  expect(draft.chapters.map((one) => one.key)).toEqual([0, key, 1]);
  const [twice, other] = added(draft, 70_000);
  expect(twice.chapters.at(-1)?.key).toBe(other);
  expect(new Set(twice.chapters.map((one) => one.key)).size).toBe(4);
  expect(problemsOf(twice, FILM_MS)).toEqual(new Map([key, other].map((one) => [`title:${one}`, "title_missing"])));
});

test("a start is moved by seconds and stays in the film", () => {
  expect(nudged({ text: "00:20", ms: 20_413 }, 1_000, FILM_MS)).toEqual({ text: "00:21", ms: 21_413 });
  expect(nudged(typed("00:00"), -1_000, FILM_MS).ms).toBe(0);
  expect(nudged(typed("1:02:05"), 1_000, FILM_MS).ms).toBe(FILM_MS);
  expect(nudged(typed("soon"), 1_000, FILM_MS)).toEqual({ text: "soon", ms: null });
});

test("what can't be saved is named at its field", () => {
  const at = (text: string) => problemsOf(changed(fresh(), 1, { starts: typed(text) }), FILM_MS).get("time:1");
  expect([at("abc"), at("1:02:06"), at("00:20"), at("00:21")]).toEqual(["bad_time", "outside", "order", undefined]);
  const named = (zh: string) => problemsOf(changed(fresh(), 1, { zh }), FILM_MS).get("title:1");
  expect([named(" "), named("灯".repeat(81)), named("🫖".repeat(80))]).toEqual(["title_missing", "title_long", undefined]);
});

test("of the film at least a second is left, and the end as it is shown is its end", () => {
  const cut = (from: string, until: string) => ({ ...fresh(), from: typed(from), until: typed(until) });
  expect(problemsOf(cut("00:10", "00:10"), FILM_MS)).toEqual(new Map([["until", "cut_empty"]]));
  expect(problemsOf(cut("x", "1:10:00"), FILM_MS)).toEqual(new Map([["from", "bad_time"], ["until", "outside"]]));
  expect(bodyOf(cut("00:10", "1:02:05"), PINS, FILM_MS)).toMatchObject({ from_film_ms: 10_000, until_film_ms: null });
  expect(bodyOf(cut("00:10", "1:02:04"), PINS, FILM_MS)).toMatchObject({ until_film_ms: 3_724_000 });
});

test("a chapter in what is cut is kept, and known as not seen", () => {
  const draft = { ...fresh(), from: typed("00:21") };
  expect(problemsOf(draft, FILM_MS).size).toBe(0);
  expect(draft.chapters.map((one) => isSeen(draft, one, FILM_MS))).toEqual([false, true]);
});

test("there are at most a hundred chapters", () => {
  const many = (n: number) => draftOf({ ...UNTOUCHED, chapters: Array.from({ length: n }, (_, i) => ({ film_ms: i, title: { en: "x" }, product_id: null })) }, [], FILM_MS);
  expect([isFull(many(99)), isFull(many(100))]).toEqual([false, true]);
});
