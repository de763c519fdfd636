/** Keys to commands, as a table (PRODUCT.md 5.2). Where typing happens no key is ours. */

export type Command =
  | { name: "select"; index: number }
  | { name: "pin"; index: number }
  | { name: "unpin" }
  | { name: "arm" }
  | { name: "fire" }
  | { name: "toggle_pause" }
  | { name: "add_stock" }
  | { name: "end_early" }
  | { name: "next_message" }
  | { name: "previous_message" }
  | { name: "hide_message" }
  | { name: "mute_message" }
  | { name: "write" }
  | { name: "keys" };

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

const LETTERS: Readonly<Record<string, Command>> = {
  u: { name: "unpin" },
  a: { name: "arm" },
  j: { name: "next_message" },
  k: { name: "previous_message" },
  h: { name: "hide_message" },
  t: { name: "mute_message" },
  "+": { name: "add_stock" },
  "/": { name: "write" },
  "?": { name: "keys" },
};

const REPEATABLE = new Set<Command["name"]>(["next_message", "previous_message"]);

/** The command of a key press, or null when the key isn't ours. */
export function commandOf(pressed: Pressed, focus: Focus): Command | null {
  if (focus === "text" || pressed.isComposing || pressed.ctrlKey || pressed.metaKey || pressed.altKey) return null;
  const command = find(pressed, focus);
  // A key that is kept down repeats by itself; nothing that acts on a sale may follow from that.
  return command && pressed.repeat && !REPEATABLE.has(command.name) ? null : command;
}

function find({ key, code, shiftKey }: Pressed, focus: Focus): Command | null {
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(code)?.[1];
  if (digit) return { name: shiftKey ? "pin" : "select", index: Number(digit) - 1 };
  if (key === "Enter") return shiftKey ? { name: "fire" } : null;
  if (key === " ") return focus === "page" && !shiftKey ? { name: "toggle_pause" } : null;
  if (shiftKey && key.toLowerCase() === "e") return { name: "end_early" };
  // "+" and "?" need Shift on most keyboards; letters with Shift are other commands.
  if (shiftKey && /^[a-z]$/i.test(key)) return null;
  return LETTERS[key.toLowerCase()] ?? null;
}

/** Where the focus is, for `commandOf`. */
export function focusOf(element: Element | null): Focus {
  if (!element) return "page";
  if (element.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]")) return "text";
  if (element.closest("button, a, summary, input, [role=tab]")) return "button";
  return "page";
}
