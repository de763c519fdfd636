import { expect, test } from "vitest";
import type { Chapter, Film, Happened } from "../shared/film";
import { burnDown, momentOf, shownOf, stepsPath, stockThen, type StockTrack } from "./replay-sync";

const SPANS = [
  { at_s: 0, wall_ms: 1_000_000 },
  { at_s: 10, wall_ms: 1_100_000 }, // the host was away for 90 s
];

const FILM: Film = { url: "/f", captions_url: null, duration_s: 20, spans: SPANS };
const WHOLE = { fromS: 0, untilS: 20 };

const BEGAN = 1_000_000;
const track = (over: Partial<StockTrack>): StockTrack => ({
  sale_id: "sl_mug",
  product_id: "pr_mug",
  round: 1,
  price_minor: 5_000,
  currency: "CNY",
  opened_at_ms: BEGAN + 10_000,
  closed_at_ms: BEGAN + 40_000,
  points: [
    [10_000, 9, 0, 0],
    [12_000, 7, 2, 0],
    [39_000, 1, 0, 8],
  ],
  ...over,
});
const LAMP = track({ sale_id: "sl_lamp", product_id: "pr_lamp", opened_at_ms: BEGAN + 20_000, closed_at_ms: null, points: [[20_000, 5, 0, 0]] });

test("stock is that of the product on the card, as it stood at the moment", () => {
  const at = (s: number) => stockThen([track({}), LAMP], BEGAN, "pr_mug", BEGAN + s * 1000);
  expect(at(9)).toBeNull();
  expect(at(11)).toMatchObject({ available: 9, held: 0, sold: 0, quota: 9, isClosed: false });
  expect(at(12)).toMatchObject({ available: 7, held: 2, sold: 0, quota: 9 });
  expect(at(41)).toMatchObject({ available: 1, sold: 8, isClosed: true });
});

test("without a sale on the card it is that of the newest open sale", () => {
  expect(stockThen([track({}), LAMP], BEGAN, null, BEGAN + 15_000)?.track.sale_id).toBe("sl_mug");
  expect(stockThen([track({}), LAMP], BEGAN, "pr_cap", BEGAN + 25_000)?.track.sale_id).toBe("sl_lamp");
  expect(stockThen([track({})], BEGAN, "pr_cap", BEGAN + 41_000)).toBeNull();
});

test("the newest round counts, and one of which nothing is known shows nothing", () => {
  const second = track({ sale_id: "sl_mug_2", round: 2, opened_at_ms: BEGAN + 50_000, closed_at_ms: null, points: [[50_000, 3, 0, 0]] });
  expect(stockThen([track({}), second], BEGAN, "pr_mug", BEGAN + 45_000)?.track.round).toBe(1);
  expect(stockThen([track({}), second], BEGAN, "pr_mug", BEGAN + 51_000)?.track.round).toBe(2);
  expect(stockThen([track({ points: [] })], BEGAN, "pr_mug", BEGAN + 12_000)).toBeNull();
});

test("a burn-down has the film's time without its pauses, and shares of the most units there ever were", () => {
  const added = track({ points: [[0, 5, 0, 0], [5_000, 2, 2, 1], [50_000, 6, 1, 3]] });
  expect(burnDown(added, BEGAN, FILM, WHOLE)).toEqual([
    { from: 0, sold: 0, taken: 0, all: 0.5 },
    { from: 0.25, sold: 0.1, taken: 0.3, all: 0.5 },
    { from: 0.5, sold: 0.3, taken: 0.4, all: 1 }, // the host was away then
  ]);
  expect(burnDown(track({ points: [] }), BEGAN, FILM, WHOLE)).toEqual([]);
  expect(burnDown(added, BEGAN, FILM, { fromS: 0, untilS: 0 })).toEqual([]);
});

test("of a film that is cut the burn-down has what is shown, from how it stood there", () => {
  const added = track({ points: [[0, 5, 0, 0], [5_000, 2, 2, 1], [50_000, 6, 1, 3]] });
  expect(burnDown(added, BEGAN, FILM, { fromS: 6, untilS: 14 })).toEqual([
    { from: 0, sold: 0.1, taken: 0.3, all: 0.5 },
    { from: 0.5, sold: 0.3, taken: 0.4, all: 1 },
  ]);
  expect(burnDown(added, BEGAN, FILM, { fromS: 2, untilS: 5 })).toEqual([{ from: 0, sold: 0, taken: 0, all: 0.5 }]);
});

const edit = (from_film_ms: number, until_film_ms: number | null) => ({ version: 1, hidden: false, from_film_ms, until_film_ms, chapters: null });

test("what is shown of a film lies between the cuts, and is all of it where they leave nothing", () => {
  expect(shownOf(edit(0, null), 20)).toEqual(WHOLE);
  expect(shownOf(edit(2_500, 30_000), 20)).toEqual({ fromS: 2.5, untilS: 20 });
  expect(shownOf(edit(25_000, null), 20)).toEqual(WHOLE);
});

test("an item's moment is its chapter, else when it was pinned, as far as that is shown", () => {
  const pin = (at_ms: number, product_id: string | null): Happened => ({ type: "pin", at_ms, data: { product_id } });
  const events = [pin(1_001_000, "pr_mug"), pin(1_004_000, "pr_lamp"), pin(1_006_000, null)];
  const moved: Chapter[] = [{ film_ms: 3_000, title: { en: "Mug" }, product_id: "pr_mug" }];
  const at = (id: string, chapters: Chapter[], shown = WHOLE) => momentOf(id, chapters, FILM, events, shown);
  expect(at("pr_mug", moved)).toBe(3);
  expect(at("pr_mug", [])).toBe(1);
  expect(at("pr_mug", moved, { fromS: 3.5, untilS: 20 })).toBe(3.5);
  expect(at("pr_lamp", moved)).toBe(4);
  expect(at("pr_lamp", moved, { fromS: 6, untilS: 20 })).toBeNull();
  expect(at("pr_lamp", moved, { fromS: 0, untilS: 4 })).toBeNull();
  expect(at("pr_cap", moved)).toBeNull();
});

test("a part of it is drawn as steps that reach the end of the film", () => {
  const steps = [
    { from: 0.1, sold: 0, taken: 0.5, all: 1 },
    { from: 0.5, sold: 0.25, taken: 0.5, all: 1 },
  ];
  expect(stepsPath(steps, "sold", 100, 40)).toBe("M10 40V40H50V30H100V40Z");
  expect(stepsPath(steps, "all", 100, 40)).toBe("M10 40V0H50V0H100V40Z");
  expect(stepsPath([], "all", 100, 40)).toBe("");
});
