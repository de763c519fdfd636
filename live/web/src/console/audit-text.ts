/** Audit entries as one line each: only what changed. No I/O. */

const MAX_CHANGES = 4;
const MAX_VALUE = 48;
/** Changes with every touch of a row and says nothing to a person. */
const NOISE = new Set(["version", "epoch", "updated_at_ms"]);

/** "state: open → paused, quota: 20 → 30"; empty when nothing differs. */
export function changeText(before: unknown, after: unknown): string {
  if (!isRecord(before) && !isRecord(after)) {
    if (before === after || (before == null && after == null)) return "";
    return before == null ? valueText(after) : `${valueText(before)} → ${valueText(after)}`;
  }
  const old = isRecord(before) ? before : {};
  const now = isRecord(after) ? after : {};
  const changes: string[] = [];
  for (const key of new Set([...Object.keys(old), ...Object.keys(now)])) {
    if (NOISE.has(key) || JSON.stringify(old[key]) === JSON.stringify(now[key])) continue;
    if (old[key] === undefined || old[key] === null) changes.push(`${key}: ${valueText(now[key])}`);
    else changes.push(`${key}: ${valueText(old[key])} → ${valueText(now[key])}`);
  }
  const shown = changes.slice(0, MAX_CHANGES);
  if (changes.length > shown.length) shown.push("…");
  return shown.join(", ");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function valueText(value: unknown): string {
  if (value === null || value === undefined) return "–";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE - 1)}…` : text;
}
