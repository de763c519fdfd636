/** What is mine in this room: holds with their clocks, orders with their states, every attempt with its reason.
 *
 * The server is the only truth. This asks, remembers the answer, and asks again after anything that may have been missed.
 */

import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";
import { api, newId, Problem } from "../shared/api";
import { CommandRefused, type RoomConnection } from "../shared/connection";
import type { RoomStore } from "../shared/room-store";
import type { Address, Decision, Granted, Mine, NextAction, Order, Payment, PaymentAnswer, PaymentProvider, PersonalMessages, Refused } from "../shared/types";
import { type Attempt, Attempts, type AttemptStorage } from "./attempts";

const HOLD_ANSWER_MS = 30_000;
const MAX_REFRESH_ROUNDS = 5;
const CONFIRM_POLL_MS = 1_500;
const CONFIRM_POLLS = 80;
/** The hub frees a hold only some seconds after its expiry; then the server's word should be there. */
const AFTER_EXPIRY_MS = 6_000;

export interface BuyerDetails {
  name: string;
  address: Address;
}

export type PayResult =
  | { result: "paid"; order: Order }
  | { result: "declined"; reason: string | null; order: Order }
  | { result: "confirming"; order: Order; action: NextAction | null }
  | { result: "failed"; code: string; isFinal: boolean };

/** A test card, or a provider's own page. */
export type PayMethod =
  | { method: "card"; card_number: string }
  | { method: "page"; provider: PaymentProvider["name"]; device: "phone" | "desktop" };

/** An ended hold that a sheet may still be showing. */
export interface EndedHold {
  hold_id: string;
  at_ms: number;
}

const FINAL_ORDER_CODES = new Set([
  "hold_expired",
  "sold_out_late",
  "limit_reached",
  "sale_closed",
  "bad_token",
  "not_your_hold",
]);

export class MyThings {
  readonly holds = signal<ReadonlyMap<string, Granted>>(new Map());
  readonly orders = signal<ReadonlyMap<string, Order>>(new Map());
  readonly attempts: ReadonlySignal<readonly Attempt[]>;
  /** My places in wait lists, by sale. */
  readonly places = signal<ReadonlyMap<string, number>>(new Map());
  /** The items that I am to be told of when they go on sale. */
  readonly reminders = signal<ReadonlySet<string>>(new Set());
  /** Whether I follow the room; null until the server has said. */
  readonly following = signal<boolean | null>(null);
  readonly asking = signal<ReadonlySet<string>>(new Set());
  /** By hold id: why the provider said no after it had said "pending". */
  readonly declined = signal<ReadonlyMap<string, string | null>>(new Map());
  /** By hold id: what the payment of that hold is doing. */
  readonly payments = signal<ReadonlyMap<string, "paying" | "confirming">>(new Map());
  /** The order that the show has just sent word of once more. */
  readonly toldAgain = signal<string | null>(null);
  readonly ended = signal<EndedHold | null>(null);
  readonly mutedUntilMs = signal(0);
  /** Things that need the viewer: holds and unpaid orders. */
  readonly openCount = computed(
    () => this.holds.value.size + [...this.orders.value.values()].filter((o) => o.state === "placed").length,
  );

  private readonly attemptList: Attempts;
  private readonly keys = new Map<string, string>();
  private readonly confirming = new Set<string>();
  private refreshing: Promise<void> | null = null;
  private isRefreshAgain = false;
  /** Counts what this page did or heard itself: an answer asked for before such a change is older than it. */
  private changes = 0;

  constructor(
    private readonly roomId: string,
    private readonly connection: Pick<RoomConnection, "command">,
    private readonly store: RoomStore,
    storage?: AttemptStorage,
  ) {
    this.attemptList = new Attempts(roomId, storage);
    this.attempts = this.attemptList.list;
    store.onPersonal((type, data) => this.takePersonal(type, data));
    store.onJoined(() => void this.refresh());
  }

  /** Ask the server for all of it; called after each join, so that whatever was missed is there. */
  refresh(): Promise<void> {
    if (this.refreshing) {
      this.isRefreshAgain = true;
      return this.refreshing;
    }
    this.refreshing = (async () => {
      for (let round = 0; round < MAX_REFRESH_ROUNDS; round++) {
        this.isRefreshAgain = false;
        const changes = this.changes;
        try {
          const mine = await api.get<Mine>(`/api/rooms/${encodeURIComponent(this.roomId)}/mine`);
          const isOutdated = this.changes !== changes;
          if (!isOutdated) this.takeMine(mine);
          if (!isOutdated && !this.isRefreshAgain) return;
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
          // Old truth stays on screen; the next join or personal message asks again.
          return;
        }
      }
    })().finally(() => (this.refreshing = null));
    return this.refreshing;
  }

  /** One tap on Buy: one request id, sent again with the same id if the connection breaks before the answer. */
  hold(saleId: string, quantity: number): Promise<Attempt> {
    return this.ask("hold", saleId, quantity);
  }

  /** Ask for the next unit that comes back. Gives a unit at once when there is one. */
  joinLine(saleId: string, quantity: number): Promise<Attempt> {
    return this.ask("waitlist_join", saleId, quantity);
  }

  async leaveLine(saleId: string): Promise<void> {
    await this.connection.command("waitlist_leave", { sale_id: saleId });
    this.setPlace(saleId, null);
  }

  private async ask(command: "hold" | "waitlist_join", saleId: string, quantity: number): Promise<Attempt> {
    const attempt: Attempt = {
      request_id: newId("rq"),
      sale_id: saleId,
      quantity,
      at_ms: Math.round(this.store.serverNow()),
      decision: null,
      error: null,
    };
    this.asking.value = new Set(this.asking.value).add(saleId);
    this.attemptList.put(attempt);
    try {
      const reply = await this.connection.command(
        command,
        { request_id: attempt.request_id, sale_id: saleId, quantity },
        { persist: true, timeoutMs: HOLD_ANSWER_MS },
      );
      return this.decided(attempt, reply as unknown as Decision);
    } catch (error) {
      if (!(error instanceof CommandRefused)) throw error;
      const failed = { ...attempt, error: error.code, retry_after_ms: error.retryAfterMs };
      this.attemptList.put(failed);
      if (error.code === "timeout") void this.refresh();
      return failed;
    } finally {
      const asking = new Set(this.asking.value);
      asking.delete(saleId);
      this.asking.value = asking;
    }
  }

  /** Be told when this item goes on sale, or not. Raises Problem. */
  async remind(productId: string, isOn: boolean): Promise<void> {
    const path = `/api/rooms/${encodeURIComponent(this.roomId)}/reminders/${encodeURIComponent(productId)}`;
    await (isOn ? api.put(path) : api.delete(path));
    this.setReminder(productId, isOn);
  }

  /** Follow the room, or not. Raises Problem. */
  async follow(isOn: boolean): Promise<void> {
    const path = `/api/rooms/${encodeURIComponent(this.roomId)}/follow`;
    await (isOn ? api.put(path) : api.delete(path));
    this.setFollowing(isOn);
  }

  setFollowing(isOn: boolean): void {
    this.changes++;
    this.following.value = isOn;
  }

  /** Give a unit back before its time. */
  async letGo(hold: Granted): Promise<void> {
    await this.connection.command("release", { hold_id: hold.hold_id, sale_id: hold.sale_id });
    this.dropHold(hold.hold_id);
  }

  async cancelOrder(order: Order): Promise<void> {
    this.putOrder(await api.post<Order>(`/api/orders/${encodeURIComponent(order.order_id)}/cancel`));
  }

  /** Confirm a hold: make its order (once, however often this is called) and pay it with a card. */
  async pay(holdId: string, details: BuyerDetails, method: PayMethod): Promise<PayResult> {
    this.setPayment(holdId, "paying");
    if (this.declined.value.has(holdId)) {
      this.declined.value = new Map([...this.declined.value].filter(([id]) => id !== holdId));
    }
    let isConfirming = false;
    try {
      const order = this.orderOfHold(holdId) ?? (await this.placeOrder(holdId, details));
      if (order.state !== "placed") {
        return order.state === "paid" || order.state === "fulfilled"
          ? { result: "paid", order }
          : { result: "failed", code: "order_closed", isFinal: true };
      }
      const answer = await this.payOrder(order, method);
      if (answer.payment.state === "declined") {
        return { result: "declined", reason: answer.payment.reason ?? null, order: answer.order };
      }
      if (answer.payment.state === "succeeded") return { result: "paid", order: answer.order };
      isConfirming = true;
      void this.confirm(answer.order);
      return { result: "confirming", order: answer.order, action: answer.payment.next_action ?? null };
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const order = this.orderOfHold(holdId);
      if (order && error.code === "payment_in_progress") {
        // An attempt of before (another tab, a reload) still waits for the provider: so do we.
        isConfirming = true;
        void this.confirm(order);
        const known = await api.get<Order & { payment?: Payment }>(`/api/orders/${encodeURIComponent(order.order_id)}`).catch(() => null);
        if (known) this.putOrder(known);
        return { result: "confirming", order, action: known?.payment?.next_action ?? null };
      }
      if (error.code === "order_state") void this.refresh();
      const isFinal = FINAL_ORDER_CODES.has(error.code);
      if (isFinal) this.dropHold(holdId);
      return { result: "failed", code: error.code, isFinal };
    } finally {
      this.setPayment(holdId, isConfirming ? "confirming" : null);
    }
  }

  orderOfHold(holdId: string): Order | null {
    for (const order of this.orders.value.values()) if (order.hold_id === holdId) return order;
    return null;
  }

  /** My units in a sale: held (also as unpaid orders) and bought. */
  unitsOf(saleId: string): { held: number; bought: number } {
    let held = 0;
    let bought = 0;
    for (const hold of this.holds.value.values()) if (hold.sale_id === saleId) held += hold.quantity;
    for (const order of this.orders.value.values()) {
      if (order.sale_id !== saleId) continue;
      if (order.state === "placed") held += order.quantity;
      else if (order.state === "paid" || order.state === "fulfilled") bought += order.quantity;
    }
    return { held, bought };
  }

  /** What of mine waits for payment in a sale: `[hold id, when its time is over]`. */
  openHoldOf(saleId: string): { holdId: string; untilMs: number } | null {
    for (const order of this.orders.value.values()) {
      if (order.sale_id === saleId && order.state === "placed") return { holdId: order.hold_id, untilMs: order.deadline_ms };
    }
    for (const hold of this.holds.value.values()) {
      if (hold.sale_id === saleId) return { holdId: hold.hold_id, untilMs: hold.expires_at_ms };
    }
    return null;
  }

  /** Called by the page's clock: a hold whose time is well over but of which nothing was heard is asked about. */
  checkExpiries(nowMs: number): void {
    for (const hold of this.holds.value.values()) {
      if (nowMs > hold.expires_at_ms + AFTER_EXPIRY_MS) {
        this.dropHold(hold.hold_id);
        this.ended.value = { hold_id: hold.hold_id, at_ms: hold.expires_at_ms };
        void this.refresh();
      }
    }
  }

  // --- orders and payments ------------------------------------------------------------------------------------

  private async placeOrder(holdId: string, details: BuyerDetails): Promise<Order> {
    const hold = this.holds.value.get(holdId);
    if (!hold) throw new Problem("hold_expired", 409, "");
    // The same hold with a corrected address is another body, so it needs another key; binding is once per hold anyway.
    const body = { hold_token: hold.token, name: details.name, address: details.address };
    const order = await api.post<Order>("/api/orders", body, {
      idempotencyKey: this.keyFor(`order/${holdId}/${JSON.stringify(body)}`),
    });
    batch(() => {
      this.putOrder(order);
      this.dropHold(holdId);
    });
    return order;
  }

  private async payOrder(order: Order, method: PayMethod): Promise<PaymentAnswer> {
    const purpose = `pay/${order.order_id}/${"card_number" in method ? method.card_number : method.provider}`;
    const answer = await api.post<PaymentAnswer>(
      `/api/orders/${encodeURIComponent(order.order_id)}/payments`,
      method,
      { idempotencyKey: this.keyFor(purpose), timeoutMs: 20_000 },
    );
    // A definite answer ends this attempt; the next tap is a new one.
    if (answer.payment.state !== "pending") this.keys.delete(purpose);
    this.putOrder(answer.order);
    return answer;
  }

  /** Wait, bounded, for the provider's late word. The personal `order` message usually comes first. */
  private async confirm(order: Order): Promise<void> {
    if (this.confirming.has(order.order_id)) return;
    this.confirming.add(order.order_id);
    try {
      for (let poll = 0; poll < CONFIRM_POLLS; poll++) {
        await new Promise((resolve) => setTimeout(resolve, CONFIRM_POLL_MS));
        if (this.orders.value.get(order.order_id)?.state !== "placed") break;
        try {
          this.putOrder(await api.get<Order>(`/api/orders/${encodeURIComponent(order.order_id)}`));
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
        }
      }
    } finally {
      this.confirming.delete(order.order_id);
      this.setPayment(order.hold_id, null);
    }
  }

  private keyFor(purpose: string): string {
    let key = this.keys.get(purpose);
    if (!key) {
      key = newId("key");
      this.keys.set(purpose, key);
    }
    return key;
  }

  // --- taking what the server says ----------------------------------------------------------------------------

  private takeMine(mine: Mine): void {
    batch(() => {
      const orders = new Map(mine.orders.map((order) => [order.order_id, order]));
      const bound = new Set(mine.orders.map((order) => order.hold_id));
      this.orders.value = orders;
      this.reminders.value = new Set(mine.reminders);
      this.following.value = mine.following ?? false;
      if (mine.places) this.places.value = new Map(mine.places.map((p) => [p.sale_id, p.place]));
      this.holds.value = new Map(
        mine.holds.filter((hold) => !bound.has(hold.hold_id)).map((hold) => [hold.hold_id, hold]),
      );
    });
  }

  private takePersonal(type: string, data: unknown): void {
    switch (type) {
      case "hold_granted":
      case "hold_promoted":
        this.decidedLater(data as Granted);
        break;
      case "hold_refused":
        this.decidedLater(data as Refused);
        break;
      case "hold_expired": {
        const { hold_id, at_ms } = data as { hold_id: string; at_ms: number };
        batch(() => {
          if (this.holds.value.has(hold_id)) this.ended.value = { hold_id, at_ms };
          this.dropHold(hold_id);
        });
        break;
      }
      case "hold_extended": {
        const longer = data as Granted;
        if (this.holds.value.has(longer.hold_id)) this.putHold(longer);
        break;
      }
      case "payment": {
        // It was pending and came to nothing: the hold is still there, and another card may pay.
        const { order_id, hold_id, state, reason } = data as PersonalMessages["payment"];
        this.setPayment(hold_id, null);
        for (const purpose of [...this.keys.keys()]) if (purpose.includes(order_id)) this.keys.delete(purpose);
        if (state === "declined") this.declined.value = new Map(this.declined.value).set(hold_id, reason ?? null);
        void this.refresh();
        break;
      }
      case "order": {
        const { order_id, state, again } = data as PersonalMessages["order"];
        const order = this.orders.value.get(order_id);
        // Messages may come after the HTTP answer they tell of: never back to "placed".
        if (order && order.state !== state && state !== "placed") this.putOrder({ ...order, state });
        // Shown as the server has it by then: a message may have waited long for its reader.
        void this.refresh().then(() => again && (this.toldAgain.value = order_id));
        break;
      }
      case "waitlist": {
        const { sale_id, place } = data as { sale_id: string; place: number };
        this.setPlace(sale_id, place);
        break;
      }
      case "reminder":
        this.setReminder((data as PersonalMessages["reminder"]).product_id, false); // used up
        break;
      case "muted":
        this.mutedUntilMs.value = (data as { until_ms: number }).until_ms;
        break;
    }
  }

  private decided(attempt: Attempt, decision: Decision): Attempt {
    const done = { ...attempt, decision };
    batch(() => {
      this.attemptList.put(done);
      if (decision.decision === "waiting") this.setPlace(attempt.sale_id, decision.place);
      if (decision.decision === "granted" && !this.orderOfHold(decision.hold_id)) this.putHold(decision);
    });
    return done;
  }

  private decidedLater(decision: Granted | Refused): void {
    if (decision.sale_id) this.setPlace(decision.sale_id, null);
    const waiting = this.attempts.value.find(
      (a) =>
        a.sale_id === decision.sale_id &&
        (a.decision === null || a.decision.decision === "pending" || a.decision.decision === "waiting"),
    );
    if (waiting) this.decided(waiting, decision);
    else if (decision.decision === "granted" && !this.orderOfHold(decision.hold_id)) this.putHold(decision);
  }

  private putHold(hold: Granted): void {
    this.changes++;
    this.holds.value = new Map(this.holds.value).set(hold.hold_id, hold);
  }

  private dropHold(holdId: string): void {
    if (!this.holds.value.has(holdId)) return;
    this.changes++;
    const holds = new Map(this.holds.value);
    holds.delete(holdId);
    this.holds.value = holds;
  }

  private putOrder(order: Order): void {
    this.changes++;
    this.orders.value = new Map(this.orders.value).set(order.order_id, order);
  }

  private setPlace(saleId: string, place: number | null): void {
    this.changes++;
    const places = new Map(this.places.value);
    if (place === null) places.delete(saleId);
    else places.set(saleId, place);
    this.places.value = places;
  }

  private setReminder(productId: string, isOn: boolean): void {
    this.changes++;
    const reminders = new Set(this.reminders.value);
    if (isOn) reminders.add(productId);
    else reminders.delete(productId);
    this.reminders.value = reminders;
  }

  private setPayment(holdId: string, state: "paying" | "confirming" | null): void {
    const payments = new Map(this.payments.value);
    if (state) payments.set(holdId, state);
    else payments.delete(holdId);
    this.payments.value = payments;
  }
}
