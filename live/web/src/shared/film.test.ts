import { expect, test } from "vitest";
import { chaptersOfPins, type Film, filmAt, type Happened, MAX_CHAPTERS, wallAt } from "./film";

const SPANS = [
  { at_s: 0, wall_ms: 1_000_000 },
  { at_s: 10, wall_ms: 1_100_000 }, // the host was away for 90 s
];
const FILM: Film = { url: "/f", captions_url: null, duration_s: 20, spans: SPANS };
const pin = (at_ms: number, product_id: string | null): Happened => ({ type: "pin", at_ms, data: { product_id } });

test("a moment of the film has its wall time, before and after a pause", () => {
  expect(wallAt(SPANS, 0)).toBe(1_000_000);
  expect(wallAt(SPANS, 9.5)).toBe(1_009_500);
  expect(wallAt(SPANS, 10)).toBe(1_100_000);
  expect(wallAt(SPANS, 12)).toBe(1_102_000);
});

test("a wall time has its moment of the film, and what happened in a pause the moment after it", () => {
  expect(filmAt(SPANS, 900_000, 20)).toBe(0);
  expect(filmAt(SPANS, 1_005_000, 20)).toBe(5);
  expect(filmAt(SPANS, 1_050_000, 20)).toBe(10);
  expect(filmAt(SPANS, 1_103_000, 20)).toBe(13);
  expect(filmAt(SPANS, 2_000_000, 20)).toBe(20);
});

test("what was pinned is prefilled as chapters in the film's time, with its name in both languages", () => {
  const events = [pin(1_002_500, "pr_mug"), { type: "comment", at_ms: 1_003_000, data: {} }, pin(1_004_000, null), pin(1_101_000, "pr_lamp")];
  const titles: Record<string, { en: string; zh: string }> = { pr_mug: { en: "Mug", zh: "马克杯" } };
  expect(chaptersOfPins(FILM, events, (id) => titles[id])).toEqual([
    { film_ms: 2_500, title: { en: "Mug", zh: "马克杯" }, product_id: "pr_mug" },
    { film_ms: 11_000, title: {}, product_id: "pr_lamp" },
  ]);
});

test("chapters of pins are in order, inside the film, and no more than can be kept", () => {
  const inThePause = [pin(1_020_000, "pr_mug"), pin(1_050_000, "pr_lamp")];
  const again = [pin(1_103_000, "pr_lamp"), pin(2_000_000, "pr_mug")];
  expect(chaptersOfPins(FILM, [...inThePause, ...again], () => ({ en: "x" })).map((one) => [one.film_ms, one.product_id])).toEqual([[10_000, "pr_lamp"]]);
  const many = Array.from({ length: 150 }, (_, index) => pin(1_000_000 + index * 50, `pr_${index % 2}`));
  expect(chaptersOfPins(FILM, many, () => ({}))).toHaveLength(MAX_CHAPTERS);
});
