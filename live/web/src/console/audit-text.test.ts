import { describe, expect, it } from "vitest";
import { setLanguage } from "../shared/words";
import { changeText } from "./audit-text";

const CONTEXT = { lang: "en", currency: "CNY", nameOf: (id: string) => (id === "pr_1" ? "Serum" : null) } as const;
const change = (before: unknown, after: unknown): string => changeText(before, after, CONTEXT);

describe("audit entries in a line", () => {
  it("tell only what a person changed", () => {
    const before = { state: "open", quota: 20, version: 3, reserved: 6 };
    expect(change(before, { state: "paused", quota: 20, version: 4, reserved: 7 })).toBe("State: Open → Paused");
  });

  it("show amounts, spans and names as such, not as numbers of the database", () => {
    expect(change({ price_minor: 15900 }, { price_minor: 9950 })).toBe("Price: ¥159 → ¥99.50");
    expect(change({ hold_ms: 120_000 }, { hold_ms: 60_000 })).toBe("Time to pay: 120 s → 60 s");
    expect(change({ pinned_product_id: null }, { pinned_product_id: "pr_1" })).toBe("Now showing: Serum");
    expect(change({ off: false }, { off: true })).toBe("Chat off: no → yes");
  });

  it("show moments as times of day", () => {
    const text = change({ closes_at_ms: 0 }, { closes_at_ms: 61_000 });
    expect(text).toMatch(/^Closes: \d\d:\d\d:00 → \d\d:\d\d:01$|^Closes: \d\d:00:00 → \d\d:01:01$/);
  });

  it("have no arrow from nothing", () => expect(change(null, { seconds: 60 })).toBe("seconds: 60"));

  it("are silent when nothing changed", () => {
    expect(change({ a: 1 }, { a: 1 })).toBe("");
    expect(change({ a: null }, {})).toBe("");
    expect(change(null, null)).toBe("");
  });

  it("stay short", () => {
    const many = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${i}`, i]));
    expect(change({}, many)).toBe("k0: 0, k1: 1, k2: 2, k3: 3, …");
    expect(change(null, "x".repeat(500)).length).toBeLessThan(62);
  });

  it("speak the page's language", () => {
    setLanguage("zh");
    expect(change({ state: "open" }, { state: "paused" })).toBe("状态: 开抢中 → 已暂停");
    setLanguage("en");
  });
});
