import { signal } from "@preact/signals";
import type { Lang, Localised } from "./types";

const STORAGE_KEY = "flashroom.language";

function firstLanguage(): Lang {
  try {
    const kept = localStorage.getItem(STORAGE_KEY);
    if (kept === "en" || kept === "zh") return kept;
  } catch {
    // Storage may be forbidden; the browser's language is good enough.
  }
  return typeof navigator !== "undefined" && navigator.language?.toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** The page's language; reading `.value` in a component makes it follow a switch. */
export const language = signal<Lang>(firstLanguage());

function markDocument(lang: Lang): void {
  if (typeof document !== "undefined") document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
}

markDocument(language.value);

export function setLanguage(lang: Lang): void {
  language.value = lang;
  markDocument(lang);
  try {
    localStorage.setItem(STORAGE_KEY, lang);
  } catch {
    // The choice then lasts for this page only.
  }
}

export type Vars = Record<string, string | number>;

/** A dictionary with the same keys in both languages; `words.t("key", {n: 3})` fills `{n}`. */
export interface Words<K extends string> {
  readonly en: Readonly<Record<K, string>>;
  readonly zh: Readonly<Record<K, string>>;
  t(key: K, vars?: Vars): string;
  has(key: string): key is K;
}

export function defineWords<K extends string>(en: Record<K, string>, zh: Record<NoInfer<K>, string>): Words<K> {
  return {
    en,
    zh,
    t: (key, vars) => fill((language.value === "zh" ? zh : en)[key], vars),
    has: (key): key is K => Object.hasOwn(en, key),
  };
}

export function fill(text: string, vars: Vars = {}): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in vars ? String(vars[name]) : whole));
}

/** A text of the catalogue in the page's language, else in any it has. */
export function localised(text: Localised | string | null | undefined): string {
  if (!text) return "";
  if (typeof text === "string") return text;
  return text[language.value] ?? text.en ?? text.zh ?? "";
}

/** Words both pages use. */
export const shared = defineWords(
  {
    available: "available",
    held: "held",
    sold: "sold",
    stock_sentence: "{available} available, {held} held, {sold} sold of {quota}",
    close: "Close",
    cancel: "Cancel",
    retry: "Try again",
    live: "Live",
    rehearsal: "Rehearsal",
    watching: "watching",
    watching_means:
      "People with this room open right now. One person with two tabs counts once; simulated viewers are not counted.",
    connecting: "Connecting…",
    connected: "Connected",
    reconnecting: "Reconnecting in {n} s…",
    reconnecting_now: "Reconnecting…",
    disconnected: "Disconnected",
    state_draft: "Draft",
    state_ready: "Ready",
    state_armed: "Armed",
    state_countdown: "Countdown",
    state_open: "Open",
    state_paused: "Paused",
    state_draining: "Draining",
    state_settled: "Settled",
    state_published: "Published",
    order_placed: "Placed",
    order_paid: "Paid",
    order_fulfilled: "Sent",
    order_refunded: "Refunded",
    order_cancelled: "Cancelled",
    order_expired: "Expired",
    status_preshow: "Starts soon",
    status_live: "Live",
    status_away: "Host is away",
    status_ended: "Ended",
    role_host: "Host",
    role_owner: "Host",
    role_seller: "Shop",
    role_moderator: "Mod",
    role_analyst: "Team",
    role_viewer: "Viewer",
    ghost: "simulated",
    network_error: "No answer from the server. Check your connection.",
    language_other: "中文",
    language_label: "Language",
  },
  {
    available: "可抢",
    held: "占用",
    sold: "已售",
    stock_sentence: "共 {quota} 件：可抢 {available}，占用 {held}，已售 {sold}",
    close: "关闭",
    cancel: "取消",
    retry: "重试",
    live: "直播中",
    rehearsal: "彩排",
    watching: "人在线",
    watching_means: "此刻打开直播间的人数。同一人开两个页面只算一次；模拟观众不计入。",
    connecting: "连接中…",
    connected: "已连接",
    reconnecting: "{n} 秒后重连…",
    reconnecting_now: "正在重连…",
    disconnected: "已断开",
    state_draft: "草稿",
    state_ready: "就绪",
    state_armed: "待开",
    state_countdown: "倒计时",
    state_open: "开抢中",
    state_paused: "已暂停",
    state_draining: "收尾中",
    state_settled: "已结算",
    state_published: "已公示",
    order_placed: "已拍下",
    order_paid: "已付款",
    order_fulfilled: "已发货",
    order_refunded: "已退款",
    order_cancelled: "已取消",
    order_expired: "已超时",
    status_preshow: "即将开播",
    status_live: "直播中",
    status_away: "主播暂时离开",
    status_ended: "已结束",
    role_host: "主播",
    role_owner: "主播",
    role_seller: "店铺",
    role_moderator: "场控",
    role_analyst: "团队",
    role_viewer: "观众",
    ghost: "模拟",
    network_error: "服务器没有响应，请检查网络。",
    language_other: "EN",
    language_label: "语言",
  },
);
