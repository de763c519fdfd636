import { describe, expect, it } from "vitest";
import { formatElapsed, formatRemaining, ServerClock } from "./clock";

describe("ServerClock", () => {
  it("believes the shortest round trip most", () => {
    const clock = new ServerClock(() => 0);
    clock.sample(0, 5_100, 400);
    clock.sample(1_000, 6_010, 1_020);
    clock.sample(2_000, 7_300, 2_600);
    expect(clock.now()).toBe(5_000);
    expect(clock.uncertaintyMs.value).toBe(10);
  });

  it("forgets what it measured before the local clock jumped", () => {
    const clock = new ServerClock(() => 0);
    clock.sample(0, 5_000, 10);
    clock.sample(60_000, 5_500, 60_100);
    expect(clock.now()).toBe(5_500 - 60_050);
  });

  it("is never behind a message the server has already stamped", () => {
    let localMs = 1_000;
    const clock = new ServerClock(() => localMs);
    clock.sample(1_000, 1_000, 1_000);
    localMs = 2_000;
    clock.atLeast(2_300);
    expect(clock.now()).toBe(2_300);
    clock.atLeast(1_500);
    expect(clock.now()).toBe(2_300);
  });
});

it("says 0:00 only when nothing is left", () => {
  expect([119_001, 60_000, 1, 0, -5].map(formatRemaining)).toEqual(["2:00", "1:00", "0:01", "0:00", "0:00"]);
  expect(formatRemaining(3_849_000)).toBe("1:04:09");
});

it("counts a show's age downwards to the second", () => {
  expect([754_900, 3_723_000].map(formatElapsed)).toEqual(["12:34", "1:02:03"]);
});
