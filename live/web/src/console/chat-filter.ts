/** Which of the messages at hand are shown: over the bounded list the page has, nothing is asked of the server. No I/O. */

import type { ChatLine } from "../shared/room-store";
import { asks } from "./questions";

export const FILTER_KINDS = ["all", "staff", "mentions", "questions", "viewer", "text"] as const;
export type FilterKind = (typeof FILTER_KINDS)[number];

/** What a filter is made of; which of it counts depends on the kind. */
export interface Wanted {
  kind: FilterKind;
  /** Part of a message or of a name. */
  text: string;
  /** Whose messages: the author of the line that was chosen. */
  viewer: { id: string; name: string } | null;
  /** The name of who looks; the show's hosts are known by what they wrote. */
  me: string;
}

export interface ChatFilter extends Wanted {
  /** The newest line when it was chosen; what comes after it is news. */
  sinceId: string | null;
  of(lines: readonly ChatLine[]): readonly ChatLine[];
}

/** The filter that shows what is wanted; null when that is everything. */
export function chatFilter(wanted: Wanted, sinceId: string | null): ChatFilter | null {
  const part = wanted.text.trim().toLowerCase();
  if (wanted.kind === "all" || (wanted.kind === "viewer" && !wanted.viewer)) return null;
  return { ...wanted, sinceId, of: (lines) => lines.filter(matcher(wanted, part, lines)) };
}

/** How many came since the filter was chosen and are not among what it shows. */
export function newOutside(filter: ChatFilter, lines: readonly ChatLine[], shown: readonly ChatLine[]): number {
  // A line that has left the list, or none: all that is here came later.
  const from = lines.findIndex((line) => line.id === filter.sinceId) + 1;
  const seen = new Set(shown);
  return lines.slice(from).filter((line) => !seen.has(line)).length;
}

function matcher(wanted: Wanted, part: string, lines: readonly ChatLine[]): (line: ChatLine) => boolean {
  switch (wanted.kind) {
    case "staff":
      return isStaff;
    case "mentions": {
      const hosts = lines.filter((line) => line.role === "host" || line.role === "owner").map((line) => line.name);
      const named = [...new Set([wanted.me, ...hosts])].filter(Boolean).map(word);
      const pattern = new RegExp(["主播", word("host"), ...named].join("|"), "i");
      return (line) => !isStaff(line) && pattern.test(line.text);
    }
    case "questions":
      return (line) => !isStaff(line) && asks(line.text);
    case "viewer":
      return (line) => line.viewer_id === wanted.viewer?.id;
    case "text":
      return (line) => line.text.toLowerCase().includes(part) || line.name.toLowerCase().includes(part);
    case "all":
      return () => true;
  }
}

function isStaff(line: ChatLine): boolean {
  return line.role !== "viewer";
}

/** A name as a word of its own: "Ana" is not in "banana". Chinese has no spaces: there the letters beside it don't matter. */
function word(name: string): string {
  const literal = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return `(?<![a-z0-9])${literal}(?![a-z0-9])`;
}
