/** The `/` line: text to command, and what may follow what was typed. No I/O. */

import { type Command, PLOT_NAMES } from "./commands";

/** A line of the help: what to type, and the key of its words. */
export interface Usage {
  verb: string;
  form: string;
  word: `line_${string}`;
}

export const USAGES: readonly Usage[] = [
  { verb: "select", form: "/select 3", word: "line_select" },
  { verb: "pin", form: "/pin 3", word: "line_pin" },
  { verb: "unpin", form: "/unpin", word: "line_unpin" },
  { verb: "arm", form: "/arm", word: "line_arm" },
  { verb: "fire", form: "/fire", word: "line_fire" },
  { verb: "pause", form: "/pause", word: "line_pause" },
  { verb: "resume", form: "/resume", word: "line_resume" },
  { verb: "stock", form: "/stock +20", word: "line_stock" },
  { verb: "extend", form: "/extend", word: "line_extend" },
  { verb: "end", form: "/end", word: "line_end" },
  { verb: "desk", form: "/desk take", word: "line_desk" },
  { verb: "hide", form: "/hide", word: "line_hide" },
  { verb: "restore", form: "/restore", word: "line_restore" },
  { verb: "mute", form: "/mute 60", word: "line_mute" },
  { verb: "ban", form: "/ban", word: "line_ban" },
  { verb: "undo", form: "/undo", word: "line_undo" },
  { verb: "reply", form: "/reply 1", word: "line_reply" },
  { verb: "slow", form: "/slow 5", word: "line_slow" },
  { verb: "review", form: "/review on", word: "line_review" },
  { verb: "followers", form: "/followers on", word: "line_followers" },
  { verb: "chat", form: "/chat off", word: "line_chat" },
  { verb: "announce", form: "/announce …", word: "line_announce" },
  { verb: "caption", form: "/caption …", word: "line_caption" },
  { verb: "status", form: "/status live", word: "line_status" },
  { verb: "plot", form: "/plot rush", word: "line_plot" },
  { verb: "prompter", form: "/prompter", word: "line_prompter" },
  { verb: "keys", form: "/keys", word: "line_keys" },
];

const DESK_WORDS: Readonly<Record<string, Command>> = {
  take: { name: "take_desk" },
  leave: { name: "leave_desk" },
  give: { name: "give_desk" },
  keep: { name: "keep_desk" },
};
const MAX_CAPTION = 200;
const MAX_SLOW_S = 600;
const MAX_MUTE_S = 30 * 86_400;
const MAX_UNITS = 1_000_000;

/** The command of a line that begins with "/"; null when it is none, or not complete. */
export function parse(line: string): Command | null {
  const found = /^\/(\w+)(?:\s+(.*))?$/s.exec(line.trim());
  if (!found) return null;
  const verb = (found[1] ?? "").toLowerCase();
  const rest = (found[2] ?? "").trim();
  const words = rest ? rest.split(/\s+/) : [];
  const only = <T extends Command>(command: T): T | null => (words.length ? null : command);
  switch (verb) {
    case "select":
    case "pin":
    case "reply": {
      const index = whole(words, 1, 200);
      return index === null ? null : { name: verb, index: index - 1 };
    }
    case "unpin":
    case "arm":
    case "fire":
    case "pause":
    case "resume":
    case "extend":
    case "undo":
    case "prompter":
    case "keys":
      return only({ name: verb });
    case "end":
      return only({ name: "end_now" });
    case "stock":
      return stock(words);
    case "desk":
      return words.length === 1 ? (DESK_WORDS[words[0] ?? ""] ?? null) : null;
    case "hide":
      return only({ name: "hide_message" });
    case "restore":
      return only({ name: "restore_message" });
    case "ban":
      return only({ name: "ban_message" });
    case "mute": {
      const seconds = words.length ? whole(words, 1, MAX_MUTE_S) : 60;
      return seconds === null ? null : { name: "mute_message", seconds };
    }
    case "slow": {
      const seconds = words.length === 1 && words[0] === "off" ? 0 : whole(words, 0, MAX_SLOW_S);
      return seconds === null ? null : { name: "slow", seconds };
    }
    case "review":
    case "followers":
    case "chat":
      return words.length === 1 && (words[0] === "on" || words[0] === "off") ? { name: verb, isOn: words[0] === "on" } : null;
    case "announce":
    case "caption":
      return rest && (verb === "announce" || rest.length <= MAX_CAPTION) ? { name: verb, text: rest } : null;
    case "status":
      return words.length === 1 && (words[0] === "live" || words[0] === "away") ? { name: "status", status: words[0] } : null;
    case "plot": {
      const kind = PLOT_NAMES.find((one) => one === words[0]);
      return kind && words.length === 1 ? { name: "plot", kind } : null;
    }
    default:
      return null;
  }
}

/** "+20", "-5", or for another item "3 +20". A sign is compulsory: "/stock 20" could mean either. */
function stock(words: readonly string[]): Command | null {
  const change = /^([+-])(\d{1,7})$/.exec(words.at(-1) ?? "");
  const index = words.length === 2 ? whole(words.slice(0, 1), 1, 200) : null;
  const units = Number(change?.[2]);
  if (!change || !units || units > MAX_UNITS || words.length > 2 || (words.length === 2 && index === null)) return null;
  return { name: "stock", index: index === null ? null : index - 1, delta: change[1] === "-" ? -units : units };
}

function whole(words: readonly string[], least: number, most: number): number | null {
  const text = words.length === 1 ? (words[0] ?? "") : "";
  if (!/^\d{1,7}$/.test(text)) return null;
  const n = Number(text);
  return n >= least && n <= most ? n : null;
}

/** The usages that what was typed may become. */
export function usagesFor(line: string): readonly Usage[] {
  const verb = /^\/(\w*)/.exec(line)?.[1]?.toLowerCase() ?? "";
  return /\s/.test(line) ? USAGES.filter((one) => one.verb === verb) : USAGES.filter((one) => one.verb.startsWith(verb));
}
