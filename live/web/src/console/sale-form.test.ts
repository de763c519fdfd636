import { describe, expect, it } from "vitest";
import type { Variant } from "../shared/types";
import { checkForm, defaultForm, type SaleForm, unitsOf } from "./sale-form";

const CONTEXT = { currency: "CNY", listPriceMinor: 19900, stock: 37 };
const GOOD: SaleForm = {
  price: "99.50",
  quota: "20",
  limit: "2",
  hold_s: "120",
  duration_s: "60",
  countdown_s: "10",
  extend_s: "30",
};

function variant(price_minor: number, stock: number): Variant {
  return { variant_id: "va_1", title: { en: "30 ml" }, price_minor, stock };
}

function problem(changes: Partial<SaleForm>): Record<string, string> {
  const { problems, terms } = checkForm({ ...GOOD, ...changes }, CONTEXT);
  expect(terms).toBeNull();
  return Object.fromEntries(Object.entries(problems).map(([field, found]) => [field, found.word]));
}

describe("a form that is right", () => {
  it("becomes terms in minor units and milliseconds", () => {
    const { problems, terms } = checkForm(GOOD, CONTEXT);
    expect(problems).toEqual({});
    expect(terms).toEqual({
      price_minor: 9950,
      quota: 20,
      limit_per_buyer: 2,
      hold_ms: 120_000,
      duration_ms: 60_000,
      countdown_ms: 10_000,
      extendable_ms: 30_000,
      rule: "first_come",
    });
  });
});

describe("a form that is wrong says where", () => {
  it.each<[Partial<SaleForm>, Record<string, string>]>([
    [{ price: "" }, { price: "form_price_bad" }],
    [{ price: "abc" }, { price: "form_price_bad" }],
    [{ price: "9.999" }, { price: "form_price_bad" }],
    [{ price: "0" }, { price: "form_price_bad" }],
    [{ price: "199" }, { price: "form_price_not_below" }],
    [{ quota: "38" }, { quota: "form_above_stock" }],
    [{ quota: "0" }, { quota: "form_range" }],
    [{ quota: "1.5" }, { quota: "form_whole" }],
    [{ quota: "-3" }, { quota: "form_whole" }],
    [{ limit: "21" }, { limit: "form_above_quota" }],
    [{ limit: "100" }, { limit: "form_range" }],
    [{ hold_s: "0" }, { hold_s: "form_seconds" }],
    [{ countdown_s: "301" }, { countdown_s: "form_seconds" }],
    [{ price: "", quota: "" }, { price: "form_price_bad", quota: "form_whole" }],
  ])("%o", (changes, expected) => expect(problem(changes)).toEqual(expected));
});

describe("defaults", () => {
  it("can be sent as they are", () => {
    for (const [price, stock] of [[19900, 37], [100, 1], [4990, 500], [50, 3], [1_299_00, 8]] as const) {
      const form = defaultForm(variant(price, stock), "CNY");
      const { problems } = checkForm(form, { currency: "CNY", listPriceMinor: price, stock });
      expect(problems).toEqual({});
    }
  });

  it("never promise more than there is", () => expect(defaultForm(variant(19900, 3), "CNY").quota).toBe("3"));
  it("end on nine when that stays near", () => expect(defaultForm(variant(19900, 37), "CNY").price).toBe("159"));
  it("know currencies without decimals", () => expect(defaultForm(variant(1000, 5), "JPY").price).toBe("799"));
});

describe("units in the stock tray", () => {
  it.each<[string, number, number | null]>([
    ["5", 10, 5],
    [" 10 ", 10, 10],
    ["11", 10, null],
    ["0", 10, null],
    ["", 10, null],
    ["2.5", 10, null],
    ["1e3", 5000, null],
  ])("%j of at most %i is %s", (text, most, units) => expect(unitsOf(text, most)).toBe(units));
});
