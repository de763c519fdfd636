import { beforeEach, describe, expect, it, vi } from "vitest";
import { CommandRefused } from "../shared/connection";
import { RoomStore } from "../shared/room-store";
import type { Granted, Order } from "../shared/types";
import { MyThings } from "./my-things";

const DETAILS = { name: "Mia", address: { contact: "mia@example.com", line1: "4 Park Lane", city: "London", postcode: "W1K", country: "GB" } };

const hold: Granted = {
  decision: "granted",
  reason: "granted",
  hold_id: "hd_1",
  sale_id: "sl_1",
  token: "secret-token",
  quantity: 1,
  price_minor: 9900,
  currency: "CNY",
  expires_at_ms: 120_000,
  epoch: 1,
  seq: 7,
};

const order = (state: Order["state"] = "placed"): Order => ({
  order_id: "or_1",
  order_number: "FR-1",
  room_id: "rm_1",
  sale_id: "sl_1",
  hold_id: "hd_1",
  buyer_id: "gu_1",
  buyer_name: "Mia",
  product_id: "pr_1",
  variant_id: "va_1",
  quantity: 1,
  unit_price_minor: 9900,
  total_minor: 9900,
  refunded_minor: 0,
  currency: "CNY",
  state,
  placed_at_ms: 1,
  deadline_ms: 120_000,
  paid_at_ms: null,
});

interface Call {
  path: string;
  key: string | null;
  body: unknown;
}

let calls: Call[];
let answers: (() => Response | Promise<Response>)[];
let storage: Map<string, string>;
let command: ReturnType<typeof vi.fn>;

const json = (body: unknown, status = 200) => () => new Response(JSON.stringify(body), { status });

function make(): { things: MyThings; store: RoomStore } {
  const store = new RoomStore();
  const things = new MyThings("rm_1", { command } as never, store, {
    getItem: (key) => storage.get(key) ?? null,
    setItem: (key, value) => void storage.set(key, value),
  });
  return { things, store };
}

beforeEach(() => {
  calls = [];
  answers = [];
  storage = new Map();
  command = vi.fn();
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    const headers = init.headers as Record<string, string>;
    calls.push({ path, key: headers["Idempotency-Key"] ?? null, body: init.body ? JSON.parse(init.body as string) : null });
    const answer = answers.shift();
    if (!answer) throw new Error(`unexpected call of ${path}`);
    return answer();
  });
});

async function granted(): Promise<{ things: MyThings; store: RoomStore }> {
  const made = make();
  command.mockResolvedValue(hold);
  await made.things.hold("sl_1", 1);
  return made;
}

describe("a tap on Buy", () => {
  it("carries one request id and gives a hold", async () => {
    const { things } = await granted();
    expect(command).toHaveBeenCalledTimes(1);
    const [name, params, options] = command.mock.calls[0] as [string, Record<string, unknown>, Record<string, unknown>];
    expect([name, params.sale_id, params.quantity, options.persist]).toEqual(["hold", "sl_1", 1, true]);
    expect(params.request_id).toMatch(/^[A-Za-z0-9_-]{8,64}$/);
    expect(things.openHoldOf("sl_1")).toEqual({ holdId: "hd_1", untilMs: 120_000 });
    expect(things.asking.value.size).toBe(0);
  });

  it("that is refused or fails stays in the list with its reason, also after a reload, and never with a token", async () => {
    const { things } = await granted();
    command.mockResolvedValue({ decision: "refused", reason: "all_held", seq: 8, epoch: 1, place: 2 });
    await things.hold("sl_1", 1);
    command.mockRejectedValue(new CommandRefused("rate_limited", "", { retry_after_ms: 1500 }));
    await things.hold("sl_1", 1);
    const again = make().things.attempts.value;
    expect(again.map((a) => a.error ?? a.decision?.decision).sort()).toEqual(["granted", "rate_limited", "refused"]);
    expect(JSON.stringify([...storage.values()])).not.toContain("secret-token");
  });

  it("into a full sale gets a place, and the unit when it comes back", async () => {
    const { things, store } = make();
    command.mockResolvedValue({ decision: "waiting", reason: "joined", place: 2, ahead: 1, sale_id: "sl_1", seq: 9, epoch: 1 });
    await things.joinLine("sl_1", 1);
    expect(command.mock.calls[0]?.[0]).toBe("waitlist_join");
    store.personal("waitlist", { sale_id: "sl_1", place: 1 });
    expect(things.places.value.get("sl_1")).toBe(1);
    store.personal("hold_promoted", hold);
    expect([things.places.value.size, things.holds.value.has("hd_1")]).toEqual([0, true]);
    expect(things.attempts.value.map((a) => a.decision?.decision)).toEqual(["granted"]);
  });

  it("whose answer comes later as a personal message is settled by it", async () => {
    const { things, store } = make();
    command.mockResolvedValue({ decision: "pending", reason: "window", decided_at_ms: 5 });
    await things.hold("sl_1", 1);
    store.personal("hold_granted", hold);
    expect(things.attempts.value.map((a) => a.decision?.decision)).toEqual(["granted"]);
    expect(things.holds.value.has("hd_1")).toBe(true);
  });
});

describe("paying", () => {
  it("makes the order, then pays it; both with a key", async () => {
    const { things } = await granted();
    answers = [json(order(), 201), json({ payment: { attempt_id: "pa_1", state: "succeeded" }, order: order("paid") })];
    const result = await things.pay("hd_1", DETAILS, { method: "card", card_number: "4242424242424242" });
    expect(result).toMatchObject({ result: "paid", order: { order_number: "FR-1" } });
    expect(calls.map((c) => c.path)).toEqual(["/api/orders", "/api/orders/or_1/payments"]);
    expect(calls.every((c) => c.key && c.key.length >= 8)).toBe(true);
    expect(things.unitsOf("sl_1")).toEqual({ held: 0, bought: 1 });
  });

  it("with a declined card keeps the order, and another card pays it without ordering again", async () => {
    const { things } = await granted();
    answers = [
      json(order(), 201),
      json({ payment: { attempt_id: "pa_1", state: "declined", reason: "insufficient_funds" }, order: order() }),
      json({ payment: { attempt_id: "pa_2", state: "succeeded" }, order: order("paid") }),
    ];
    expect(await things.pay("hd_1", DETAILS, { method: "card", card_number: "4000000000009995" })).toMatchObject({ result: "declined", reason: "insufficient_funds" });
    expect(things.openHoldOf("sl_1")?.holdId).toBe("hd_1");
    expect(await things.pay("hd_1", DETAILS, { method: "card", card_number: "4242424242424242" })).toMatchObject({ result: "paid" });
    expect(calls.filter((c) => c.path === "/api/orders")).toHaveLength(1);
    expect(new Set(calls.map((c) => c.key)).size).toBe(3);
  });

  it("after a lost answer is tried again with the same keys, so that nobody pays twice", async () => {
    vi.useFakeTimers();
    const { things } = await granted();
    const lost = (): never => {
      throw new TypeError("network");
    };
    answers = [json(order(), 201), lost, lost, lost];
    const failing = things.pay("hd_1", DETAILS, { method: "card", card_number: "4242424242424242" });
    await vi.runAllTimersAsync();
    expect(await failing).toMatchObject({ result: "failed", code: "network", isFinal: false });
    answers = [json({ payment: { attempt_id: "pa_1", state: "succeeded" }, order: order("paid") })];
    expect(await things.pay("hd_1", DETAILS, { method: "card", card_number: "4242424242424242" })).toMatchObject({ result: "paid" });
    const keys = calls.filter((c) => c.path.endsWith("/payments")).map((c) => c.key);
    expect(keys).toHaveLength(4);
    expect(new Set(keys).size).toBe(1);
    vi.useRealTimers();
  });

  it("that is already under way elsewhere waits for its outcome", async () => {
    vi.useFakeTimers();
    const { things } = await granted();
    answers = [json(order(), 201), json({ code: "payment_in_progress", status: 409 }, 409), json(order("paid"))];
    expect(await things.pay("hd_1", DETAILS, { method: "card", card_number: "4242424242424242" })).toMatchObject({ result: "confirming" });
    expect(things.payments.value.get("hd_1")).toBe("confirming");
    await vi.runAllTimersAsync();
    expect(things.payments.value.size).toBe(0);
    expect(things.unitsOf("sl_1")).toEqual({ held: 0, bought: 1 });
    vi.useRealTimers();
  });

  it("for a hold that has ended says so for good and drops it", async () => {
    const { things } = await granted();
    answers = [json({ code: "hold_expired", status: 409, title: "x" }, 409)];
    expect(await things.pay("hd_1", DETAILS, { method: "card", card_number: "4242424242424242" })).toEqual({ result: "failed", code: "hold_expired", isFinal: true });
    expect(things.holds.value.size).toBe(0);
  });
});

describe("what the server says later", () => {
  it("restores holds and orders after a reload, an order instead of its hold", async () => {
    const { things } = make();
    answers = [json({ holds: [hold, { ...hold, hold_id: "hd_2" }], orders: [order()] })];
    await things.refresh();
    expect([...things.holds.value.keys()]).toEqual(["hd_2"]);
    expect(things.openCount.value).toBe(2);
  });

  it("doesn't believe an answer that was asked for before a newer hold", async () => {
    const { things } = make();
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    answers = [
      async () => {
        await gate;
        return json({ holds: [], orders: [] })();
      },
      json({ holds: [hold], orders: [] }),
    ];
    const refreshed = things.refresh();
    command.mockResolvedValue(hold);
    await things.hold("sl_1", 1);
    release();
    await refreshed;
    expect(things.holds.value.has("hd_1")).toBe(true);
    expect(calls).toHaveLength(2);
  });

  it("never takes a paid order back to placed when messages cross", async () => {
    const { things, store } = await granted();
    answers = [json(order(), 201), json({ payment: { attempt_id: "pa_1", state: "succeeded" }, order: order("paid") }), json({ holds: [], orders: [order("paid")] })];
    await things.pay("hd_1", DETAILS, { method: "card", card_number: "4242424242424242" });
    store.personal("order", { order_id: "or_1", order_number: "FR-1", state: "placed", sale_id: "sl_1", hold_id: "hd_1" });
    expect(things.orders.value.get("or_1")?.state).toBe("paid");
    await vi.waitFor(() => expect(answers).toHaveLength(0));
  });

  it("shows an order that the show sends word of again, as the server has it by then", async () => {
    const { things, store } = await granted();
    answers = [json({ holds: [], orders: [order("paid")] })];
    store.personal("order", { order_id: "or_1", order_number: "FR-1", state: "placed", sale_id: "sl_1", hold_id: "hd_1", again: true });
    expect(things.toldAgain.value).toBeNull();
    await vi.waitFor(() => expect(things.toldAgain.value).toBe("or_1"));
    expect(things.orders.value.get("or_1")?.state).toBe("paid");
  });

  it("ends a hold only when it says so", async () => {
    const { things, store } = await granted();
    things.checkExpiries(hold.expires_at_ms + 1_000);
    expect(things.holds.value.size).toBe(1);
    store.personal("hold_expired", { hold_id: "hd_1", sale_id: "sl_1", at_ms: 120_500 });
    expect(things.holds.value.size).toBe(0);
    expect(things.ended.value).toEqual({ hold_id: "hd_1", at_ms: 120_500 });
  });

  it("extends a hold's clock", async () => {
    const { things, store } = await granted();
    store.personal("hold_extended", { ...hold, expires_at_ms: 180_000, token: "longer" });
    expect(things.openHoldOf("sl_1")?.untilMs).toBe(180_000);
    expect(things.holds.value.get("hd_1")?.token).toBe("longer");
  });

  it("hears that a pending payment was declined, with the hold still there", async () => {
    const { things, store } = await granted();
    store.personal("payment", { order_id: "or_1", hold_id: "hd_1", sale_id: "sl_1", state: "declined", reason: "card_declined" });
    expect(things.declined.value.get("hd_1")).toBe("card_declined");
    expect(things.payments.value.has("hd_1")).toBe(false);
    expect(things.holds.value.size).toBe(1);
  });
});
