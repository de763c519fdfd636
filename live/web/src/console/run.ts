/** The run of show at work: its order, new items, and following what others change. */

import { effect, signal } from "@preact/signals";
import { announce } from "../shared/announce";
import type { Product } from "../shared/types";
import { localised } from "../shared/words";
import type { RoomDesk } from "./room-desk";
import { moved } from "./run-order";
import { w } from "./words";

export interface RunAnswer {
  products: Product[];
  run_version: number;
}

export interface QuickItem {
  title: string;
  title_zh?: string;
  price_minor: number;
  stock: number;
}

export interface RowError {
  row: number;
  column: string;
  message: string;
}

export const MAX_CSV_CHARACTERS = 1_000_000;
const PLACE = "run";

export class Run {
  /** Whether a sheet for new items is open. */
  readonly sheet = signal<"item" | "import" | null>(null);
  readonly rowErrors = signal<readonly RowError[]>([]);
  private version: number;
  private isSending = false;
  private isMoved = false;
  private stopWatching: (() => void) | undefined;

  constructor(
    private readonly desk: RoomDesk,
    version: number,
  ) {
    this.version = version;
  }

  start(): void {
    this.stopWatching = effect(() => {
      const told = this.desk.store.run.value;
      // What comes back of our own changes is not news; what comes while we move is settled by the server's answer.
      if (told !== null && told > this.version && !this.isSending) void this.desk.reloadProducts();
    });
  }

  stop(): void {
    this.stopWatching?.();
  }

  /** The version that belongs to products read from the room's page. */
  read(version: number): void {
    this.version = Math.max(this.version, version);
  }

  /** Move an item at once; the server follows, one call at a time with the newest order. */
  move(productId: string, to: number): void {
    const products = this.desk.products.peek();
    const from = products.findIndex((one) => one.product_id === productId);
    const order = moved(products, from, to);
    if (order === products) return;
    this.desk.products.value = order;
    const place = order.findIndex((one) => one.product_id === productId) + 1;
    announce(w("moved_to", { name: localised(this.desk.product(productId)?.title), n: place, of: order.length }));
    this.isMoved = true;
    if (!this.isSending) void this.sendOrder();
  }

  private async sendOrder(): Promise<void> {
    this.isSending = true;
    try {
      while (this.isMoved) {
        this.isMoved = false;
        const product_ids = this.desk.products.peek().map((one) => one.product_id);
        const sent = await this.desk.runner.send<RunAnswer>(PLACE, "order", "put", this.desk.path("/products"), { product_ids });
        if (!sent.ok) {
          this.isMoved = false;
          await this.desk.reloadProducts();
        } else if (this.isMoved) this.version = sent.answer.run_version;
        else this.take(sent.answer);
      }
    } finally {
      this.isSending = false;
    }
  }

  async add(item: QuickItem): Promise<boolean> {
    const sent = await this.desk.runner.send<RunAnswer>("run-item", "add", "post", this.desk.path("/products"), item);
    if (!sent.ok) return false;
    this.take(sent.answer);
    this.desk.select(sent.answer.products.at(-1)?.product_id ?? "");
    return true;
  }

  /** How many items there are more; null when nothing was imported, and `rowErrors` or the failure says why. */
  async importCsv(csv: string): Promise<number | null> {
    this.rowErrors.value = [];
    const before = this.desk.products.peek().length;
    const sent = await this.desk.runner.send<RunAnswer>("run-import", "import", "post", this.desk.path("/product-imports"), { csv });
    if (!sent.ok) {
      const rows = this.desk.runner.failure("run-import")?.facts.rows;
      this.rowErrors.value = Array.isArray(rows) ? (rows as RowError[]) : [];
      return null;
    }
    this.take(sent.answer);
    return sent.answer.products.length - before;
  }

  async remove(productId: string): Promise<void> {
    const sent = await this.desk.runner.send<RunAnswer>(PLACE, "remove", "delete", this.desk.path(`/products/${encodeURIComponent(productId)}`));
    if (!sent.ok) return;
    this.take(sent.answer);
    if (this.desk.productId.peek() === productId) this.desk.select(sent.answer.products[0]?.product_id ?? "");
  }

  private take({ products, run_version }: RunAnswer): void {
    this.version = Math.max(this.version, run_version);
    this.desk.products.value = products;
  }
}
