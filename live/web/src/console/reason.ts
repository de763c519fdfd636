import { w } from "./words";

const REASONS = ["host", "payment_outage", "stream_lost", "wrong_terms", "not_ready", "wrong_product", "sold_out", "time_up", "ended_early", "resumed"] as const;

/** A reason of ours in the page's language; what a person typed stays as typed. */
export function reasonWord(reason: string): string {
  const [first = "", ...rest] = reason.split(": ");
  const known = REASONS.find((one) => one === first);
  if (!known) return reason;
  const more = rest.join(": ");
  return more && more !== "host" ? `${w(`reason_${known}`)}: ${reasonWord(more)}` : w(`reason_${known}`);
}
