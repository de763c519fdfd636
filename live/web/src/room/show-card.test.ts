import { expect, test } from "vitest";
import { timeUntil } from "./show-card";

test("the time until the show is counted in whole seconds, days apart", () => {
  expect(timeUntil(1)).toBe("00:00:01");
  expect(timeUntil(3_723_000)).toBe("01:02:03");
  expect(timeUntil(2 * 86_400_000 + 5_000)).toBe("2 d 00:00:05");
});

test("when the time has come there is nothing to count", () => {
  expect(timeUntil(0)).toBe("");
  expect(timeUntil(-5_000)).toBe("");
});
