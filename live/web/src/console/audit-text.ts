/** What an audit entry changed, as one line for people: words for fields we know, times and amounts as such. No I/O. */

import { formatTime } from "../shared/clock";
import { formatMoney } from "../shared/money";
import type { Lang } from "../shared/types";
import { shared } from "../shared/words";
import { reasonWord } from "./reason";
import { w, words } from "./words";

const MAX_CHANGES = 4;
const MAX_VALUE = 60;
/** They change by themselves, with every order or touch of the row: nobody did that. */
const NOISE = new Set(["version", "epoch", "reserved", "sold", "updated_at_ms"]);

export interface ChangeContext {
  lang: Lang;
  currency: string;
  /** A product's or variant's name by its id, if it has one. */
  nameOf?: (id: string) => string | null;
}

/** "State: Open → Paused, Units: 20 → 30"; empty when nothing differs. */
export function changeText(before: unknown, after: unknown, context: ChangeContext): string {
  if (!isRecord(before) && !isRecord(after)) {
    if (before === after || (before == null && after == null)) return "";
    return before == null ? plain(after) : `${plain(before)} → ${plain(after)}`;
  }
  const old = isRecord(before) ? before : {};
  const now = isRecord(after) ? after : {};
  const changes: string[] = [];
  for (const key of new Set([...Object.keys(old), ...Object.keys(now)])) {
    if (NOISE.has(key) || JSON.stringify(old[key] ?? null) === JSON.stringify(now[key] ?? null)) continue;
    const is = valueText(key, now[key], context);
    changes.push(`${fieldWord(key)}: ${old[key] == null ? is : `${valueText(key, old[key], context)} → ${is}`}`);
  }
  const shown = changes.slice(0, MAX_CHANGES);
  if (changes.length > shown.length) shown.push("…");
  return shown.join(", ");
}

function fieldWord(key: string): string {
  const word = `field_${key}`;
  return words.has(word) ? w(word) : key.replace(/_(ms|minor|s)$/, "").replace(/_/g, " ");
}

function valueText(key: string, value: unknown, { lang, currency, nameOf }: ChangeContext): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") {
    if (key.endsWith("_at_ms") || key === "until_ms") return formatTime(value, lang);
    if (key.endsWith("_ms")) return w("preset_s", { n: value / 1000 });
    if (key.endsWith("_s")) return w("preset_s", { n: value });
    if (key.endsWith("_minor")) return formatMoney(value, currency, lang);
  }
  if (typeof value === "boolean") return w(value ? "yes" : "no");
  if (typeof value === "string") {
    if (key === "state" && `state_${value}` in shared.en) return shared.t(`state_${value}` as Parameters<typeof shared.t>[0]);
    if (key === "status" && `status_${value}` in shared.en) return shared.t(`status_${value}` as Parameters<typeof shared.t>[0]);
    if (key === "request" && words.has(`did_${value}`)) return w(`did_${value}` as Parameters<typeof w>[0]);
    if (key === "role" && words.has(`staff_${value}`)) return w(`staff_${value}` as Parameters<typeof w>[0]);
    if (key.endsWith("reason")) return reasonWord(value);
    if (key.endsWith("_id")) return nameOf?.(value) ?? value;
  }
  return plain(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function plain(value: unknown): string {
  if (value === null || value === undefined) return "–";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE - 1)}…` : text;
}
