import { expect, test } from "vitest";
import { changeOf } from "./change";

test.each([
  [112, 100, "+12%"],
  [60, 100, "−40%"],
  [1004, 1000, "±0%"],
  [0, 0, "±0%"],
  [5, 0, "–"],
  [null, 5, "–"],
  [5, null, "–"],
  [0, 5, "−100%"],
])("from %j to %j is %s", (now, before, text) => {
  expect(changeOf(now, before, "en")).toBe(text);
});
