import { afterEach, describe, expect, it, vi } from "vitest";
import { api, tellSource } from "../shared/api";
import { sourceNow, tookCommand, watchSource } from "./source";

let press: (event: Partial<PointerEvent>) => void = () => undefined;
watchSource({ addEventListener: (_type: string, hear: EventListenerOrEventListenerObject | null) => void (press = hear as typeof press) });

afterEach(() => {
  vi.unstubAllGlobals();
  tellSource(() => null);
});

describe("how something was done", () => {
  it("is not known before anything was pressed", () => expect(sourceNow()).toBeNull());

  it("is the input that came last", () => {
    for (const [pointerType, source] of [["mouse", "mouse"], ["touch", "touch"], ["pen", "touch"]] as const) {
      press({ isTrusted: true, pointerType });
      expect(sourceNow()).toBe(source);
    }
    press({ isTrusted: true });
    expect(sourceNow()).toBe("key");
  });

  it("is a command from when a line is obeyed until the next input", () => {
    press({ isTrusted: true });
    tookCommand();
    expect(sourceNow()).toBe("command");
    press({ isTrusted: true, pointerType: "mouse" });
    expect(sourceNow()).toBe("mouse");
  });

  it("is not what a script pretends", () => {
    press({ isTrusted: true });
    press({ isTrusted: false, pointerType: "mouse" });
    expect(sourceNow()).toBe("key");
  });

  it("goes with what changes something, the same in every try, and with nothing else", async () => {
    const sent: (string | undefined)[] = [];
    vi.stubGlobal("fetch", async (_path: string, init: RequestInit) => {
      sent.push((init.headers as Record<string, string>)["Flashroom-Source"]);
      press({ isTrusted: true, pointerType: "touch" });
      return new Response("{}", { status: sent.length === 1 ? 503 : 200 });
    });
    tellSource(sourceNow);
    press({ isTrusted: true });
    await api.post("/x");
    await api.get("/x");
    tellSource(() => null);
    await api.post("/x");
    expect(sent).toEqual(["key", "key", undefined, undefined]);
  });
});
