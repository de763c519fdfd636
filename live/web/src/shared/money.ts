import type { Lang } from "./types";

const LOCALES: Record<Lang, string> = { en: "en-GB", zh: "zh-CN" };
const formats = new Map<string, Intl.NumberFormat>();

export function localeOf(lang: Lang): string {
  return LOCALES[lang];
}

function formatOf(currency: string, lang: Lang, whole: boolean): Intl.NumberFormat {
  const key = `${lang}/${currency}/${whole}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.NumberFormat(localeOf(lang), {
      style: "currency",
      currency,
      currencyDisplay: "narrowSymbol",
      ...(whole ? { minimumFractionDigits: 0, maximumFractionDigits: 0 } : {}),
    });
    formats.set(key, format);
  }
  return format;
}

/** How many decimal digits a currency's minor unit has: 2 for CNY, 0 for JPY. */
export function minorDigits(currency: string): number {
  return formatOf(currency, "en", false).resolvedOptions().maximumFractionDigits ?? 2;
}

/** An amount as people write it: whole amounts without decimals ("¥99"), others in full ("¥99.50"). */
export function formatMoney(minor: number, currency: string, lang: Lang): string {
  const scale = 10 ** minorDigits(currency);
  return formatOf(currency, lang, minor % scale === 0).format(minor / scale);
}

/** How much cheaper, in whole percent rounded down so that it never promises too much; 0 when it isn't cheaper. */
export function percentOff(priceMinor: number, listMinor: number): number {
  if (listMinor <= 0 || priceMinor >= listMinor) return 0;
  return Math.floor(((listMinor - priceMinor) * 100) / listMinor);
}

/** Parse what a person typed ("99", "99.5", "¥ 1,299.00") into minor units; null when it is no amount. */
export function parseMoney(text: string, currency: string): number | null {
  const digits = minorDigits(currency);
  const cleaned = text.replace(/[^\d.]/g, "");
  const match = /^(\d+)(?:\.(\d*))?$/.exec(cleaned);
  if (!match || (match[2] ?? "").length > digits) return null;
  const minor = Number(match[1]) * 10 ** digits + Number((match[2] ?? "").padEnd(digits, "0") || 0);
  return Number.isSafeInteger(minor) ? minor : null;
}

/** A count for people: "1 284", "18.2k" in English, "1.8万" in Chinese. */
export function formatCount(count: number, lang: Lang, compact = false): string {
  return new Intl.NumberFormat(localeOf(lang), compact ? { notation: "compact", maximumFractionDigits: 1 } : {}).format(
    count,
  );
}
