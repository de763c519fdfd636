import { describe, expect, it } from "vitest";
import { moved, placeAt } from "./run-order";

describe("moving in the run of show", () => {
  it.each([
    [0, 2, "bcad"],
    [3, 0, "dabc"],
    [1, 1, "abcd"],
    [2, 9, "abdc"],
    [1, -5, "bacd"],
    [7, 0, "abcd"],
  ])("%i to %i gives %s", (from, to, wanted) => expect(moved([..."abcd"], from, to).join("")).toBe(wanted));

  it("nothing is lost or doubled", () => {
    for (let from = 0; from < 4; from++) for (let to = 0; to < 4; to++) expect([...moved([..."abcd"], from, to)].sort().join("")).toBe("abcd");
  });

  const rows = [0, 60, 120, 180].map((top) => ({ top, bottom: top + 60 }));
  it.each([
    [10, 2, 0],
    [95, 0, 1],
    [140, 2, 2],
    [500, 0, 3],
    [-40, 3, 0],
  ])("dragged to %i from row %i it comes to place %i", (y, from, wanted) => expect(placeAt(y, rows, from)).toBe(wanted));
});
