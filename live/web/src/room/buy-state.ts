/** What the Buy button says and does: one definite label per state, from server truth alone. No I/O, no clock of its own. */

import type { SaleValue, StockValue } from "../shared/types";

export type BuyKind =
  | "offline"
  | "remind"
  | "reminded"
  | "opens_in"
  | "buy"
  | "buy_more"
  | "checking"
  | "held"
  | "paying"
  | "confirming"
  | "bought"
  | "all_held"
  | "in_line"
  | "limit_reached"
  | "sold_out"
  | "paused"
  | "ended";

export interface BuyInput {
  sale: SaleValue | null;
  stock: Pick<StockValue, "available" | "held" | "sold"> | null;
  isLive: boolean;
  /** This viewer is to be told when the item goes on sale. */
  isReminded: boolean;
  nowMs: number;
  /** A tap waits for the hub's decision. */
  isAsking: boolean;
  /** My hold on this sale that is not paid yet: its own expiry, or its order's deadline. */
  heldUntilMs: number | null;
  payment: "paying" | "confirming" | null;
  /** My place in the wait list. */
  place: number | null;
  unitsHeld: number;
  unitsBought: number;
}

export interface BuyState {
  kind: BuyKind;
  isEnabled: boolean;
  /** The moment the label counts down to, if it has one. */
  untilMs: number | null;
}

/** The state of the button for one sale and one viewer. */
export function buyState(input: BuyInput): BuyState {
  const { sale, stock, nowMs } = input;
  if (!input.isLive) return state("offline", false);
  if (input.payment) return state(input.payment, input.payment === "confirming");
  if (input.isAsking) return state("checking", false);
  if (input.heldUntilMs !== null) return state("held", true, input.heldUntilMs);
  if (!sale) return remindState(input);
  const opensAtMs = sale.opens_at_ms ?? Number.POSITIVE_INFINITY;
  switch (sale.state) {
    case "draft":
    case "ready":
    case "armed":
      return remindState(input);
    case "paused":
      return state("paused", false);
    case "countdown":
      // The hub judges by Redis' clock, not by the word "open": at zero the tap may go out.
      if (nowMs < opensAtMs) return state("opens_in", false, opensAtMs);
      return openState(input, sale);
    case "open":
      if (nowMs < opensAtMs) return state("opens_in", false, opensAtMs);
      return openState(input, sale);
    case "draining":
    case "settled":
    case "published":
      if (input.unitsBought > 0) return state("bought", false);
      // Leftovers go back to the shop when a sale settles, so its numbers alone don't tell "sold out" from "ended".
      return state(sale.state_reason === "sold_out" && !stock?.held ? "sold_out" : "ended", false);
  }
}

/** Not on sale now: one tap asks to be told, another takes that back. */
function remindState(input: BuyInput): BuyState {
  return state(input.isReminded ? "reminded" : "remind", true);
}

function openState(input: BuyInput, sale: SaleValue): BuyState {
  const mine = input.unitsHeld + input.unitsBought;
  if (mine >= sale.limit_per_buyer) return state(input.unitsBought > 0 ? "bought" : "limit_reached", false);
  const stock = input.stock;
  if (input.place !== null) return state("in_line", false);
  // The clock passing `closes_at_ms` changes nothing here: "ended" is the server's word, and a tap gets its answer.
  if (!stock || stock.available > 0) return state(input.unitsBought > 0 ? "buy_more" : "buy", true);
  if (stock.held > 0) return state("all_held", true);
  return state("sold_out", false);
}

function state(kind: BuyKind, isEnabled: boolean, untilMs: number | null = null): BuyState {
  return { kind, isEnabled, untilMs };
}

/** Whether nothing more can be bought at the sale's price, by the server's word. */
export function isOver(sale: SaleValue): boolean {
  return sale.state === "draining" || sale.state === "settled" || sale.state === "published";
}

/** How many units this viewer may still take in one tap. */
export function maxQuantity(sale: SaleValue, stock: Pick<StockValue, "available"> | null, unitsMine: number): number {
  const left = sale.limit_per_buyer - unitsMine;
  return Math.max(1, Math.min(left, stock && stock.available > 0 ? stock.available : left));
}
