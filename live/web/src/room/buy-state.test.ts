import { describe, expect, it } from "vitest";
import type { SaleState, SaleValue } from "../shared/types";
import { type BuyInput, type BuyKind, buyState, maxQuantity } from "./buy-state";

const OPENS = 10_000;
const CLOSES = 60_000;

function sale(state: SaleState, over: Partial<SaleValue> = {}): SaleValue {
  return { sale_id: "sl_1", state, limit_per_buyer: 2, opens_at_ms: OPENS, closes_at_ms: CLOSES, state_reason: null, ...over } as SaleValue;
}

function input(over: Partial<BuyInput> = {}): BuyInput {
  return {
    sale: sale("open"),
    stock: { available: 5, held: 3, sold: 2 },
    isLive: true,
    isReminded: false,
    nowMs: 20_000,
    isAsking: false,
    heldUntilMs: null,
    payment: null,
    place: null,
    unitsHeld: 0,
    unitsBought: 0,
    ...over,
  };
}

const cases: [why: string, over: Partial<BuyInput>, kind: BuyKind, isEnabled: boolean][] = [
  ["no sale on this product", { sale: null, stock: null }, "remind", true],
  ["no sale, and I am to be told", { sale: null, stock: null, isReminded: true }, "reminded", true],
  ["a draft is nobody's business yet", { sale: sale("draft") }, "remind", true],
  ["armed", { sale: sale("armed", { opens_at_ms: null }) }, "remind", true],
  ["armed, and I am to be told", { sale: sale("armed", { opens_at_ms: null }), isReminded: true }, "reminded", true],
  ["counting down", { sale: sale("countdown"), nowMs: 9_999 }, "opens_in", false],
  ["counting down, and I am to be told", { sale: sale("countdown"), nowMs: 9_999, isReminded: true }, "opens_in", false],
  ["open, and nobody has told me yet", { isReminded: true }, "buy", true],
  ["at zero by the server's clock, before the word open", { sale: sale("countdown"), nowMs: OPENS }, "buy", true],
  ["resumed with an opening in the future", { sale: sale("open"), nowMs: 9_000 }, "opens_in", false],
  ["open", {}, "buy", true],
  ["open with stock unknown", { stock: null }, "buy", true],
  ["past its closing, but the server hasn't said ended", { nowMs: CLOSES + 5_000 }, "buy", true],
  ["paused", { sale: sale("paused") }, "paused", false],
  ["a tap is on its way", { isAsking: true }, "checking", false],
  ["held", { heldUntilMs: 90_000, unitsHeld: 1 }, "held", true],
  ["held, and the sale has ended", { sale: sale("draining"), heldUntilMs: 90_000, unitsHeld: 1 }, "held", true],
  ["held, and the sale is paused", { sale: sale("paused"), heldUntilMs: 90_000, unitsHeld: 1 }, "held", true],
  ["paying", { heldUntilMs: 90_000, payment: "paying" }, "paying", false],
  ["the provider's answer is awaited", { heldUntilMs: 90_000, payment: "confirming" }, "confirming", true],
  ["bought all I may", { unitsBought: 2 }, "bought", false],
  ["bought one of two", { unitsBought: 1 }, "buy_more", true],
  ["at my limit without having paid", { unitsHeld: 2 }, "limit_reached", false],
  ["every unit held", { stock: { available: 0, held: 3, sold: 7 } }, "all_held", true],
  ["every unit held, and I am in line", { place: 3, stock: { available: 0, held: 3, sold: 7 } }, "in_line", false],
  ["in line, and my unit is here", { place: 1, heldUntilMs: 90_000 }, "held", true],
  ["in line when the sale ended", { place: 1, sale: sale("draining") }, "ended", false],
  ["every unit sold", { stock: { available: 0, held: 0, sold: 10 } }, "sold_out", false],
  ["ended with units in holds", { sale: sale("draining"), stock: { available: 0, held: 3, sold: 7 } }, "ended", false],
  ["ended with units left", { sale: sale("settled"), stock: { available: 2, held: 0, sold: 8 } }, "ended", false],
  ["ended early with its leftovers returned", { sale: sale("settled", { state_reason: "ended_early: done" }), stock: { available: 0, held: 0, sold: 1 } }, "ended", false],
  ["ended because all are sold", { sale: sale("settled", { state_reason: "sold_out" }), stock: { available: 0, held: 0, sold: 10 } }, "sold_out", false],
  ["ended, and I have one", { sale: sale("published"), unitsBought: 1 }, "bought", false],
  ["offline beats everything", { isLive: false, heldUntilMs: 90_000, isAsking: true }, "offline", false],
];

describe("the Buy button", () => {
  it.each(cases)("%s: %o", (_why, over, kind, isEnabled) => {
    expect(buyState(input(over))).toMatchObject({ kind, isEnabled });
  });

  it("never says sold out while a unit is held", () => {
    for (const state of ["countdown", "open", "paused", "draining", "settled", "published"] as const) {
      const kind = buyState(input({ sale: sale(state, { state_reason: "sold_out" }), stock: { available: 0, held: 1, sold: 9 } })).kind;
      expect(kind).not.toBe("sold_out");
    }
  });

  it("never says ended in a state the server still calls running, whatever the clock shows", () => {
    for (const state of ["countdown", "open", "paused"] as const) {
      for (const nowMs of [0, OPENS, CLOSES, CLOSES * 10]) {
        expect(buyState(input({ sale: sale(state), nowMs })).kind).not.toBe("ended");
      }
    }
  });

  it("counts down to the opening and to the end of my hold", () => {
    expect(buyState(input({ sale: sale("countdown"), nowMs: 0 })).untilMs).toBe(OPENS);
    expect(buyState(input({ heldUntilMs: 90_000 })).untilMs).toBe(90_000);
  });
});

it("offers no more than limit and stock allow, and never less than one", () => {
  const one = sale("open", { limit_per_buyer: 4 });
  expect(maxQuantity(one, { available: 9 }, 0)).toBe(4);
  expect(maxQuantity(one, { available: 2 }, 0)).toBe(2);
  expect(maxQuantity(one, { available: 9 }, 3)).toBe(1);
  expect(maxQuantity(one, { available: 0 }, 4)).toBe(1);
});
