/** Which controls of the sale desk may be pressed now: a table of states, then the locks. No I/O, no clock of its own. */

import type { Role, SaleState, SaleValue, StockValue } from "../shared/types";

export type Control =
  | "edit"
  | "validate"
  | "arm"
  | "disarm"
  | "fire"
  | "abort"
  | "pause"
  | "resume"
  | "add_stock"
  | "withdraw_stock"
  | "extend"
  | "end_early"
  | "reconcile"
  | "new_round";

/** Abort is possible until this long before the opening; the server judges, this only dims the button in time. */
export const ABORT_UNTIL_MS = 3_000;

/** PRODUCT.md 2.1. What is not here can't be pressed; the server refuses it too. */
const ALLOWED: Readonly<Record<SaleState, readonly Control[]>> = {
  draft: ["edit", "validate"],
  ready: ["edit", "validate", "arm"],
  armed: ["disarm", "fire"],
  countdown: ["abort", "end_early"],
  open: ["pause", "add_stock", "withdraw_stock", "extend", "end_early"],
  paused: ["resume", "add_stock", "withdraw_stock", "end_early"],
  draining: ["add_stock", "reconcile"],
  settled: ["new_round"],
  published: ["new_round"],
};

export type Lock = "inconsistent" | "stale" | "role" | "held";

export interface DeskInput {
  sale: SaleValue;
  stock: StockValue | null;
  role: Role | null;
  isStale: boolean;
  nowMs: number;
  /** The sale has been open before: this countdown follows a pause, so it is ended, not aborted. */
  wasOpen: boolean;
  /** Somebody else is at the desk: this console looks. */
  isHeldByOther: boolean;
}

export interface DeskView {
  lock: Lock | null;
  controls: ReadonlySet<Control>;
}

/** The desk's lock, if any, and the controls that may be pressed. */
export function deskView(input: DeskInput): DeskView {
  const lock = lockOf(input);
  const controls = new Set<Control>();
  for (const control of ALLOWED[input.sale.state]) {
    if (isOpenTo(lock, control) && isPossible(control, input)) controls.add(control);
  }
  if (lock === "inconsistent") controls.add("reconcile");
  return { lock, controls };
}

function lockOf({ stock, role, isStale, isHeldByOther }: DeskInput): Lock | null {
  if (!mayDo(role, "sell")) return "role";
  if (isStale) return "stale";
  if (isHeldByOther) return "held";
  if (stock && !sumHolds(stock)) return "inconsistent";
  return null;
}

function isOpenTo(lock: Lock | null, control: Control): boolean {
  return lock === null || (lock === "inconsistent" && control === "reconcile");
}

function isPossible(control: Control, { sale, stock, nowMs, wasOpen }: DeskInput): boolean {
  switch (control) {
    case "abort":
      return !wasOpen && abortLeftMs(sale, nowMs) > 0;
    case "end_early":
      return sale.state !== "countdown" || wasOpen;
    case "extend":
      return sale.extendable_ms > 0 && !sale.extended;
    case "withdraw_stock":
      return withdrawable(stock) > 0;
    default:
      return true;
  }
}

/** Time left in which the countdown may still be aborted; 0 when none. */
export function abortLeftMs(sale: SaleValue, nowMs: number): number {
  if (sale.state !== "countdown" || sale.opens_at_ms === null) return 0;
  return Math.max(0, sale.opens_at_ms - ABORT_UNTIL_MS - nowMs);
}

/** Units that may be taken back: available ones only; held and sold units can't be touched. */
export function withdrawable(stock: StockValue | null): number {
  return stock ? Math.max(0, stock.available) : 0;
}

/** available + held + sold = quota, each a whole number that isn't negative. */
export function sumHolds({ available, held, sold, quota }: Pick<StockValue, "available" | "held" | "sold" | "quota">): boolean {
  const parts = [available, held, sold];
  return parts.every((n) => Number.isInteger(n) && n >= 0) && available + held + sold === quota;
}

export type Permission = "sell" | "moderate" | "produce" | "see";

const ROLES: Readonly<Record<Permission, readonly Role[]>> = {
  sell: ["seller", "host", "owner"],
  moderate: ["moderator", "seller", "host", "owner"],
  produce: ["host", "owner"],
  see: ["analyst", "moderator", "seller", "host", "owner"],
};

/** Whether a role may do a kind of thing in its room. The server checks again. */
export function mayDo(role: Role | null, permission: Permission): boolean {
  return role !== null && ROLES[permission].includes(role);
}

const DESK_ORDER: Readonly<Record<SaleState, number>> = {
  open: 9,
  paused: 8,
  countdown: 7,
  draining: 6,
  armed: 5,
  ready: 4,
  draft: 3,
  settled: 1,
  published: 1,
};

/** The sale of a product that the desk shows first: a running one, then a coming one, then the latest that ended. */
export function firstSale<S extends SaleValue>(sales: readonly S[]): S | null {
  let best: S | null = null;
  for (const sale of sales) {
    if (!best) best = sale;
    else {
      const difference = DESK_ORDER[sale.state] - DESK_ORDER[best.state];
      if (difference > 0 || (difference === 0 && sale.round > best.round)) best = sale;
    }
  }
  return best;
}

/** States in which viewers can act on the sale or soon will: what must never be out of the operator's sight. */
export function isRunning(state: SaleState): boolean {
  return state === "countdown" || state === "open" || state === "paused" || state === "draining";
}
