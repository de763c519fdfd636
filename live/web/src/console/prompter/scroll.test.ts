import { describe, expect, it } from "vitest";
import { FIRST_WISH, linesOf, readWish, Scroll, SIZES, SPEEDS, stepped } from "./scroll";

const run = (scroll: Scroll, seconds: number, isSmooth: boolean): boolean => {
  let goesOn = true;
  for (let n = 0; n < seconds * 20; n++) goesOn = scroll.advance(50, 12, 100, 1000, isSmooth);
  return goesOn;
};

describe("the text", () => {
  it("moves by so many lines a minute, smoothly", () => {
    const scroll = new Scroll();
    scroll.advance(50, 12, 100, 1000, true);
    expect(scroll.px).toBeCloseTo(1);
    expect(run(scroll, 10, true)).toBe(true);
    expect(scroll.px).toBeCloseTo(201);
  });

  it("moves at the same pace by whole lines where motion is too much", () => {
    const scroll = new Scroll();
    run(scroll, 4.9, false);
    expect(scroll.px).toBe(0);
    run(scroll, 0.2, false);
    expect(scroll.px).toBe(100);
    run(scroll, 20, false);
    expect(scroll.px).toBe(500);
  });

  it("stops at its end, and never runs away while the page slept", () => {
    const scroll = new Scroll(950);
    expect(run(scroll, 4, true)).toBe(false);
    expect(scroll.px).toBe(1000);
    const asleep = new Scroll();
    asleep.advance(600_000, 12, 100, 1000, true);
    expect(asleep.px).toBeCloseTo(5);
  });

  it("goes back and forward within its ends", () => {
    const scroll = new Scroll(100);
    scroll.jump(-300, 1000);
    expect(scroll.px).toBe(0);
    scroll.jump(5000, 1000);
    expect(scroll.px).toBe(1000);
  });
});

it("what was kept is taken over, and nonsense is not", () => {
  expect(readWish(JSON.stringify({ speed: 5, size: 2, isMirrored: true }))).toEqual({ speed: 5, size: 2, isMirrored: true });
  for (const bad of [null, "", "[]", "null", "{", '{"speed":99,"size":-1,"isMirrored":"yes"}', '{"speed":1.5}']) expect(readWish(bad)).toEqual(FIRST_WISH);
});

it("steps stay on their lists", () => {
  expect([stepped(SPEEDS, 0, -1), stepped(SPEEDS, SPEEDS.length - 1, 1), stepped(SIZES, 3, 1)]).toEqual([0, SPEEDS.length - 1, 4]);
});

it("what stands in brackets is a cue", () => {
  expect(linesOf("Hello\n\n [Link up]\n【上链接】\nnot [this] one").map((one) => one.isCue)).toEqual([false, false, true, true, false]);
});
