/** Keys to commands, as a table that each person may change (PRODUCT.md 5.2). Where typing happens no key is ours. No I/O. */

import type { Command } from "./commands";

export interface Pressed {
  key: string;
  code: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  repeat: boolean;
  isComposing?: boolean;
}

/** What has the focus: `text` takes every key, `button` keeps Enter and Space for itself. */
export type Focus = "text" | "button" | "page";

/** What a key may be put on. Items are always on the digits. */
export const ACTIONS = [
  "unpin",
  "arm",
  "fire",
  "toggle_pause",
  "add_stock",
  "end_early",
  "next_message",
  "previous_message",
  "hide_message",
  "pin_message",
  "mute_message",
  "ban_message",
  "undo",
  "prompter",
  "write",
  "command_line",
  "keys",
] as const;
export type Action = (typeof ACTIONS)[number];
/** Action -> chord: "a", "Shift+Enter", "Space", "+". */
export type Keymap = Readonly<Record<Action, string>>;

export const DEFAULT_KEYMAP: Keymap = {
  unpin: "u",
  arm: "a",
  fire: "Shift+Enter",
  toggle_pause: "Space",
  add_stock: "+",
  end_early: "Shift+E",
  next_message: "j",
  previous_message: "k",
  hide_message: "h",
  pin_message: "Shift+P",
  mute_message: "t",
  ban_message: "Shift+B",
  undo: "z",
  prompter: "p",
  write: "c",
  command_line: "/",
  keys: "?",
};

/** Money or people hang on these: one stray key must not do them, so they keep Shift. */
const NEEDS_SHIFT = new Set<Action>(["fire", "end_early", "ban_message"]);
const REPEATABLE = new Set<Action>(["next_message", "previous_message"]);
const NEVER = new Set(["Tab", "Escape", "Enter", "Shift+Tab", "Dead", "Shift", "Control", "Alt", "AltGraph", "Meta", "CapsLock", "Process", "Unidentified"]);

/** The command of a key press, or null when the key isn't ours. */
export function commandOf(pressed: Pressed, focus: Focus, keymap: Keymap = DEFAULT_KEYMAP, areLettersOn = true): Command | null {
  if (focus === "text" || pressed.isComposing || pressed.ctrlKey || pressed.metaKey || pressed.altKey) return null;
  const digit = digitOf(pressed);
  if (digit) return pressed.repeat || !areLettersOn ? null : { name: pressed.shiftKey ? "pin" : "select", index: digit - 1 };
  const chord = chordOf(pressed);
  if (chord === null || (focus === "button" && (chord === "Space" || chord === "Enter"))) return null;
  const action = ACTIONS.find((one) => keymap[one] === chord);
  // Whoever has switched single keys off (they speak to the machine, or type with a stick) keeps the list and what has Shift.
  if (!action || (!areLettersOn && action !== "keys" && !chord.startsWith("Shift+"))) return null;
  // A key that is kept down repeats by itself; nothing that acts on a sale may follow from that.
  if (pressed.repeat && !REPEATABLE.has(action)) return null;
  return action === "mute_message" ? { name: action, seconds: 60 } : { name: action };
}

/** How a press is written in a keymap; null for what can't be put on a key. */
export function chordOf({ key, shiftKey }: Pick<Pressed, "key" | "shiftKey">): string | null {
  if (NEVER.has(key) && !(key === "Enter" && shiftKey)) return null;
  const name = key === " " ? "Space" : key;
  if (/^[a-z]$/i.test(name)) return shiftKey ? `Shift+${name.toUpperCase()}` : name.toLowerCase();
  // "+" and "?" need Shift on most keyboards: the sign alone counts.
  return shiftKey && name.length > 1 ? `Shift+${name}` : name;
}

function digitOf({ code }: Pressed): number | null {
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(code)?.[1];
  return digit ? Number(digit) : null;
}

export type KeyProblem = { why: "taken"; by: Action } | { why: "needs_shift" } | { why: "not_possible" };

/** The keymap with another key for an action, or why that can't be. */
export function remapped(keymap: Keymap, action: Action, pressed: Pressed): Keymap | KeyProblem {
  const chord = chordOf(pressed);
  if (chord === null || digitOf(pressed) !== null || pressed.ctrlKey || pressed.metaKey || pressed.altKey) return { why: "not_possible" };
  if (NEEDS_SHIFT.has(action) && !chord.startsWith("Shift+")) return { why: "needs_shift" };
  const by = ACTIONS.find((one) => one !== action && keymap[one] === chord);
  return by ? { why: "taken", by } : { ...keymap, [action]: chord };
}

/** A keymap that was kept as JSON; whatever isn't right in it is as it was at first. */
export function readKeymap(text: string | null): Keymap {
  let kept: unknown;
  try {
    kept = JSON.parse(text ?? "{}");
  } catch {
    return DEFAULT_KEYMAP;
  }
  if (typeof kept !== "object" || kept === null) return DEFAULT_KEYMAP;
  const entries = Object.entries(kept as Record<string, unknown>);
  const mine: Record<string, string> = { ...DEFAULT_KEYMAP };
  for (const [action, chord] of entries) {
    const isRight = (ACTIONS as readonly string[]).includes(action) && typeof chord === "string" && chord.length <= 20;
    if (isRight && (!NEEDS_SHIFT.has(action as Action) || chord.startsWith("Shift+"))) mine[action] = chord;
  }
  const chords = ACTIONS.map((action) => mine[action]);
  return new Set(chords).size === chords.length ? (mine as unknown as Keymap) : DEFAULT_KEYMAP;
}

/** Where the focus is, for `commandOf`. */
export function focusOf(element: Element | null): Focus {
  if (!element) return "page";
  if (element.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]")) return "text";
  if (element.closest("button, a, summary, input, [role=tab]")) return "button";
  return "page";
}
