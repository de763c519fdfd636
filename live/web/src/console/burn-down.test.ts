import { describe, expect, it } from "vitest";
import type { StockValue } from "../shared/types";
import { addSample, emptyInMs, MAX_SAMPLES, type Sample, takenPerSecond } from "./burn-down";

function stock(available: number, held: number, sold: number): StockValue {
  const quota = available + held + sold;
  return { sale_id: "sl_1", quota, available, held, sold, waiting: 0, next_hold_ends_at_ms: null, epoch: 1, seq: 1 };
}

function fill(count: number, everyMs: number): readonly Sample[] {
  let samples: readonly Sample[] = [];
  for (let i = 0; i < count; i++) samples = addSample(samples, stock(count - i, 0, i), i * everyMs);
  return samples;
}

describe("samples", () => {
  it("the same numbers again add nothing", () => {
    const one = addSample([], stock(10, 0, 0), 0);
    expect(addSample(one, stock(10, 0, 0), 5000)).toBe(one);
  });

  it("a burst becomes one sample with its last numbers, and the start stays", () => {
    let samples = addSample([], stock(10, 0, 0), 0);
    samples = addSample(samples, stock(9, 1, 0), 20);
    samples = addSample(samples, stock(8, 2, 0), 60);
    expect(samples.map((s) => s.available)).toEqual([10, 8]);
  });

  it("stay bounded, keeping the first and the newest", () => {
    const samples = fill(5000, 1000);
    expect(samples.length).toBeLessThanOrEqual(MAX_SAMPLES);
    expect(samples[0]?.at_ms).toBe(0);
    expect(samples.at(-1)?.at_ms).toBe(4_999_000);
  });
});

describe("when it runs out", () => {
  it("follows the rate of the last twenty seconds", () => {
    const samples: Sample[] = [
      { at_ms: 0, available: 40, held: 0, sold: 0 },
      { at_ms: 10_000, available: 20, held: 10, sold: 10 },
    ];
    expect(takenPerSecond(samples, 10_000)).toBe(2);
    expect(emptyInMs(samples, 10_000)).toBe(10_000);
  });

  it("is unknown when nothing sells", () => {
    expect(emptyInMs([{ at_ms: 0, available: 5, held: 0, sold: 0 }], 10_000)).toBeNull();
    expect(emptyInMs([], 0)).toBeNull();
  });
});
