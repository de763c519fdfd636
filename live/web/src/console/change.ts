/** A change between two shows, in words for people: a sign and a rounded share. No I/O. */

import { localeOf } from "../shared/money";
import type { Lang } from "../shared/types";

/** "+12%", "−40%", "±0%"; "–" when a number is missing or there is nothing to compare with. */
export function changeOf(now: number | null, before: number | null, lang: Lang): string {
  if (now === null || before === null || (before === 0 && now !== 0)) return "–";
  const share = before === 0 ? 0 : (now - before) / before;
  if (Math.round(share * 100) === 0) return "±0%";
  return new Intl.NumberFormat(localeOf(lang), { style: "percent", signDisplay: "always", maximumFractionDigits: 0 }).format(share).replace("-", "−");
}
