import { describe, expect, it } from "vitest";
import { changeText } from "./audit-text";

describe("audit entries in a line", () => {
  it("tell only what changed", () => {
    expect(changeText({ state: "open", quota: 20, version: 3 }, { state: "paused", quota: 20, version: 4 })).toBe("state: open → paused");
  });
  it("tell what is new without an arrow", () => expect(changeText(null, { seconds: 60 })).toBe("seconds: 60"));
  it("are silent when nothing changed", () => {
    expect(changeText({ a: 1 }, { a: 1 })).toBe("");
    expect(changeText(null, null)).toBe("");
  });
  it("stay short", () => {
    const many = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`k${i}`, i]));
    expect(changeText({}, many)).toBe("k0: 0, k1: 1, k2: 2, k3: 3, …");
    expect(changeText(null, "x".repeat(500)).length).toBeLessThan(60);
  });
});
