import { describe, expect, it } from "vitest";
import type { Buyers, Delays, Rush, SaleFunnel } from "./data";
import { delayBars, funnel, joinedSamples, moneyLines, rushBars, stack } from "./figures";

const at = (at_ms: number, available: number, held = 0, sold = 0) => ({ at_ms, available, held, sold });

describe("stock", () => {
  it("takes the server's samples only from before this console's own begin", () => {
    const joined = joinedSamples([at(0, 10), at(1000, 8, 2), at(2000, 7, 3)], [at(1500, 8, 2), at(1700, 6, 4)]);
    expect(joined.map((one) => one.at_ms)).toEqual([0, 1000, 1500, 1700]);
    expect(joinedSamples([at(0, 10)], [])).toHaveLength(1);
  });

  it("is a stack whose top is the quota, and goes on to now", () => {
    const drawn = stack([at(0, 10), at(1000, 5, 3, 2)], 4000);
    expect(drawn.xs).toEqual([0, 1, 4]);
    expect(drawn.heldTop).toEqual([0, 5, 5]);
    expect(drawn.top).toEqual([10, 10, 10]);
  });
});

describe("the rush", () => {
  const rush: Rush = {
    bucket_ms: 50,
    opened_at_ms: 1,
    last_unit_t_ms: 210,
    granted: 3,
    refused: 5,
    buckets: [
      { t_ms: 50, granted: 1, refused: 0, other: 0 },
      { t_ms: 150, granted: 2, refused: 1, other: 0 },
      { t_ms: 900, granted: 0, refused: 4, other: 2 },
    ],
    complete: true,
  };

  it("draws empty buckets, too, and stacks refused on granted", () => {
    const bars = rushBars(rush);
    expect(bars.xs).toHaveLength(21);
    expect(bars.both[3]).toBe(3);
    expect(bars.both[4]).toBe(0);
    expect(bars.total).toBe(8);
  });

  it("calls those too fast that came before 150 ms were over", () => expect(rushBars(rush).tooFastPercent).toBe(13));

  it("has no share of nothing", () => expect(rushBars({ ...rush, buckets: [], last_unit_t_ms: null }).tooFastPercent).toBe(0));
});

describe("money", () => {
  const step = (at_ms: number, changes: object) => ({ at_ms, ghost: false, placed_minor: 0, paid_minor: 0, refunded_minor: 0, ...changes });

  it("adds up, never mixes, and leaves ghosts out unless asked", () => {
    const steps = [step(2000, { placed_minor: 100 }), step(3000, { paid_minor: 100 }), step(3000, { placed_minor: 50, ghost: true }), step(4000, { refunded_minor: 40 })];
    const people = moneyLines(steps, 1000, 9000, false);
    expect(people.xs).toEqual([1, 2, 3, 4, 9]);
    expect([people.placed.at(-1), people.paid.at(-1), people.refunded.at(-1)]).toEqual([100, 100, 40]);
    expect(moneyLines(steps, 1000, 9000, true).placed.at(-1)).toBe(150);
  });
});

describe("the funnel", () => {
  const none: Buyers = { tapped: 0, held: 0, placed: 0, paid: 0, expired: 0, declined: 0, cancelled: 0, refunded: 0, units_paid: 0, paid_minor: 0, refunded_minor: 0 };
  const sale = (watching: number, people: Partial<Buyers>): SaleFunnel => ({
    sale_id: "sl_1",
    product_id: "pr_1",
    round: 1,
    state: "open",
    watching,
    watching_ghosts: 5,
    people: { ...none, ...people },
    ghosts: { ...none, tapped: 5, held: 2 },
  });

  it("says what share of the step before went on", () => {
    const { steps } = funnel([sale(40, { tapped: 20, held: 10, placed: 8, paid: 6, expired: 1 })], false);
    expect(steps.map((one) => one.percentOfBefore)).toEqual([null, 50, 50, 80, 75]);
  });

  it("takes the most who watched, not the sum, and no share above all", () => {
    const { steps } = funnel([sale(4, { tapped: 4 }), sale(5, { tapped: 3 })], false);
    expect(steps[0]?.count).toBe(5);
    expect(steps[1]).toEqual({ name: "tapped", count: 7, percentOfBefore: null });
  });

  it("counts ghosts only when asked", () => expect(funnel([sale(4, {})], true).steps[1]?.count).toBe(5));
});

describe("the pictures' delays", () => {
  const none = { pages: 0, p50_ms: null, p95_ms: null };
  const delays = (...counts: [webrtc: number, hls: number][]): Delays => ({
    now_ms: 0,
    webrtc: none,
    hls: none,
    classes: counts.map(([webrtc, hls], n) => ({ up_to_ms: n === counts.length - 1 ? null : (n + 1) * 100, webrtc, hls })),
  });

  it("are drawn from the first class with a page to the last, HLS on WebRTC", () => {
    const bars = delayBars(delays([0, 0], [4, 0], [0, 0], [1, 6], [0, 0], [0, 0]));
    expect(bars.both).toEqual([4, 0, 7]);
    expect(bars.webrtc).toEqual([4, 0, 1]);
    expect(bars.bounds).toEqual([
      { fromMs: 100, toMs: 200 },
      { fromMs: 200, toMs: 300 },
      { fromMs: 300, toMs: 400 },
    ]);
    expect(bars.total).toBe(11);
  });

  it("have a last class without a bound", () => expect(delayBars(delays([0, 0], [0, 2])).bounds).toEqual([{ fromMs: 100, toMs: null }]));

  it("are nothing when nobody watches", () => expect(delayBars(delays([0, 0], [0, 0]))).toMatchObject({ xs: [], total: 0 }));
});
