/** Items this viewer wants to be told of when they go on sale: the tap that asks, and the telling. The server keeps them (`MyThings`). */

import { computed, effect, signal } from "@preact/signals";
import { announce } from "../shared/announce";
import { Problem } from "../shared/api";
import type { RoomStore } from "../shared/room-store";
import type { Product, ReminderDue, SaleValue } from "../shared/types";
import { localised } from "../shared/words";
import type { MyThings } from "./my-things";
import { askForNotifications, notify } from "./notify";
import { explainProblem } from "./reasons";
import { w } from "./words";

const MAX_TOLD = 50;

/** What the viewer was told, with the sale as it is now. */
export interface Told extends ReminderDue {
  sale: SaleValue;
}

export class Reminders {
  /** By their ids, so that one that comes twice is told once. */
  private readonly heard = signal<readonly (ReminderDue & { isClosed?: boolean })[]>([]);
  private readonly failed = signal<{ productId: string; text: string } | null>(null);
  private readonly spoken = new Set<string>();
  private isAsking = false;

  /** Told, neither closed by the viewer nor over: who comes back late is not told of what can't be had any more. */
  readonly told = computed<readonly Told[]>(() => {
    const sales = this.store.sales.value;
    return this.heard.value.flatMap((one) => {
      const sale = sales.get(one.sale_id);
      return sale && !one.isClosed && (sale.state === "countdown" || sale.state === "open") ? [{ ...one, sale }] : [];
    });
  });

  constructor(
    private readonly things: Pick<MyThings, "reminders" | "remind">,
    private readonly store: Pick<RoomStore, "sales" | "onPersonal">,
    private readonly product: (productId: string) => Product | null,
    private readonly show: (productId: string) => void,
  ) {
    store.onPersonal((type, data) => {
      if (type === "reminder") this.hear(data as ReminderDue);
    });
    effect(() => {
      for (const one of this.told.value) this.speak(one);
    });
  }

  /** Why the last tap on this item came to nothing. */
  problem(productId: string): string | null {
    return this.failed.value?.productId === productId ? this.failed.value.text : null;
  }

  /** Ask to be told of an item, or take that back. */
  async toggle(productId: string): Promise<void> {
    if (this.isAsking) return;
    const isOn = !this.things.reminders.peek().has(productId);
    if (isOn) askForNotifications();
    this.isAsking = true;
    this.failed.value = null;
    try {
      await this.things.remind(productId, isOn);
      announce(w(isOn ? "buy_reminded" : "reminder_off"));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const text = explainProblem(error);
      this.failed.value = { productId, text };
      announce(text);
    } finally {
      this.isAsking = false;
    }
  }

  /** Bring the item up; there is nothing more to tell then. */
  open(told: ReminderDue): void {
    this.close(told.id);
    this.show(told.product_id);
  }

  close(id: string): void {
    this.heard.value = this.heard.peek().map((one) => (one.id === id ? { ...one, isClosed: true } : one));
  }

  private hear(due: ReminderDue): void {
    const heard = this.heard.peek();
    if (!heard.some((one) => one.id === due.id)) this.heard.value = [...heard, due].slice(-MAX_TOLD);
  }

  private speak(told: Told): void {
    if (this.spoken.has(told.id)) return;
    this.spoken.add(told.id);
    const text = w("reminder_due", { name: localised(this.product(told.product_id)?.title) });
    announce(text);
    if (document.hidden) notify(text, told.id, () => this.open(told));
  }
}
