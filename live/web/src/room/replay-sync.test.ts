import { expect, test } from "vitest";
import { filmAt, wallAt } from "./replay-sync";

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
