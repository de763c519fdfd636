import { describe, expect, it } from "vitest";
import { proves, type Receipt } from "./receipt";
import vectors from "./receipt.vectors.json";

const receipts = vectors as unknown as Receipt[];

describe("a receipt", () => {
  it("from the server proves its entry", async () => {
    expect(receipts.length).toBeGreaterThan(2);
    for (const receipt of receipts) expect(await proves(receipt)).toBe(true);
  });

  it("that was changed anywhere proves nothing", async () => {
    for (const receipt of receipts) {
      const first = receipt.lines[0] ?? "";
      for (const changed of [
        { ...receipt, root: "0".repeat(64) },
        { ...receipt, before: "0".repeat(64) },
        { ...receipt, lines: [`${first} `, ...receipt.lines.slice(1)] },
        { ...receipt, position: receipt.first_position + receipt.lines.length },
        { ...receipt, path: [...receipt.path, ["left", "0".repeat(64)]] as [string, string][] },
      ]) {
        expect(await proves(changed)).toBe(false);
      }
    }
  });
});
