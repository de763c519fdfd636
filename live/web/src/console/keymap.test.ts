import { describe, expect, it } from "vitest";
import type { Command } from "./commands";
import { ACTIONS, commandOf, DEFAULT_KEYMAP, type Focus, type Pressed, readKeymap, remapped } from "./keymap";

function press(key: string, changes: Partial<Pressed> = {}, focus: Focus = "page"): Command["name"] | null {
  const code = /^\d$/.test(key) ? `Digit${key}` : "";
  const pressed = { key, code, shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, repeat: false, ...changes };
  return commandOf(pressed, focus)?.name ?? null;
}

describe("keys", () => {
  it.each<[string, Partial<Pressed>, Command["name"]]>([
    ["1", {}, "select"],
    ["!", { code: "Digit1", shiftKey: true }, "pin"],
    ["u", {}, "unpin"],
    ["a", {}, "arm"],
    ["Enter", { shiftKey: true }, "fire"],
    [" ", {}, "toggle_pause"],
    ["+", { shiftKey: true }, "add_stock"],
    ["+", { code: "NumpadAdd" }, "add_stock"],
    ["E", { shiftKey: true }, "end_early"],
    ["j", {}, "next_message"],
    ["k", {}, "previous_message"],
    ["h", {}, "hide_message"],
    ["t", {}, "mute_message"],
    ["?", { shiftKey: true }, "keys"],
    ["/", {}, "command_line"],
    ["c", {}, "write"],
    ["z", {}, "undo"],
    ["p", {}, "prompter"],
    ["P", { shiftKey: true }, "pin_message"],
    ["B", { shiftKey: true }, "ban_message"],
  ])("%s %o is %s", (key, changes, name) => expect(press(key, changes)).toBe(name));

  it("selects and pins by place in the list", () => {
    const at = (code: string, shiftKey: boolean) =>
      commandOf({ key: "x", code, shiftKey, ctrlKey: false, metaKey: false, altKey: false, repeat: false }, "page");
    expect(at("Digit9", false)).toEqual({ name: "select", index: 8 });
    expect(at("Numpad2", true)).toEqual({ name: "pin", index: 1 });
  });

  it("none is ours while typing, composing or with a modifier", () => {
    for (const key of ["a", "1", " ", "u", "?"]) expect(press(key, {}, "text")).toBeNull();
    expect(press("Enter", { shiftKey: true }, "text")).toBeNull();
    expect(press("a", { isComposing: true })).toBeNull();
    expect(press("a", { ctrlKey: true })).toBeNull();
    expect(press("1", { metaKey: true })).toBeNull();
    expect(press("1", { altKey: true })).toBeNull();
  });

  it("a stray Enter, or a plain e, fires or ends nothing", () => {
    expect(press("Enter")).toBeNull();
    expect(press("e")).toBeNull();
  });

  it("Space on a button belongs to the button", () => expect(press(" ", {}, "button")).toBeNull());

  it("a key kept down repeats only through messages", () => {
    expect(press("j", { repeat: true })).toBe("next_message");
    expect(press("Enter", { shiftKey: true, repeat: true })).toBeNull();
    expect(press("E", { shiftKey: true, repeat: true })).toBeNull();
    expect(press("a", { repeat: true })).toBeNull();
  });

  it("Shift and a letter is not the letter", () => {
    expect(press("A", { shiftKey: true })).toBeNull();
    expect(press("U", { shiftKey: true })).toBeNull();
  });
});

describe("keys of one's own", () => {
  const pressed = (key: string, changes: Partial<Pressed> = {}): Pressed => ({ key, code: "", shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, repeat: false, ...changes });

  it("another key does it, and the first one no longer", () => {
    const mine = remapped(DEFAULT_KEYMAP, "arm", pressed("g"));
    if ("why" in mine) throw new Error(mine.why);
    expect(commandOf(pressed("g"), "page", mine)).toEqual({ name: "arm" });
    expect(commandOf(pressed("a"), "page", mine)).toBeNull();
    expect(readKeymap(JSON.stringify(mine))).toEqual(mine);
  });

  it("no key does two things", () => {
    expect(remapped(DEFAULT_KEYMAP, "arm", pressed("u"))).toEqual({ why: "taken", by: "unpin" });
    expect(remapped(DEFAULT_KEYMAP, "arm", pressed("1", { code: "Digit1" }))).toEqual({ why: "not_possible" });
    expect(remapped(DEFAULT_KEYMAP, "arm", pressed("Tab"))).toEqual({ why: "not_possible" });
    expect(remapped(DEFAULT_KEYMAP, "arm", pressed("s", { ctrlKey: true }))).toEqual({ why: "not_possible" });
  });

  it("what money hangs on keeps Shift, also when the stored map says otherwise", () => {
    expect(remapped(DEFAULT_KEYMAP, "fire", pressed("f"))).toEqual({ why: "needs_shift" });
    expect(readKeymap('{"fire": "f"}')).toEqual(DEFAULT_KEYMAP);
  });

  it.each(["", "null", "[]", "{", '{"arm": 5}', '{"arm": "u"}', '{"nothing": "x"}'])("a spoiled map %s is the first one", (text) => expect(readKeymap(text)).toEqual(DEFAULT_KEYMAP));

  it("with single keys off only the list and what has Shift is left", () => {
    const left = ACTIONS.filter((action) => {
      const chord = DEFAULT_KEYMAP[action];
      const shiftKey = chord.startsWith("Shift+");
      const key = chord.replace("Shift+", "").replace("Space", " ");
      return commandOf(pressed(key, { shiftKey }), "page", DEFAULT_KEYMAP, false) !== null;
    });
    expect(left).toEqual(["fire", "end_early", "pin_message", "ban_message", "keys"]);
    expect(commandOf(pressed("1", { code: "Digit1" }), "page", DEFAULT_KEYMAP, false)).toBeNull();
  });
});
