/** Who is at the sale desk, and who asks for it. The room's value says that it changed, the API says who it is. */

import { effect, signal } from "@preact/signals";
import { announce } from "../shared/announce";
import { api, Problem } from "../shared/api";
import { heartbeat } from "../shared/clock";
import type { RoomStore } from "../shared/room-store";
import type { DeskValue } from "../shared/types";
import { type DeskRequest, hasPassed, type RequestState, requestState } from "./desk-request";
import type { ActionRunner } from "./runner";
import { w } from "./words";

export interface Holder {
  user_id: string;
  name: string;
  since_ms: number;
}

interface DeskAnswer {
  holder: Holder | null;
  request: DeskRequest | null;
}

/** Where the outcome of taking, asking and leaving is shown. */
export const PLACE = "desk";

export class DeskHold {
  readonly holder = signal<Holder | null>(null);
  readonly request = signal<DeskRequest | null>(null);
  private heard = "";
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

  get isAskedByMe(): boolean {
    return this.request.value?.user_id === this.userId;
  }

  /** What has become of the request by now; follows the heartbeat. */
  state(): RequestState {
    void heartbeat.value;
    return requestState(this.request.value, this.store.serverNow());
  }

  start(): void {
    this.stopWatching = effect(() => {
      const told = this.store.desk.value;
      const words = JSON.stringify(told);
      // The value comes again with every change of the room; a request that has lapsed stays in it.
      if (told === null || words === this.heard) return;
      this.heard = words;
      if (this.knows(told)) return;
      if (told.holder_id === null) this.set({ holder: null, request: null });
      else void this.read();
    });
    void this.read();
  }

  stop(): void {
    this.stopWatching?.();
  }

  /** The desk for me as far as it goes: take it when it is free or let go, else ask its holder. */
  async take(): Promise<void> {
    const now = this.holder.peek();
    if (now && now.user_id !== this.userId && !(this.isAskedByMe && hasPassed(this.state()))) return this.ask();
    await this.send("take", "put", this.path, now ? { take_over_from: now.user_id } : {});
  }

  async ask(): Promise<void> {
    await this.send("ask", "put", `${this.path}/request`);
  }

  async withdraw(): Promise<void> {
    await this.send("withdraw", "delete", `${this.path}/request`);
  }

  /** What I, at the desk, say to who asks for it. */
  async answer(answer: "hand_over" | "keep"): Promise<void> {
    const asked = this.request.peek();
    if (asked) await this.send(answer, "post", `${this.path}/answer`, { asker_id: asked.user_id, answer });
  }

  async leave(): Promise<void> {
    await this.send("leave", "delete", this.path);
  }

  private async send(action: string, method: "put" | "post" | "delete", path: string, body: unknown = {}): Promise<void> {
    const sent = await this.runner.send<DeskAnswer>(PLACE, action, method, path, body);
    if (sent.ok) this.set(sent.answer);
    else await this.read();
  }

  private async read(): Promise<void> {
    try {
      this.set(await api.get<DeskAnswer>(this.path));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
  }

  private knows(told: DeskValue): boolean {
    const holder = this.holder.peek();
    const asked = this.request.peek();
    return (
      told.holder_id === (holder?.user_id ?? null) &&
      told.since_ms === (holder?.since_ms ?? null) &&
      told.asker_id === (asked?.user_id ?? null) &&
      told.asked_at_ms === (asked?.asked_at_ms ?? null) &&
      told.answer === (asked?.answer ?? null)
    );
  }

  private set({ holder, request }: DeskAnswer): void {
    const before = this.holder.peek();
    const asked = this.request.peek();
    this.holder.value = holder;
    this.request.value = request;
    // Whoever loses the desk must not go on pressing at it.
    if (holder && before?.user_id === this.userId && holder.user_id !== this.userId) announce(w("desk_lost", { name: holder.name }), "assertive");
    if (holder?.user_id === this.userId && request?.answer === null && request.asked_at_ms !== asked?.asked_at_ms) {
      announce(w("desk_asked", { name: request.name }), "assertive");
    }
    if (holder && request?.user_id === this.userId && request.answer !== null && request.answer !== asked?.answer) {
      announce(w(request.answer === "keep" ? "desk_kept" : request.answer === "away" ? "desk_away" : "desk_handed", { name: holder.name }), "assertive");
    }
  }
}
