/** A decision in words: what was decided and every fact the hub gave about why. */

import type { Problem } from "../shared/api";
import { formatTime } from "../shared/clock";
import type { Lang, Refused } from "../shared/types";
import { type RoomWord, w, words } from "./words";

/** "All units are held by others. You were number 3 in line. The last unit went 38 ms before your tap. ..." */
export function explainRefusal(refused: Refused, lang: Lang): string {
  const reason = `refused_${refused.reason}`;
  const parts = [words.has(reason) ? w(reason) : w("error_generic", { code: refused.reason })];
  if (refused.place) parts.push(w("refused_place", { place: refused.place }));
  if (typeof refused.after_last_unit_ms === "number") parts.push(lateness(refused.after_last_unit_ms));
  if (refused.next_hold_ends_at_ms) {
    parts.push(w("refused_next_hold", { time: formatTime(refused.next_hold_ends_at_ms, lang) }));
  }
  if (refused.reason === "not_open" && refused.opens_at_ms) {
    parts.push(w("refused_opens", { time: formatTime(refused.opens_at_ms, lang) }));
  }
  return parts.join(lang === "zh" ? "" : " ");
}

function lateness(ms: number): string {
  return ms < 1000 ? w("refused_after_ms", { ms }) : w("refused_after_s", { s: (ms / 1000).toFixed(1) });
}

/** A command or request that failed before any decision. */
export function explainError(code: string, retryAfterMs = 0): string {
  if (code === "rate_limited" || code === "busy" || code === "overloaded") {
    return w("error_rate_limited", { n: Math.max(1, Math.ceil(retryAfterMs / 1000)) });
  }
  const word = `error_${code}`;
  return words.has(word) ? w(word) : w("error_generic", { code });
}

/** The same for what the HTTP API did not do. */
export function explainProblem({ status, code, facts }: Problem): string {
  return explainError(status === 0 ? "offline" : code, Number(facts["retry_after_ms"] ?? 0));
}

/** Why an order could not be made; null when the code says nothing final and trying again may help. */
export function explainFinalFailure(code: string): RoomWord | null {
  const word = `fail_${code}`;
  return words.has(word) ? word : null;
}
