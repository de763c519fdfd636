import { expect, test } from "vitest";
import { filmAt, stockThen, type StockTrack, wallAt } from "./replay-sync";

const SPANS = [
  { at_s: 0, wall_ms: 1_000_000 },
  { at_s: 10, wall_ms: 1_100_000 }, // the host was away for 90 s
];

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
