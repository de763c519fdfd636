import { describe, expect, it } from "vitest";
import { IDLE, type Press, type PressEvent, step } from "./press";

/** Run events at times; returns the times at which the action fired. */
function firedAt(...events: [PressEvent, number][]): number[] {
  let press: Press = IDLE;
  const fired: number[] = [];
  for (const [event, atMs] of events) {
    const next = step(press, event, atMs);
    press = next.press;
    if (next.fires) fired.push(atMs);
  }
  return fired;
}

describe("press and hold", () => {
  it("fires at 600 ms while still pressed", () => expect(firedAt(["down", 0], ["tick", 599], ["tick", 600])).toEqual([600]));
  it("a tap does nothing", () => expect(firedAt(["down", 0], ["up", 120], ["tick", 700])).toEqual([]));
  it("letting go one millisecond early does nothing", () => expect(firedAt(["down", 0], ["up", 599], ["tick", 900])).toEqual([]));
  it("letting go counts when the timer was late", () => expect(firedAt(["down", 0], ["up", 650], ["tick", 651])).toEqual([650]));
  it("leaving the button cancels, however late", () => expect(firedAt(["down", 0], ["leave", 900], ["tick", 950])).toEqual([]));
  it("fires once per press", () => {
    expect(firedAt(["down", 0], ["tick", 600], ["tick", 1200], ["down", 1300], ["tick", 2000], ["up", 2100])).toEqual([600]);
  });
  it("fires again only after letting go and holding again", () => {
    expect(firedAt(["down", 0], ["tick", 600], ["up", 700], ["down", 800], ["tick", 1400])).toEqual([600, 1400]);
  });
  it("a repeated down doesn't restart the clock", () => expect(firedAt(["down", 0], ["down", 500], ["tick", 600])).toEqual([600]));
});
