import { describe, expect, it } from "vitest";
import { formatMoney, minorDigits, parseMoney, percentOff } from "./money";

describe("formatMoney", () => {
  it.each([
    [9900, "CNY", "zh", "¥99"],
    [9950, "CNY", "en", "¥99.50"],
    [129900, "CNY", "en", "¥1,299"],
    [0, "CNY", "en", "¥0"],
    [500, "JPY", "en", "¥500"],
    [2599, "GBP", "en", "£25.99"],
  ] as const)("%i minor units of %s in %s are %s", (minor, currency, lang, text) => {
    expect(formatMoney(minor, currency, lang)).toBe(text);
  });
});

it("knows how many digits a minor unit has", () => {
  expect([minorDigits("CNY"), minorDigits("JPY"), minorDigits("KWD")]).toEqual([2, 0, 3]);
});

it("never promises more off than there is", () => {
  expect(percentOff(9999, 20000)).toBe(50);
  expect(percentOff(20000, 20000)).toBe(0);
  expect(percentOff(21000, 20000)).toBe(0);
});

describe("parseMoney", () => {
  it.each([
    ["99", 9900],
    ["99.5", 9950],
    ["¥ 1,299.00", 129900],
    ["99.", 9900],
    ["99.999", null],
    ["", null],
    ["abc", null],
    ["1.2.3", null],
  ])("reads %j as %j", (text, minor) => {
    expect(parseMoney(text, "CNY")).toBe(minor);
  });
});
