import { signal } from "@preact/signals";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ActionRunner } from "./runner";
import type { RoomDesk } from "./room-desk";
import { Scripts } from "./scripts";

const desk = (): RoomDesk =>
  ({
    runner: new ActionRunner(() => undefined),
    path: (rest: string) => `/api/rooms/rm_1${rest}`,
    products: signal([{ product_id: "pr_a" }, { product_id: "pr_b" }]),
    store: {
      scripts: signal<number | null>(null),
      room: signal({ status: "live", started_at_ms: 0 }),
      pin: signal({ product_id: "pr_a", at_ms: 60_000 }),
      serverNow: () => 13.5 * 60_000,
    },
  }) as unknown as RoomDesk;

const answers = (...bodies: [number, unknown][]): string[] => {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    asked.push(`${init.method} ${path}`);
    const [status, body] = bodies.shift() ?? [500, {}];
    return new Response(JSON.stringify(body), { status });
  });
  return asked;
};

afterEach(() => vi.unstubAllGlobals());

const one = { product_id: "pr_a", script: "Hello", minute: 1, version: 4 };

describe("scripts", () => {
  it("are read again when the room says that they are others, and not when it says what is known", async () => {
    const room = desk();
    const asked = answers([200, { scripts: [one], version: 4 }], [200, { scripts: [{ ...one, script: "Hi", version: 5 }], version: 5 }]);
    const scripts = new Scripts(room);
    scripts.start();
    await vi.waitFor(() => expect(scripts.of("pr_a").script).toBe("Hello"));
    room.store.scripts.value = 4;
    expect(asked).toHaveLength(1);
    room.store.scripts.value = 5;
    await vi.waitFor(() => expect(scripts.of("pr_a").script).toBe("Hi"));
    expect(scripts.of("pr_b")).toEqual({ product_id: "pr_b", script: "", minute: null, version: 0 });
    scripts.stop();
  });

  it("that changed meanwhile are given back, and what was typed stays a draft until it is saved", async () => {
    const scripts = new Scripts(desk());
    const mine = { ...one, script: "Mine" };
    scripts.drafts.set("pr_a", mine);
    answers([409, { code: "script_changed", script: "Theirs", minute: 9, version: 7 }], [200, { ...mine, version: 8 }]);
    const saved = await scripts.write(mine);
    expect(saved).toEqual({ is: "changed", theirs: expect.objectContaining({ script: "Theirs", minute: 9, version: 7 }) });
    expect(scripts.drafts.get("pr_a")).toBe(mine);
    expect(await scripts.write({ ...mine, version: 7 })).toEqual({ is: "saved" });
    expect(scripts.drafts.size).toBe(0);
    expect(scripts.of("pr_a")).toEqual({ ...mine, version: 8 });
  });

  it("say how late the show is, and at which item", async () => {
    const scripts = new Scripts(desk());
    answers([200, { scripts: [one, { ...one, product_id: "pr_b", minute: 10 }], version: 4 }]);
    await scripts.read();
    expect(scripts.late.value).toEqual({ productId: "pr_b", by: 3 });
  });
});
