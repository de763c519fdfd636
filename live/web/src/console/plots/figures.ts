/** From what the API and the room say to the numbers that are drawn. No I/O, no words. */

import type { Sample } from "../burn-down";
import type { Buyers, Delays, MoneyStep, Rush, SaleFunnel } from "./data";

/** Hands that react to what the eye sees need longer than this. */
export const HUMAN_MS = 150;
export const RUSH_SHOWN_MS = 10_000;

/** The server's samples up to where this console's own begin: the own ones are finer. */
export function joinedSamples(kept: readonly Sample[], own: readonly Sample[]): Sample[] {
  const from = own[0]?.at_ms ?? Number.POSITIVE_INFINITY;
  return [...kept.filter((one) => one.at_ms < from), ...own];
}

export interface Stack {
  xs: number[];
  sold: number[];
  held: number[];
  available: number[];
  /** Sums, from the ground up: sold, sold and held, all. */
  heldTop: number[];
  top: number[];
}

/** A stack of steps in seconds; the last numbers go on to `untilMs`. */
export function stack(samples: readonly Sample[], untilMs: number): Stack {
  const made: Stack = { xs: [], sold: [], held: [], available: [], heldTop: [], top: [] };
  const last = samples.at(-1);
  const ended = last && untilMs > last.at_ms ? [...samples, { ...last, at_ms: untilMs }] : samples;
  for (const { at_ms, sold, held, available } of ended) {
    made.xs.push(at_ms / 1000);
    made.sold.push(sold);
    made.held.push(held);
    made.available.push(available);
    made.heldTop.push(sold + held);
    made.top.push(sold + held + available);
  }
  return made;
}

export interface RushBars {
  xs: number[];
  granted: number[];
  refused: number[];
  /** Granted below, refused on top of it. */
  both: number[];
  /** Of all requests shown, how many came before a person can have seen the opening, in percent. */
  tooFastPercent: number;
  total: number;
}

/** Every bucket from the opening to the last request (at most the first 10 s), also the empty ones: a gap is a fact. */
export function rushBars(rush: Rush): RushBars {
  const byTime = new Map(rush.buckets.map((one) => [one.t_ms, one]));
  const lastMs = Math.min(RUSH_SHOWN_MS, Math.max(1_000, ...rush.buckets.map((one) => one.t_ms), rush.last_unit_t_ms ?? 0) + rush.bucket_ms);
  const made: RushBars = { xs: [], granted: [], refused: [], both: [], tooFastPercent: 0, total: 0 };
  let tooFast = 0;
  for (let t = 0; t < lastMs; t += rush.bucket_ms) {
    const { granted = 0, refused = 0 } = byTime.get(t) ?? {};
    made.xs.push(t / 1000);
    made.granted.push(granted);
    made.refused.push(refused);
    made.both.push(granted + refused);
    made.total += granted + refused;
    if (t + rush.bucket_ms <= HUMAN_MS) tooFast += granted + refused;
  }
  made.tooFastPercent = made.total ? Math.round((tooFast * 100) / made.total) : 0;
  return made;
}

export interface MoneyLines {
  xs: number[];
  placed: number[];
  paid: number[];
  refunded: number[];
}

/** Sums so far, one point per step in which something happened, from zero at the start and on to now. */
export function moneyLines(steps: readonly MoneyStep[], sinceMs: number, nowMs: number, withGhosts: boolean): MoneyLines {
  const made: MoneyLines = { xs: [sinceMs / 1000], placed: [0], paid: [0], refunded: [0] };
  let [placed, paid, refunded] = [0, 0, 0];
  const add = (atMs: number): void => {
    if (made.xs.at(-1) === atMs / 1000) for (const line of [made.xs, made.placed, made.paid, made.refunded]) line.pop();
    made.xs.push(atMs / 1000);
    made.placed.push(placed);
    made.paid.push(paid);
    made.refunded.push(refunded);
  };
  for (const step of [...steps].sort((a, b) => a.at_ms - b.at_ms)) {
    if (step.ghost && !withGhosts) continue;
    placed += step.placed_minor;
    paid += step.paid_minor;
    refunded += step.refunded_minor;
    add(step.at_ms);
  }
  if (nowMs > (made.xs.at(-1) ?? 0) * 1000) add(nowMs);
  return made;
}

export interface Funnel {
  steps: { name: "watching" | "tapped" | "held" | "placed" | "paid"; count: number; percentOfBefore: number | null }[];
  lost: Pick<Buyers, "expired" | "declined" | "cancelled" | "refunded">;
}

/** One sale's funnel, or all of them together: then a buyer counts once per round, and "watching" is the most of any. */
export function funnel(sales: readonly SaleFunnel[], withGhosts: boolean): Funnel {
  const sum = (name: keyof Buyers): number => sales.reduce((all, sale) => all + sale.people[name] + (withGhosts ? sale.ghosts[name] : 0), 0);
  const counts = {
    watching: Math.max(0, ...sales.map((sale) => sale.watching + (withGhosts ? sale.watching_ghosts : 0))),
    tapped: sum("tapped"),
    held: sum("held"),
    placed: sum("placed"),
    paid: sum("paid"),
  };
  let before: number | null = null;
  const steps = (Object.keys(counts) as (keyof typeof counts)[]).map((name) => {
    const count = counts[name];
    // More may tap in several rounds than ever watched at once: then there is no share to speak of.
    const percentOfBefore = before && count <= before ? Math.round((count * 100) / before) : null;
    before = count;
    return { name, count, percentOfBefore };
  });
  return { steps, lost: { expired: sum("expired"), declined: sum("declined"), cancelled: sum("cancelled"), refunded: sum("refunded") } };
}

export interface DelayBars {
  xs: number[];
  webrtc: number[];
  hls: number[];
  /** WebRTC below, HLS on top of it. */
  both: number[];
  /** Each bar's bounds; null where it has none. */
  bounds: { fromMs: number; toMs: number | null }[];
  total: number;
}

/** The classes from the first to the last that has a page, the empty ones between them too. */
export function delayBars(delays: Delays): DelayBars {
  const made: DelayBars = { xs: [], webrtc: [], hls: [], both: [], bounds: [], total: 0 };
  const has = (one: Delays["classes"][number]): boolean => one.webrtc + one.hls > 0;
  const first = delays.classes.findIndex(has);
  const last = delays.classes.findLastIndex(has);
  for (let n = Math.max(0, first); n <= last; n++) {
    const { up_to_ms: toMs = null, webrtc = 0, hls = 0 } = delays.classes[n] ?? {};
    made.xs.push(made.xs.length);
    made.webrtc.push(webrtc);
    made.hls.push(hls);
    made.both.push(webrtc + hls);
    made.bounds.push({ fromMs: delays.classes[n - 1]?.up_to_ms ?? 0, toMs });
    made.total += webrtc + hls;
  }
  return made;
}
