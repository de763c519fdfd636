import { describe, expect, it } from "vitest";
import { lateness } from "./plan";

const min = (n: number): number => n * 60_000;
const minutes = [2, null, 10, 18];

describe("the show beside its plan", () => {
  it.each([
    ["shown when planned, nothing else due", 0, min(2.5), min(9.9), { at: 0, by: 0 }],
    ["shown late", 0, min(5.2), min(6), { at: 0, by: 3 }],
    ["shown early", 2, min(6.8), min(7), { at: 2, by: -3 }],
    ["less than a minute either way is on time", 2, min(9.2), min(9.5), { at: 2, by: 0 }],
    ["the next one is due, whatever the one before was", 0, min(2), min(13.2), { at: 2, by: 3 }],
    ["an item without a minute waits for the next that has one", 1, min(4), min(11), { at: 2, by: 1 }],
    ["an item without a minute and nothing due says nothing", 1, min(4), min(5), null],
    ["the last one has nothing after it", 3, min(20), min(90), { at: 3, by: 2 }],
    ["nothing is shown", -1, 0, min(30), null],
  ] as const)("%s", (_, shown, shownAtMs, nowMs, expected) => {
    const found = lateness({ minutes, shown, shownAtMs, nowMs });
    expect(found && { ...found, by: found.by + 0 }).toEqual(expected);
  });
});
