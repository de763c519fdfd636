/** Stock over time from the values received: samples, their thinning, and when it will run out. No I/O. */

import type { StockValue } from "../shared/types";

export interface Sample {
  at_ms: number;
  available: number;
  held: number;
  sold: number;
}

export const MAX_SAMPLES = 400;
const SAME_MS = 200;
const RATE_WINDOW_MS = 20_000;

/** Append what was received; close together they are one sample, and too many are thinned in their older half. */
export function addSample(samples: readonly Sample[], stock: StockValue, atMs: number): readonly Sample[] {
  const sample: Sample = { at_ms: atMs, available: stock.available, held: stock.held, sold: stock.sold };
  const last = samples.at(-1);
  if (last && last.available === sample.available && last.held === sample.held && last.sold === sample.sold) return samples;
  // The first one is the start and stays, however fast the second follows.
  const kept = last && samples.length > 1 && atMs - last.at_ms < SAME_MS ? samples.slice(0, -1) : samples;
  const grown = [...kept, sample];
  if (grown.length <= MAX_SAMPLES) return grown;
  const half = grown.length >> 1;
  return grown.filter((_, index) => index === 0 || index >= half || index % 2 === 0);
}

/** Units taken per second over the last 20 s; 0 when nothing was. Added stock doesn't count as giving back. */
export function takenPerSecond(samples: readonly Sample[], nowMs: number): number {
  const fromMs = nowMs - RATE_WINDOW_MS;
  const first = samples[0];
  if (!first) return 0;
  let base = first;
  for (const sample of samples) if (sample.at_ms <= fromMs) base = sample;
  const last = samples.at(-1) as Sample;
  const taken = last.sold + last.held - (base.sold + base.held);
  const spanMs = Math.min(RATE_WINDOW_MS, nowMs - first.at_ms);
  return spanMs < 1000 ? 0 : Math.max(0, (taken * 1000) / spanMs);
}

/** How long until nothing is available at the present rate; null when it won't happen at that rate. */
export function emptyInMs(samples: readonly Sample[], nowMs: number): number | null {
  const last = samples.at(-1);
  const rate = takenPerSecond(samples, nowMs);
  if (!last || rate <= 0) return null;
  return Math.round((last.available / rate) * 1000);
}
