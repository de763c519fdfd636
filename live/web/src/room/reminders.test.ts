import { signal } from "@preact/signals";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Problem } from "../shared/api";
import { type PersonalListener, RoomStore } from "../shared/room-store";
import type { ReminderDue, SaleState, SaleValue } from "../shared/types";
import { language } from "../shared/words";
import { MyThings } from "./my-things";
import { Reminders } from "./reminders";

const shown = vi.fn();
let hear: PersonalListener;

function viewer(remind: (productId: string, isOn: boolean) => Promise<void> = async () => undefined) {
  const sales = signal<ReadonlyMap<string, SaleValue>>(new Map());
  const mine = signal<ReadonlySet<string>>(new Set());
  const store = { sales, onPersonal: (listener: PersonalListener) => ((hear = listener), () => undefined) };
  const things = { reminders: mine, remind: vi.fn(remind) };
  const state = (saleId: string, to: SaleState): void =>
    void (sales.value = new Map(sales.value).set(saleId, { sale_id: saleId, state: to } as SaleValue));
  return { mine, state, things, reminders: new Reminders(things, store, () => null, shown) };
}

const due = (id: string, sale_id = "sl_1"): ReminderDue => ({ id, product_id: "pr_1", variant_id: "va_1", sale_id, opens_at_ms: 1, at_ms: 1 });

/** A browser with notifications: what it was asked, and what it showed. */
function notifications(permission: string) {
  const made: string[] = [];
  class Fake {
    static permission = permission;
    static requestPermission = vi.fn(async () => "denied");
    constructor(text: string) {
      made.push(text);
    }
  }
  vi.stubGlobal("Notification", Fake);
  return { made, asked: Fake.requestPermission };
}

beforeEach(() => {
  language.value = "en";
  vi.stubGlobal("document", { hidden: false });
  shown.mockClear();
});
afterEach(() => vi.unstubAllGlobals());

it("asks by one tap and takes back by the next; only the tap that asks asks for notifications", async () => {
  const { asked } = notifications("default");
  const { mine, things, reminders } = viewer();
  await reminders.toggle("pr_1");
  expect(things.remind).toHaveBeenLastCalledWith("pr_1", true);
  expect(asked).toHaveBeenCalledTimes(1);
  mine.value = new Set(["pr_1"]);
  await reminders.toggle("pr_1");
  expect(things.remind).toHaveBeenLastCalledWith("pr_1", false);
  expect(asked).toHaveBeenCalledTimes(1);
});

it("sends no second tap before the first is answered, and says why one came to nothing", async () => {
  let refuse: (error: Error) => void = () => undefined;
  const { things, reminders } = viewer(() => new Promise((_, reject) => (refuse = reject)));
  const first = reminders.toggle("pr_1");
  await reminders.toggle("pr_1");
  expect(things.remind).toHaveBeenCalledTimes(1);
  refuse(new Problem("rate_limited", 429, "", { retry_after_ms: 4_000 }));
  await first;
  expect(reminders.problem("pr_1")).toContain("4 s");
  expect(reminders.problem("pr_2")).toBeNull();
});

it("tells what can be had, once, until the viewer looks or the sale is over", () => {
  const { state, reminders } = viewer();
  hear("reminder", due("a"));
  expect(reminders.told.value).toEqual([]); // of a sale this page doesn't know yet
  state("sl_1", "countdown");
  expect(reminders.told.value).toHaveLength(1);
  hear("reminder", due("a"));
  expect(reminders.told.value).toHaveLength(1);
  reminders.open(due("a"));
  expect(shown).toHaveBeenCalledWith("pr_1");
  hear("reminder", due("a"));
  expect(reminders.told.value).toEqual([]);
  state("sl_2", "open");
  hear("reminder", due("b", "sl_2"));
  expect(reminders.told.value.map((one) => one.id)).toEqual(["b"]);
  state("sl_2", "settled");
  expect(reminders.told.value).toEqual([]);
});

it("shows a notification on a hidden page alone, if the viewer allows it", () => {
  const { made } = notifications("granted");
  const { state } = viewer();
  state("sl_1", "open");
  hear("reminder", due("a"));
  expect(made).toEqual([]);
  vi.stubGlobal("document", { hidden: true });
  hear("reminder", due("b"));
  hear("reminder", due("b"));
  expect(made).toHaveLength(1);
  const denied = notifications("denied");
  hear("reminder", due("c"));
  expect(denied.made).toEqual([]);
});

it("is used up once told, and what the server says later holds", async () => {
  const store = new RoomStore();
  const things = new MyThings("rm_1", { command: vi.fn() } as never, store, { getItem: () => null, setItem: () => undefined });
  let reminders = ["pr_1", "pr_2"];
  const sent = vi.fn(async (_path: string, init: RequestInit) =>
    init.method === "GET" ? new Response(JSON.stringify({ holds: [], orders: [], reminders })) : new Response(null, { status: 204 }),
  );
  vi.stubGlobal("fetch", sent);
  await things.refresh();
  expect([...things.reminders.value]).toEqual(["pr_1", "pr_2"]);
  store.personal("reminder", due("a"));
  expect([...things.reminders.value]).toEqual(["pr_2"]);
  await things.remind("pr_3", true);
  expect(sent.mock.calls.at(-1)?.[0]).toBe("/api/rooms/rm_1/reminders/pr_3");
  expect([...things.reminders.value]).toEqual(["pr_2", "pr_3"]);
  reminders = ["pr_3"];
  await things.refresh();
  expect([...things.reminders.value]).toEqual(["pr_3"]);
});
