import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { setLanguage } from "../shared/words";
import { ActionRunner } from "./runner";

interface Sent {
  key: string;
  body: string;
}

/** A server that answers each call with the next of `answers`; `network` means that no answer comes. */
function serve(...answers: (Response | "network" | Promise<Response>)[]): Sent[] {
  const sent: Sent[] = [];
  vi.stubGlobal("fetch", async (_path: string, init: RequestInit) => {
    sent.push({ key: (init.headers as Record<string, string>)["Idempotency-Key"] ?? "", body: String(init.body) });
    const answer = answers.shift();
    if (answer === undefined || answer === "network") throw new TypeError("failed to fetch");
    return answer;
  });
  return sent;
}

function ok(body: unknown): Response {
  return new Response(JSON.stringify(body), { status: 200 });
}

function problem(status: number, code: string, facts: object = {}): Response {
  return new Response(JSON.stringify({ status, code, detail: "", ...facts }), { status });
}

async function settle<T>(promise: Promise<T>): Promise<T> {
  await vi.runAllTimersAsync();
  return promise;
}

beforeEach(() => {
  vi.useFakeTimers();
  setLanguage("en");
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("an action", () => {
  it("is sent once, however often it is pressed while it waits", async () => {
    const sent = serve(ok({ state: "countdown" }), ok({ state: "countdown" }));
    const runner = new ActionRunner(() => undefined);
    const first = runner.send("sale:1", "fire", "post", "/fire");
    expect(runner.waiting("sale:1")).toBe("fire");
    const second = await runner.send("sale:1", "fire", "post", "/fire");
    expect(second.ok).toBe(false);
    expect((await settle(first)).ok).toBe(true);
    expect(sent).toHaveLength(1);
    expect(runner.waiting("sale:1")).toBeNull();
  });

  it("blocks only its own place", async () => {
    const sent = serve(ok({}), ok({}));
    const runner = new ActionRunner(() => undefined);
    await settle(Promise.all([runner.send("sale:1", "pause", "post", "/a"), runner.send("sale:2", "pause", "post", "/b")]));
    expect(sent).toHaveLength(2);
  });

  it("keeps its key when nobody answered, so that pressing again can't do it twice", async () => {
    const sent = serve("network", "network", "network", ok({}), ok({}));
    const runner = new ActionRunner(() => undefined);
    expect((await settle(runner.send("sale:1", "add_stock", "post", "/stock", { delta: 5 }))).ok).toBe(false);
    expect(runner.failure("sale:1")?.text).toContain("No answer");
    await settle(runner.send("sale:1", "add_stock", "post", "/stock", { delta: 5 }));
    expect(new Set(sent.map((one) => one.key)).size).toBe(1);
    // Answered: five more is a new wish.
    await settle(runner.send("sale:1", "add_stock", "post", "/stock", { delta: 5 }));
    expect(sent.at(-1)?.key).not.toBe(sent[0]?.key);
  });

  it("has another key when it is another action", async () => {
    const sent = serve("network", "network", "network", ok({}));
    const runner = new ActionRunner(() => undefined);
    await settle(runner.send("sale:1", "add_stock", "post", "/stock", { delta: 5 }));
    await settle(runner.send("sale:1", "add_stock", "post", "/stock", { delta: 6 }));
    expect(sent.at(-1)?.key).not.toBe(sent[0]?.key);
  });

  it("tells in words why it failed, where it was pressed, until the next try", async () => {
    serve(problem(409, "sale_state", { state: "draining" }), ok({}));
    const runner = new ActionRunner(() => undefined);
    await settle(runner.send("sale:1", "pause", "post", "/pause"));
    expect(runner.failure("sale:1")?.text).toBe("Not possible now: the sale is “Draining”.");
    expect(runner.failure("sale:2")).toBeNull();
    await settle(runner.send("sale:1", "pause", "post", "/pause"));
    expect(runner.failure("sale:1")).toBeNull();
  });

  it("says what the server said when the code has no words here", async () => {
    serve(new Response(JSON.stringify({ status: 409, code: "brand_new", detail: "The moon is full." }), { status: 409 }));
    const runner = new ActionRunner(() => undefined);
    await settle(runner.send("form", "create", "post", "/sales"));
    expect(runner.failure("form")?.text).toBe("The moon is full. (brand_new)");
  });

  it("leads to the door when the session is over", async () => {
    serve(problem(401, "sign_in_required"));
    const onSignedOut = vi.fn();
    await settle(new ActionRunner(onSignedOut).send("pin", "pin", "put", "/pin"));
    expect(onSignedOut).toHaveBeenCalledOnce();
  });
});
