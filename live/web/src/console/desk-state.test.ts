import { describe, expect, it } from "vitest";
import type { Role, SaleState, SaleValue, StockValue } from "../shared/types";
import { abortLeftMs, type Control, deskView, firstSale, mayDo, sumHolds } from "./desk-state";

const NOW_MS = 1_000_000;

function sale(state: SaleState, changes: Partial<SaleValue> = {}): SaleValue {
  return {
    sale_id: "sl_1",
    product_id: "pr_1",
    variant_id: "va_1",
    round: 1,
    state,
    state_reason: null,
    price_minor: 9900,
    list_price_minor: 19900,
    currency: "CNY",
    quota: 100,
    limit_per_buyer: 1,
    hold_ms: 120_000,
    rule: "first_come",
    seed_hash: null,
    terms_hash: null,
    opens_at_ms: NOW_MS + 10_000,
    closes_at_ms: NOW_MS + 70_000,
    extendable_ms: 0,
    extended: false,
    ...changes,
  };
}

function stock(changes: Partial<StockValue> = {}): StockValue {
  return {
    sale_id: "sl_1",
    quota: 100,
    available: 37,
    held: 22,
    sold: 41,
    waiting: 0,
    next_hold_ends_at_ms: null,
    epoch: 1,
    seq: 1,
    ...changes,
  };
}

function controls(
  state: SaleState,
  changes: Partial<SaleValue> = {},
  desk: { stock?: StockValue; role?: Role; isStale?: boolean; wasOpen?: boolean; isHeldByOther?: boolean } = {},
): Control[] {
  const view = deskView({
    sale: sale(state, changes),
    stock: desk.stock ?? stock(),
    role: desk.role ?? "host",
    isStale: desk.isStale ?? false,
    nowMs: NOW_MS,
    wasOpen: desk.wasOpen ?? false,
    isHeldByOther: desk.isHeldByOther ?? false,
  });
  return [...view.controls].sort();
}

describe("the controls of each state", () => {
  const table: [SaleState, Control[]][] = [
    ["draft", ["edit", "validate"]],
    ["ready", ["arm", "edit", "validate"]],
    ["armed", ["disarm", "fire"]],
    ["countdown", ["abort"]],
    ["open", ["add_stock", "end_early", "pause", "withdraw_stock"]],
    ["paused", ["add_stock", "end_early", "resume", "withdraw_stock"]],
    ["draining", ["add_stock", "reconcile"]],
    ["settled", ["new_round"]],
    ["published", ["new_round"]],
  ];
  it.each(table)("%s", (state, allowed) => expect(controls(state)).toEqual(allowed));
});

describe("interlocks", () => {
  it("fire is reachable from armed alone", () => {
    const states: SaleState[] = ["draft", "ready", "countdown", "open", "paused", "draining", "settled", "published"];
    for (const state of states) expect(controls(state)).not.toContain("fire");
  });

  it("abort closes three seconds before the opening", () => {
    expect(controls("countdown", { opens_at_ms: NOW_MS + 3_001 })).toContain("abort");
    expect(controls("countdown", { opens_at_ms: NOW_MS + 3_000 })).not.toContain("abort");
    expect(abortLeftMs(sale("countdown", { opens_at_ms: NOW_MS + 5_000 }), NOW_MS)).toBe(2_000);
    expect(abortLeftMs(sale("open"), NOW_MS)).toBe(0);
  });

  it("a countdown after a pause is ended, not aborted", () => {
    expect(controls("countdown", {}, { wasOpen: true })).toEqual(["end_early"]);
  });

  it("extend is there once, and only if the terms said so", () => {
    expect(controls("open")).not.toContain("extend");
    expect(controls("open", { extendable_ms: 30_000 })).toContain("extend");
    expect(controls("open", { extendable_ms: 30_000, extended: true })).not.toContain("extend");
  });

  it("nothing can be withdrawn when all is held or sold", () => {
    expect(controls("open", {}, { stock: stock({ available: 0, held: 59 }) })).not.toContain("withdraw_stock");
  });
});

describe("locks", () => {
  it("a stale desk locks every control", () => expect(controls("open", {}, { isStale: true })).toEqual([]));

  it("a broken sum locks all but reconcile", () => {
    expect(controls("open", {}, { stock: stock({ sold: 42 }) })).toEqual(["reconcile"]);
  });

  it.each<Role>(["viewer", "moderator", "analyst"])("a %s can't sell", (role) => {
    expect(controls("open", {}, { role })).toEqual([]);
    expect(mayDo(role, "sell")).toBe(false);
  });

  it("an analyst sees and does nothing", () => {
    expect(mayDo("analyst", "see")).toBe(true);
    expect(mayDo("analyst", "moderate")).toBe(false);
    expect(mayDo(null, "see")).toBe(false);
  });
});

describe("the sum", () => {
  it("holds when the three parts make the quota", () => expect(sumHolds(stock())).toBe(true));
  it("breaks by one unit", () => expect(sumHolds(stock({ held: 23 }))).toBe(false));
  it("breaks on a negative part, even when the total fits", () => {
    expect(sumHolds(stock({ available: -1, held: 60 }))).toBe(false);
  });
});

describe("the sale a desk shows first", () => {
  it("is the running one, then the coming one, then the latest round", () => {
    const open = sale("open", { sale_id: "open" });
    const draft = sale("draft", { sale_id: "draft", round: 3 });
    const first = sale("published", { sale_id: "first" });
    const second = sale("settled", { sale_id: "second", round: 2 });
    expect(firstSale([first, draft, open])?.sale_id).toBe("open");
    expect(firstSale([first, draft])?.sale_id).toBe("draft");
    expect(firstSale([first, second])?.sale_id).toBe("second");
    expect(firstSale([])).toBeNull();
  });
});

describe("one person at the desk", () => {
  it("the others can press nothing, in no state", () => {
    for (const state of ["draft", "ready", "armed", "countdown", "open", "paused", "draining", "settled"] as const) {
      expect(controls(state, {}, { isHeldByOther: true })).toEqual([]);
    }
  });

  it("not even on a sale whose sums don't hold", () =>
    expect(controls("open", {}, { isHeldByOther: true, stock: stock({ sold: 99 }) })).toEqual([]));
});
