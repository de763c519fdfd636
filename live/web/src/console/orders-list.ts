/** The room's orders as the Orders tab shows them: one state at a time, searched on the server, newest first, paged. */

import { signal } from "@preact/signals";
import { api, Problem } from "../shared/api";
import type { RoomStore } from "../shared/room-store";
import type { Order, OrderState } from "../shared/types";
import { explain } from "./explain";
import { Poller } from "./poller";

export type OrderFilter = "all" | "failed" | "paying" | "unpaid" | OrderState;

interface OrdersPage {
  orders: Order[];
  next_cursor: string | null;
}

const PAGE = 50;
const MAX_ROWS = 500;
const EVERY_MS = 8_000;

export class OrdersList {
  readonly filter = signal<OrderFilter>("all");
  readonly query = signal("");
  readonly rows = signal<readonly Order[] | null>(null);
  readonly nextCursor = signal<string | null>(null);
  readonly problem = signal<string | null>(null);
  readonly isLoadingMore = signal(false);
  private readonly poller: Poller;
  private unhear: (() => void) | undefined;
  private generation = 0;

  constructor(
    private readonly path: string,
    private readonly store: RoomStore,
  ) {
    this.poller = new Poller(() => this.fetchFirst(), EVERY_MS);
  }

  start(): void {
    this.unhear = this.store.onEvent((type) => {
      if (type === "order") this.poller.soon();
    });
    this.poller.start();
  }

  stop(): void {
    this.unhear?.();
    this.poller.stop();
  }

  /** Ask again now: something about an order was just changed. */
  soon(): void {
    this.poller.soon();
  }

  show(filter: OrderFilter, query: string): void {
    if (this.filter.peek() !== filter || this.query.peek() !== query) this.rows.value = null;
    this.filter.value = filter;
    this.query.value = query;
    this.generation++;
    this.poller.soon();
  }

  async more(): Promise<void> {
    const cursor = this.nextCursor.peek();
    const rows = this.rows.peek();
    if (!cursor || !rows || this.isLoadingMore.peek() || rows.length >= MAX_ROWS) return;
    const generation = this.generation;
    this.isLoadingMore.value = true;
    try {
      const page = await api.get<OrdersPage>(this.address(cursor));
      if (generation !== this.generation) return;
      this.rows.value = [...rows, ...page.orders];
      this.nextCursor.value = page.next_cursor;
    } catch (error) {
      this.fail(error);
    } finally {
      this.isLoadingMore.value = false;
    }
  }

  private async fetchFirst(): Promise<void> {
    const generation = this.generation;
    try {
      const page = await api.get<OrdersPage>(this.address(null), { retries: 0 });
      if (generation !== this.generation) return;
      const before = this.rows.peek() ?? [];
      // Pages that were opened below stay open: the first page replaces only its own part.
      const ids = new Set(page.orders.map((order) => order.order_id));
      const below = before.length > PAGE ? before.filter((order) => !ids.has(order.order_id)).slice(0, MAX_ROWS - PAGE) : [];
      this.rows.value = [...page.orders, ...below];
      if (!below.length) this.nextCursor.value = page.next_cursor;
      this.problem.value = null;
    } catch (error) {
      this.fail(error);
    }
  }

  private address(cursor: string | null): string {
    const search = new URLSearchParams({ limit: String(PAGE) });
    if (this.filter.peek() !== "all") search.set("state", this.filter.peek());
    if (this.query.peek()) search.set("q", this.query.peek());
    if (cursor) search.set("cursor", cursor);
    return `${this.path}?${search}`;
  }

  private fail(error: unknown): void {
    if (!(error instanceof Problem)) throw error;
    this.problem.value = explain(error);
  }
}
