/** The room's keys, one letter each, which every viewer may change (PRODUCT.md 5.1). No I/O. */

export const ACTIONS = ["buy", "chat", "pause", "mute", "captions", "like", "bag", "things", "fairness", "help"] as const;
export type Action = (typeof ACTIONS)[number];
export type Keymap = Readonly<Record<Action, string>>;

export const DEFAULT_KEYMAP: Keymap = {
  buy: "b",
  chat: "c",
  pause: "p",
  mute: "m",
  captions: "v",
  like: "l",
  bag: "g",
  things: "t",
  fairness: "f",
  help: "?",
};

/** What can be put on a key: one sign, but no space, which presses buttons. */
const isKey = (key: string): boolean => [...key].length === 1 && key.trim() !== "";

export function actionOf(keymap: Keymap, key: string): Action | null {
  const wanted = key.toLowerCase();
  return ACTIONS.find((action) => keymap[action] === wanted) ?? null;
}

/** The keymap with another key for an action; or the action that has this key; or null for what can't be a key. */
export function remapped(keymap: Keymap, action: Action, key: string): Keymap | Action | null {
  if (!isKey(key)) return null;
  const taken = actionOf(keymap, key);
  return taken && taken !== action ? taken : { ...keymap, [action]: key.toLowerCase() };
}

/** A keymap that was kept as JSON; one that isn't right is as it was at first. */
export function readKeymap(text: string | null): Keymap {
  try {
    const kept = JSON.parse(text ?? "{}") as Partial<Record<Action, unknown>> | null;
    const mine = { ...DEFAULT_KEYMAP };
    for (const action of ACTIONS) {
      const key = kept?.[action];
      if (typeof key === "string" && isKey(key)) mine[action] = key.toLowerCase();
    }
    return new Set(Object.values(mine)).size === ACTIONS.length ? mine : DEFAULT_KEYMAP;
  } catch {
    return DEFAULT_KEYMAP;
  }
}
