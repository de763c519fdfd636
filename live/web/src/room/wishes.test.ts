import { signal } from "@preact/signals";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { CommandRefused } from "../shared/connection";
import type { RequestsValue } from "../shared/types";
import { language } from "../shared/words";
import { Wishes } from "./wishes";

const storage = new Map<string, string>();
let nowMs = 1_000_000;

function viewer(command: (name: string, params?: object) => Promise<Record<string, unknown>>) {
  const requests = signal<RequestsValue>({ total: 0, items: {} });
  const told = (items: RequestsValue["items"]): void => void (requests.value = { total: 0, items });
  return { told, wishes: new Wishes("rm_1", { command }, { requests, serverNow: () => nowMs }) };
}

beforeEach(() => {
  storage.clear();
  nowMs = 1_000_000;
  language.value = "en";
  vi.stubGlobal("localStorage", { getItem: (name: string) => storage.get(name) ?? null, setItem: (name: string, text: string) => void storage.set(name, text) });
});

describe("a wish", () => {
  it("is asked for once, and shown before the room's value has come round", async () => {
    const command = vi.fn(async () => ({ count: 12, at_ms: nowMs }));
    const { wishes, told } = viewer(command);
    told({ pr_a: [11, 900_000] });
    expect(wishes.of("pr_a")).toEqual({ count: 11, isMine: false });
    await wishes.ask("pr_a");
    expect(wishes.of("pr_a")).toEqual({ count: 12, isMine: true });
    await wishes.ask("pr_a");
    expect(command).toHaveBeenCalledTimes(1);
    expect(command).toHaveBeenCalledWith("request", { product_id: "pr_a" });
    told({ pr_a: [30, 900_000] });
    expect(wishes.of("pr_a")).toEqual({ count: 30, isMine: true });
  });

  it("is over when the item was shown, and may be asked for again", async () => {
    const { wishes, told } = viewer(async () => ({ count: 1, at_ms: nowMs }));
    await wishes.ask("pr_a");
    told({ pr_a: [1, nowMs] });
    nowMs += 60_000;
    told({});
    expect(wishes.of("pr_a")).toEqual({ count: 0, isMine: false });
    told({ pr_a: [4, nowMs] });
    expect(wishes.of("pr_a")).toEqual({ count: 4, isMine: false });
  });

  it("is known again after a reload; nonsense that was kept is not", async () => {
    const first = viewer(async () => ({ count: 2, at_ms: nowMs }));
    await first.wishes.ask("pr_a");
    const again = viewer(async () => ({}));
    again.told({ pr_a: [2, 900_000] });
    expect(again.wishes.of("pr_a").isMine).toBe(true);
    for (const bad of ["{", "null", "[1]", '{"pr_a":{"at_ms":"x"}}']) {
      storage.set("flashroom.wishes.rm_1", bad);
      expect(viewer(async () => ({})).wishes.of("pr_a").isMine).toBe(false);
    }
  });

  it("that was refused says why, at its item", async () => {
    const { wishes } = viewer(async () => {
      throw new CommandRefused("muted", "", { retry_after_ms: 3000 });
    });
    await wishes.ask("pr_a");
    expect(wishes.problem("pr_a")).toContain("muted");
    expect([wishes.problem("pr_b"), wishes.of("pr_a").isMine, wishes.isAsking("pr_a")]).toEqual([null, false, false]);
  });
});
