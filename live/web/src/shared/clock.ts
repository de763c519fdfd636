import { signal } from "@preact/signals";
import type { Lang } from "./types";
import { localeOf } from "./money";

interface Sample {
  offsetMs: number;
  roundTripMs: number;
}

const KEPT_SAMPLES = 8;
const JUMP_MS = 2000;

/** The server's time, estimated from round trips. The sample with the shortest trip is the one least wrong. */
export class ServerClock {
  private samples: Sample[] = [];
  private offset = 0;
  /** Half of the best round trip: the estimate can't be further off than this. */
  readonly uncertaintyMs = signal<number | null>(null);
  readonly offsetMs = signal(0);

  constructor(private readonly localNow: () => number = Date.now) {}

  now(): number {
    return this.localNow() + this.offset;
  }

  /** A question sent at `sentMs` was answered with `serverMs` and the answer came at `receivedMs` (both local). */
  sample(sentMs: number, serverMs: number, receivedMs: number): void {
    const roundTripMs = Math.max(0, receivedMs - sentMs);
    const offsetMs = serverMs - (sentMs + receivedMs) / 2;
    // A laptop that slept or a clock set by hand: what was measured before is worthless.
    if (this.samples.length && Math.abs(offsetMs - this.offset) > JUMP_MS + roundTripMs / 2) this.samples = [];
    this.samples.push({ offsetMs, roundTripMs });
    if (this.samples.length > KEPT_SAMPLES) this.samples.shift();
    const best = this.samples.reduce((a, b) => (b.roundTripMs <= a.roundTripMs ? b : a));
    this.set(best.offsetMs);
    this.uncertaintyMs.value = best.roundTripMs / 2;
  }

  /** A message stamped `serverMs` arrived now, so the server's clock shows at least that. */
  atLeast(serverMs: number): void {
    const floor = serverMs - this.localNow();
    if (floor > this.offset || this.uncertaintyMs.value === null) this.set(floor);
  }

  private set(offsetMs: number): void {
    this.offset = offsetMs;
    this.offsetMs.value = offsetMs;
  }
}

/** Counts up ten times a second while the page is visible; read it in a component or `computed` that shows a clock. */
export const heartbeat = signal(0);

let heartbeatTimer: ReturnType<typeof setInterval> | undefined;

export function startHeartbeat(everyMs = 100): void {
  heartbeatTimer ??= setInterval(() => {
    if (typeof document === "undefined" || !document.hidden) heartbeat.value++;
  }, everyMs);
}

/** "0:07", "1:52", "1:04:09": remaining time, rounded up so that 0:00 is shown only when nothing is left. */
export function formatRemaining(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const two = (n: number): string => String(n).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes >= 60) return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
  return `${minutes}:${two(seconds % 60)}`;
}

/** "00:42:10": time since a start, for the status strip. */
export function formatElapsed(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (n: number): string => String(n).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const rest = `${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

/** Time of day with seconds ("20:03:11"), by locale. */
export function formatTime(atMs: number, lang: Lang, seconds = true): string {
  return new Intl.DateTimeFormat(localeOf(lang), {
    hour: "2-digit",
    minute: "2-digit",
    ...(seconds ? { second: "2-digit" } : {}),
    hour12: false,
  }).format(atMs);
}

/** Day and time, by locale. */
export function formatDateTime(atMs: number, lang: Lang): string {
  return new Intl.DateTimeFormat(localeOf(lang), { dateStyle: "medium", timeStyle: "short" }).format(atMs);
}
