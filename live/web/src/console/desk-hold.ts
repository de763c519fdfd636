/** Who is at the sale desk. The room's value says that it changed, the API says who it is. */

import { effect, signal } from "@preact/signals";
import { announce } from "../shared/announce";
import { api, Problem } from "../shared/api";
import type { RoomStore } from "../shared/room-store";
import type { ActionRunner } from "./runner";
import { w } from "./words";

export interface Holder {
  user_id: string;
  name: string;
  since_ms: number;
}

interface DeskAnswer {
  holder: Holder | null;
}

/** Where the outcome of taking and leaving is shown. */
export const PLACE = "desk";

export class DeskHold {
  readonly holder = signal<Holder | null>(null);
  private stopWatching: (() => void) | undefined;

  constructor(
    private readonly path: string,
    private readonly userId: string,
    private readonly store: RoomStore,
    private readonly runner: ActionRunner,
  ) {}

  get isMine(): boolean {
    return this.holder.value?.user_id === this.userId;
  }

  get isOthers(): boolean {
    return this.holder.value !== null && !this.isMine;
  }

  start(): void {
    this.stopWatching = effect(() => {
      const told = this.store.desk.value;
      const known = this.holder.peek();
      if (told === null || (told.holder_id === (known?.user_id ?? null) && told.since_ms === (known?.since_ms ?? null))) return;
      if (told.holder_id === null) this.set(null);
      else void this.ask();
    });
    void this.ask();
  }

  stop(): void {
    this.stopWatching?.();
  }

  async take(): Promise<void> {
    const now = this.holder.peek();
    const sent = await this.runner.send<DeskAnswer>(PLACE, "take", "put", this.path, now ? { take_over_from: now.user_id } : {});
    if (sent.ok) this.set(sent.answer.holder);
    else await this.ask();
  }

  async leave(): Promise<void> {
    const sent = await this.runner.send<DeskAnswer>(PLACE, "leave", "delete", this.path);
    if (sent.ok) this.set(sent.answer.holder);
  }

  private async ask(): Promise<void> {
    try {
      this.set((await api.get<DeskAnswer>(this.path)).holder);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
  }

  private set(holder: Holder | null): void {
    const before = this.holder.peek();
    this.holder.value = holder;
    // Whoever loses the desk must not go on pressing at it.
    if (holder && before?.user_id === this.userId && holder.user_id !== this.userId) announce(w("desk_lost", { name: holder.name }), "assertive");
  }
}
