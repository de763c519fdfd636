import { describe, expect, it } from "vitest";
import { currentSale, MAX_COMMENTS, RoomStore } from "./room-store";
import type { Joined, SaleValue, WireEvent, WireValue } from "./types";

const comment = (n: number): WireEvent => ["comment", { id: `co_${n}`, viewer_id: "gu", name: "N", role: "viewer", text: String(n), at_ms: n }];
const ids = (store: RoomStore): string[] => store.comments.value.filter((c) => !c.deleted).map((c) => c.id);

function joined(over: Partial<Joined> = {}): Joined {
  return {
    room_id: "rm_1",
    viewer_id: "gu_1",
    epoch: "e1",
    offset: 0,
    recovered: false,
    server_time_ms: 0,
    events: [],
    first_offset: 1,
    values: {},
    personal_offset: 0,
    mode: null,
    limits: null,
    ...over,
  };
}

const stock = (version: number, sold: number): Record<string, WireValue> => ({
  "stock:sl_1": [version, { sale_id: "sl_1", quota: 10, available: 10 - sold, held: 0, sold, waiting: 0, next_hold_ends_at_ms: null, epoch: 1, seq: version }],
});

describe("values", () => {
  it("only move to a higher version", () => {
    const store = new RoomStore();
    store.joined(joined({ values: stock(5, 5) }));
    store.tick(0, [], stock(4, 4));
    store.tick(0, [], stock(5, 9));
    expect(store.stock.value.get("sl_1")?.sold).toBe(5);
    store.tick(0, [], stock(6, 6));
    expect(store.stock.value.get("sl_1")?.sold).toBe(6);
  });

  it("of wishes are gone with what Redis lost, because nobody fills them again", () => {
    const store = new RoomStore();
    store.joined(joined({ values: { requests: [7, { total: 3, items: { pr_1: [3, 1] } }], scripts: [1, { version: 4 }] } }));
    expect([store.requests.value.total, store.scripts.value]).toEqual([3, 4]);
    store.joined(joined({ recovered: true }));
    expect(store.requests.value.total).toBe(3);
    store.joined(joined({ epoch: "e2" }));
    expect(store.requests.value).toEqual({ total: 0, items: {} });
  });

  it("begin anew with a new epoch", () => {
    const store = new RoomStore();
    store.joined(joined({ values: stock(500, 5) }));
    store.joined(joined({ epoch: "e2", values: stock(1, 0) }));
    expect(store.stock.value.get("sl_1")?.sold).toBe(0);
  });

  it("beat what the page was seeded with", () => {
    const store = new RoomStore();
    store.joined(joined({ values: { pin: [1, { product_id: "pr_2", at_ms: 1 }] } }));
    store.seed({
      room: { room_id: "rm_1", title: {}, status: "live", rehearsal: true, rehearsal_of: null, host_name: "Ana", starts_at_ms: null, started_at_ms: 1 },
      products: [],
      pinned_product_id: "pr_1",
      sales: [],
      role: null,
      run_version: 1,
    });
    expect(store.pin.value.product_id).toBe("pr_2");
    expect(store.room.value?.host_name).toBe("Ana");
  });
});

it("forgets a sale that went back to being edited, until a higher version shows it", () => {
  const store = new RoomStore();
  const armed = { sale_id: "sl_1", product_id: "pr_1", state: "armed" };
  store.joined(joined({ values: { "sale:sl_1": [3, armed] } }));
  store.tick(0, [], { "sale:sl_1": [4, null] });
  expect(store.sales.value.size).toBe(0);
  store.tick(0, [], { "sale:sl_1": [3, armed] });
  expect(store.sales.value.size).toBe(0);
  store.tick(0, [], { "sale:sl_1": [5, armed] });
  expect(store.sales.value.get("sl_1")?.state).toBe("armed");
});

describe("comments", () => {
  it("after a resume are exactly those of a viewer who never left", () => {
    const stayed = new RoomStore();
    const returned = new RoomStore();
    for (const store of [stayed, returned]) store.joined(joined({ events: [comment(1), comment(2)] }));
    for (const n of [3, 4, 5]) stayed.tick(0, [comment(n)], {});
    returned.tick(0, [comment(3)], {});
    returned.joined(joined({ recovered: true, events: [comment(4), comment(5)] }));
    expect(ids(returned)).toEqual(ids(stayed));
  });

  it("after a declared jump are the snapshot's and nothing older", () => {
    const store = new RoomStore();
    store.joined(joined({ events: [comment(1), comment(2)] }));
    store.joined(joined({ recovered: false, events: [comment(90), comment(91)] }));
    expect(ids(store)).toEqual(["co_90", "co_91"]);
  });

  it("vanish when deleted and come back when restored", () => {
    const store = new RoomStore();
    store.joined(joined({ events: [comment(1), comment(2)] }));
    store.tick(0, [["comment_deleted", { id: "co_1" }]], {});
    expect(ids(store)).toEqual(["co_2"]);
    store.tick(0, [["comment_deleted", { id: "co_1", restored: true }]], {});
    expect(ids(store)).toEqual(["co_1", "co_2"]);
  });

  it("never grow beyond their bound", () => {
    const store = new RoomStore();
    store.joined(joined());
    for (let n = 0; n < 1_000; n += 50) {
      store.tick(0, Array.from({ length: 50 }, (_, k) => comment(n + k)), {});
    }
    expect(store.comments.value).toHaveLength(MAX_COMMENTS);
    expect(store.comments.value.at(-1)?.id).toBe("co_999");
  });
});

it("tells listeners of live events, not of a snapshot's old ones", () => {
  const store = new RoomStore();
  const heard: string[] = [];
  store.onEvent((type) => heard.push(type));
  store.joined(joined({ events: [comment(1)] }));
  store.tick(0, [["announcement", { text: "hi", at_ms: 1 }]], {});
  store.joined(joined({ recovered: true, events: [comment(2)] }));
  expect(heard).toEqual(["announcement", "comment"]);
});

describe("the sale a card shows", () => {
  const sale = (id: string, state: SaleValue["state"], round = 1): SaleValue =>
    ({ sale_id: id, product_id: "pr_1", state, round }) as SaleValue;

  it.each([
    [[sale("a", "settled"), sale("b", "open", 2)], "b"],
    [[sale("a", "open"), sale("b", "armed", 2)], "a"],
    [[sale("a", "settled"), sale("b", "published", 2)], "b"],
    [[sale("a", "draining"), sale("b", "draft", 2)], "a"],
    [[sale("a", "draft"), sale("b", "ready", 2)], null],
    [[], null],
  ])("is the most urgent one (%#)", (sales, id) => {
    expect(currentSale(sales, "pr_1")?.sale_id ?? null).toBe(id);
  });
});
