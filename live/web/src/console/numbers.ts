/** The room's numbers from `GET /api/rooms/{id}/stats`, and by its answers the health of the commerce plane. */

import { computed, signal } from "@preact/signals";
import { api, Problem } from "../shared/api";
import { heartbeat } from "../shared/clock";
import type { RoomStore } from "../shared/room-store";
import { Poller } from "./poller";

export interface OrderNumbers {
  placed: number;
  paid: number;
  refunded: number;
  placed_minor?: number;
  paid_minor?: number;
  refunded_minor?: number;
}

export interface Stats {
  watching: number;
  peak: number;
  likes: number;
  comments: number;
  ghosts?: number;
  /** Whose consoles are open, of those who moderate; null while nobody can say. */
  moderators: readonly string[] | null;
  /** How late half of the viewers' pictures are at most; null while nobody sees one. */
  delay_ms: number | null;
  /** By item: how many want to be told when it goes on sale. */
  reminders?: Readonly<Record<string, number>>;
  followers: number;
  /** Of them, those since this show began. */
  new_followers: number;
  orders: OrderNumbers & { ghost_placed?: number; ghost_paid?: number };
}

export type Health = "good" | "slow" | "down" | "unknown";

const EVERY_MS = 4_000;
const SLOW_MS = 1_000;

export class Numbers {
  readonly stats = signal<Stats | null>(null);
  readonly health = signal<Health>("unknown");
  readonly roundTripMs = signal<number | null>(null);
  readonly answeredAtMs = signal(0);
  /** Comments of everyone, counted on from the last answer. */
  readonly comments = computed(() => (this.stats.value?.comments ?? 0) + this.newComments.value);
  readonly ageMs = computed(() => {
    void heartbeat.value;
    return this.answeredAtMs.value ? Date.now() - this.answeredAtMs.value : null;
  });

  private readonly newComments = signal(0);
  private readonly poller: Poller;
  private unhear: (() => void) | undefined;

  constructor(
    private readonly path: string,
    private readonly store: RoomStore,
    private readonly onSignedOut: () => void,
  ) {
    this.poller = new Poller(() => this.fetchOnce(), EVERY_MS);
  }

  start(): void {
    this.unhear = this.store.onEvent((type) => {
      if (type === "comment") this.newComments.value++;
      if (type === "order") this.poller.soon();
    });
    this.poller.start();
  }

  stop(): void {
    this.unhear?.();
    this.poller.stop();
  }

  private async fetchOnce(): Promise<void> {
    const sentMs = performance.now();
    try {
      this.stats.value = await api.get<Stats>(this.path, { retries: 0, timeoutMs: 4_000 });
      this.newComments.value = 0;
      this.roundTripMs.value = performance.now() - sentMs;
      this.answeredAtMs.value = Date.now();
      this.health.value = this.roundTripMs.value > SLOW_MS ? "slow" : "good";
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401) this.onSignedOut();
      this.health.value = error.status === 429 ? "slow" : "down";
    }
  }
}
