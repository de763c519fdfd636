/** How old the desk's truth is. A question to the hub every two seconds; without an answer the desk is stale and locks. */

import { computed, signal } from "@preact/signals";
import { heartbeat } from "../shared/clock";
import { CommandRefused, type RoomConnection } from "../shared/connection";
import type { RoomStore } from "../shared/room-store";

const ASK_EVERY_MS = 2_000;
const ANSWER_WITHIN_MS = 1_900;
/** Two unanswered questions. */
export const STALE_AFTER_MS = 5_000;

export class Truth {
  readonly roundTripMs = signal<number | null>(null);
  private readonly answeredAtMs = signal(0);
  private timer: ReturnType<typeof setInterval> | undefined;

  /** When we last heard from the hub, by the local clock; 0 for never. */
  readonly heardAtMs = computed(() => Math.max(this.answeredAtMs.value, this.store.heardAtMs.value));
  readonly ageMs = computed(() => {
    void heartbeat.value;
    return this.heardAtMs.value ? Math.max(0, Date.now() - this.heardAtMs.value) : Number.POSITIVE_INFINITY;
  });
  readonly isStale = computed(() => this.store.connection.value.state !== "live" || this.ageMs.value > STALE_AFTER_MS);

  constructor(
    private readonly connection: RoomConnection,
    private readonly store: RoomStore,
  ) {}

  start(): void {
    this.timer ??= setInterval(() => void this.ask(), ASK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private async ask(): Promise<void> {
    if (this.store.connection.peek().state !== "live") return;
    const sentMs = performance.now();
    try {
      await this.connection.command("ping", {}, { timeoutMs: ANSWER_WITHIN_MS });
      this.roundTripMs.value = performance.now() - sentMs;
      this.answeredAtMs.value = Date.now();
    } catch (error) {
      // No answer is the answer: the age goes on growing.
      if (!(error instanceof CommandRefused)) throw error;
    }
  }
}
