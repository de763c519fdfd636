/** What waits for a second person here. The room's value says that something changed, the API says what. */

import { computed, effect, signal } from "@preact/signals";
import { api, Problem } from "../shared/api";
import { heartbeat } from "../shared/clock";
import type { RoomStore } from "../shared/room-store";
import type { ActionRunner } from "./runner";

export type ApprovalState = "asked" | "done" | "declined" | "withdrawn" | "failed" | "expired";

const AGAIN_MS = 3_000;

interface Who {
  user_id: string;
  name: string;
}

export interface Limit {
  above_minor: number;
  currency: string;
}

export interface Approval {
  approval_id: string;
  action: "order_refund" | "sale_arm" | "sale_stock" | "payment_send_back" | "second_person_set";
  target: string;
  amount_minor: number | null;
  currency: string;
  params: Readonly<Record<string, unknown>>;
  outcome: Readonly<Record<string, unknown>>;
  state: ApprovalState;
  problem: string | null;
  asker: Who;
  asked_at_ms: number;
  ends_at_ms: number;
  answerer: Who | null;
  answered_at_ms: number | null;
  may_answer: boolean;
}

interface Answer {
  version: number;
  limit: Limit | null;
  cooling_until_ms: number | null;
  approvals: Approval[];
}

export class Approvals {
  readonly limit = signal<Limit | null>(null);
  readonly list = signal<readonly Approval[]>([]);
  readonly coolingUntilMs = signal<number | null>(null);
  /** Outcomes that were read and put away. */
  readonly putAway = signal<ReadonlySet<string>>(new Set());
  /** Those that wait for me, oldest first; `stateOf` says whether their time is over. */
  readonly toAnswer = computed(() => this.list.value.filter((one) => one.may_answer).reverse());
  private version = -1;
  private stopWatching: (() => void) | undefined;
  private isStopped = false;
  private again: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly path: (rest: string) => string,
    private readonly userId: string,
    private readonly store: RoomStore,
    private readonly runner: ActionRunner,
    private readonly onRefunded: () => void,
  ) {}

  start(): void {
    this.stopWatching = effect(() => {
      const told = this.store.approvals.value;
      if (told !== null && told !== this.version) void this.read();
    });
    void this.read();
  }

  stop(): void {
    this.stopWatching?.();
    this.isStopped = true;
    clearTimeout(this.again);
  }

  /** My request about this that waits, else what became of my newest, until it was read and put away. */
  mine(target: string): Approval | null {
    const found = this.list.value.find((one) => one.target === target && one.asker.user_id === this.userId);
    return found && found.state !== "withdrawn" && !this.putAway.value.has(found.approval_id) ? found : null;
  }

  /** By the server's clock: nobody tells that the time to answer is over. */
  stateOf(one: Approval): ApprovalState {
    void heartbeat.value;
    return one.state === "asked" && this.store.serverNow() >= one.ends_at_ms ? "expired" : one.state;
  }

  dismiss(one: Approval): void {
    this.putAway.value = new Set(this.putAway.peek()).add(one.approval_id);
  }

  /** Whole seconds until I may move money again; 0 when I may. */
  coolingSeconds(): number {
    void heartbeat.value;
    const untilMs = this.coolingUntilMs.value;
    return untilMs === null ? 0 : Math.max(0, Math.ceil((untilMs - this.store.serverNow()) / 1000));
  }

  /** Where what came of answering or withdrawing it is shown. */
  place(one: Approval): string {
    return `approval:${one.approval_id}`;
  }

  async answer(one: Approval, answer: "approve" | "decline"): Promise<boolean> {
    const sent = await this.runner.send(this.place(one), answer, "post", this.path(`/approvals/${one.approval_id}/${answer}`));
    await this.read();
    return sent.ok;
  }

  async withdraw(one: Approval): Promise<void> {
    await this.runner.send(this.place(one), "withdraw", "delete", this.path(`/approvals/${one.approval_id}`));
    await this.read();
  }

  async setLimit(place: string, aboveMinor: number | null): Promise<void> {
    await this.runner.send(place, "limit", "put", this.path("/second-person"), { above_minor: aboveMinor });
    await this.read();
  }

  async read(): Promise<void> {
    try {
      const answer = await api.get<Answer>(this.path("/approvals"));
      if (answer.version < this.version) return;
      const wereWaiting = new Set(this.list.peek().filter((one) => one.state === "asked").map((one) => one.approval_id));
      this.version = answer.version;
      this.limit.value = answer.limit;
      this.coolingUntilMs.value = answer.cooling_until_ms;
      this.list.value = answer.approvals;
      if (answer.approvals.some((one) => one.state === "done" && wereWaiting.has(one.approval_id))) this.onRefunded();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      // Nobody tells of it a second time.
      clearTimeout(this.again);
      if (!this.isStopped) this.again = setTimeout(() => void this.read(), AGAIN_MS);
    }
  }
}
