import { Problem } from "../shared/api";
import { shared } from "../shared/words";
import { w, words } from "./words";

/** A problem of the API in the page's language: our own words for a code we know, else what the server said. */
export function explain(error: unknown): string {
  if (!(error instanceof Problem)) return w("problem_unknown", { code: "page" });
  if (error.status === 0) return shared.t("network_error");
  const word = `problem_${error.code}`;
  if (words.has(word)) return w(word, facts(error));
  if (error.status === 403) return w("problem_forbidden");
  if (error.status === 429) return w("problem_rate_limited", { n: seconds(error) });
  if (error.isTransient) return w("problem_unavailable");
  const said = fieldErrors(error) ?? error.detail;
  return said ? `${said} (${error.code})` : w("problem_unknown", { code: error.code });
}

function facts(error: Problem): Record<string, string | number> {
  const plain: Record<string, string | number> = { n: seconds(error) };
  for (const [key, value] of Object.entries(error.facts)) {
    if (typeof value === "string" || typeof value === "number") plain[key] = value;
  }
  const state = `state_${String(error.facts.state)}`;
  plain.state_word = state in shared.en ? shared.t(state as Parameters<typeof shared.t>[0]) : String(error.facts.state ?? "?");
  return plain;
}

function seconds(error: Problem): number {
  const ms = Number(error.facts.retry_after_ms ?? 0);
  return Math.max(1, Math.ceil(ms / 1000));
}

/** RFC 9457 `errors`: the first few as "field: message". */
function fieldErrors(error: Problem): string | null {
  const errors = error.facts.errors;
  if (!Array.isArray(errors) || !errors.length) return null;
  return errors
    .slice(0, 3)
    .map((one: unknown) => {
      if (typeof one !== "object" || one === null) return String(one);
      const { field, message, msg, loc } = one as Record<string, unknown>;
      const where = field ?? (Array.isArray(loc) ? loc.join(".") : null);
      return [where, message ?? msg].filter(Boolean).join(": ");
    })
    .join("; ");
}
