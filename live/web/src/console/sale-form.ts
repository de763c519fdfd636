/** The sale form: texts as typed, sensible defaults, and every reason why they can't be sent. No I/O. */

import { minorDigits, parseMoney } from "../shared/money";
import type { Sale, Variant } from "../shared/types";

export interface SaleForm {
  price: string;
  quota: string;
  limit: string;
  hold_s: string;
  duration_s: string;
  countdown_s: string;
  extend_s: string;
}

export type SaleField = keyof SaleForm;

/** The body of `POST /api/rooms/{id}/sales`. */
export interface NewSale {
  variant_id: string;
  price_minor: number;
  quota: number;
  limit_per_buyer: number;
  hold_ms: number;
  duration_ms: number;
  countdown_ms: number;
  extendable_ms: number;
  rule: "first_come";
}

export interface FormProblem {
  word:
    | "form_price_bad"
    | "form_price_not_below"
    | "form_whole"
    | "form_range"
    | "form_above_stock"
    | "form_above_quota"
    | "form_seconds";
  vars: Record<string, number>;
}

export type FormProblems = Partial<Record<SaleField, FormProblem>>;

/** Lowest and highest value per field; commerce/sale_rules.py has the same limits. */
export const BOUNDS = {
  quota: [1, 1_000_000],
  limit: [1, 99],
  hold_s: [1, 3600],
  duration_s: [1, 86_400],
  countdown_s: [0, 300],
  extend_s: [0, 3600],
} as const;

const DEFAULT_QUOTA = 20;
const DEFAULT_OFF = 0.8;

/** A fifth off, ending on 9 where that is still below; 20 units or what there is; one per buyer; two minutes to pay. */
export function defaultForm(variant: Variant, currency: string): SaleForm {
  return {
    price: amountText(nicePrice(variant.price_minor, currency), currency),
    quota: String(Math.max(1, Math.min(DEFAULT_QUOTA, variant.stock))),
    limit: "1",
    hold_s: "120",
    duration_s: "60",
    countdown_s: "10",
    extend_s: "0",
  };
}

/** The terms of an earlier sale as a form: for editing it or for the next round. */
export function formOf(sale: Sale): SaleForm {
  return {
    price: amountText(sale.price_minor, sale.currency),
    quota: String(sale.quota),
    limit: String(sale.limit_per_buyer),
    hold_s: String(sale.hold_ms / 1000),
    duration_s: String(sale.duration_ms / 1000),
    countdown_s: String(sale.countdown_ms / 1000),
    extend_s: String(sale.extendable_ms / 1000),
  };
}

/** A next round's form: the same terms on what is left in stock. */
export function nextRoundForm(sale: Sale, stock: number): SaleForm {
  return { ...formOf(sale), quota: String(Math.max(1, Math.min(sale.quota, stock))) };
}

function nicePrice(listMinor: number, currency: string): number {
  const unit = 10 ** minorDigits(currency);
  const target = Math.floor(listMinor * DEFAULT_OFF);
  const whole = Math.floor(target / unit);
  const ending9 = whole - ((whole + 1) % 10);
  if (ending9 >= whole * 0.9 && ending9 > 0) return ending9 * unit;
  return whole > 0 ? whole * unit : Math.max(1, target);
}

/** Minor units as an editable amount: "99", "99.50". */
export function amountText(minor: number, currency: string): string {
  const digits = minorDigits(currency);
  const unit = 10 ** digits;
  return minor % unit === 0 ? String(minor / unit) : (minor / unit).toFixed(digits);
}

export interface FormContext {
  currency: string;
  listPriceMinor: number;
  stock: number;
}

export type Checked = { problems: FormProblems; terms: Omit<NewSale, "variant_id"> | null };

/** Every problem at its field, or the terms to send. */
export function checkForm(form: SaleForm, context: FormContext): Checked {
  const problems: FormProblems = {};
  const priceMinor = parseMoney(form.price.trim(), context.currency);
  if (priceMinor === null || priceMinor <= 0) problems.price = { word: "form_price_bad", vars: {} };
  else if (priceMinor >= context.listPriceMinor) problems.price = { word: "form_price_not_below", vars: {} };

  const quota = whole(form, "quota", problems);
  const limit = whole(form, "limit", problems);
  const holdS = whole(form, "hold_s", problems);
  const durationS = whole(form, "duration_s", problems);
  const countdownS = whole(form, "countdown_s", problems);
  const extendS = whole(form, "extend_s", problems);
  if (quota !== null && quota > context.stock) problems.quota = { word: "form_above_stock", vars: { n: context.stock } };
  if (quota !== null && limit !== null && limit > quota) problems.limit = { word: "form_above_quota", vars: { n: quota } };

  if (Object.keys(problems).length || priceMinor === null) return { problems, terms: null };
  return {
    problems,
    terms: {
      price_minor: priceMinor,
      quota: quota as number,
      limit_per_buyer: limit as number,
      hold_ms: (holdS as number) * 1000,
      duration_ms: (durationS as number) * 1000,
      countdown_ms: (countdownS as number) * 1000,
      extendable_ms: (extendS as number) * 1000,
      rule: "first_come",
    },
  };
}

function whole(form: SaleForm, field: keyof typeof BOUNDS, problems: FormProblems): number | null {
  const [low, high] = BOUNDS[field];
  const text = form[field].trim();
  if (!/^\d{1,7}$/.test(text)) {
    problems[field] = { word: "form_whole", vars: {} };
    return null;
  }
  const value = Number(text);
  if (value < low || value > high) {
    problems[field] = { word: field.endsWith("_s") ? "form_seconds" : "form_range", vars: { low, high } };
    return null;
  }
  return value;
}

/** A number of units typed into the stock tray: whole, at least 1, at most `most`; null when it isn't one. */
export function unitsOf(text: string, most: number): number | null {
  const cleaned = text.trim();
  if (!/^\d{1,7}$/.test(cleaned)) return null;
  const units = Number(cleaned);
  return units >= 1 && units <= most ? units : null;
}
