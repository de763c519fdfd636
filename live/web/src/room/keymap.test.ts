import { describe, expect, it } from "vitest";
import { ACTIONS, actionOf, DEFAULT_KEYMAP, readKeymap, remapped } from "./keymap";

describe("the room's keys", () => {
  it("are one per action, in either case", () => {
    expect(new Set(Object.values(DEFAULT_KEYMAP)).size).toBe(ACTIONS.length);
    expect(actionOf(DEFAULT_KEYMAP, "V")).toBe("captions");
    expect(actionOf(DEFAULT_KEYMAP, "x")).toBeNull();
  });

  it("move to a free key, and not to one that is taken or none", () => {
    expect(remapped(DEFAULT_KEYMAP, "mute", "X")).toEqual({ ...DEFAULT_KEYMAP, mute: "x" });
    expect(remapped(DEFAULT_KEYMAP, "mute", "m")).toEqual(DEFAULT_KEYMAP);
    expect(remapped(DEFAULT_KEYMAP, "mute", "b")).toBe("buy");
    expect(remapped(DEFAULT_KEYMAP, "mute", "Enter")).toBeNull();
    expect(remapped(DEFAULT_KEYMAP, "mute", " ")).toBeNull();
  });

  it("come back as they were kept, or as at first when that is broken", () => {
    expect(readKeymap('{"mute":"x"}').mute).toBe("x");
    for (const broken of [null, "", "{", "null", "7", '{"mute":"b"}', '{"mute":7}']) expect(readKeymap(broken)).toEqual(DEFAULT_KEYMAP);
  });
});
