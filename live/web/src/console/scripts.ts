/** What the host says of each item and when: read by everybody who works here, written by who sells. */

import { computed, effect, signal } from "@preact/signals";
import { api, Problem } from "../shared/api";
import { lateness } from "./plan";
import type { RoomDesk } from "./room-desk";

export interface Script {
  product_id: string;
  script: string;
  /** Of the show, in which its turn is planned. */
  minute: number | null;
  version: number;
}

interface ScriptsAnswer {
  scripts: Script[];
  version: number;
}

export type Saved = { is: "saved" } | { is: "changed"; theirs: Script } | { is: "failed" };

export const MAX_CHARACTERS = 4_000;
export const MAX_MINUTE = 24 * 60 - 1;
export const PLACE = "script";

export class Scripts {
  readonly byProduct = signal<ReadonlyMap<string, Script>>(new Map());
  /** The item whose sheet is open. */
  readonly editing = signal<string | null>(null);
  /** What was typed and not saved: a sheet that closes loses nothing. */
  readonly drafts = new Map<string, Script>();
  private version = -1;
  private isReading = false;
  private stopWatching: (() => void) | undefined;

  constructor(private readonly desk: RoomDesk) {}

  start(): void {
    void this.read();
    this.stopWatching = effect(() => this.follow(this.desk.store.scripts.value));
  }

  stop(): void {
    this.stopWatching?.();
  }

  of(productId: string): Script {
    return this.byProduct.value.get(productId) ?? { product_id: productId, script: "", minute: null, version: 0 };
  }

  /** How late the show is, in minutes, and at which item; null before it begins and where nothing is planned. */
  readonly late = computed<{ productId: string; by: number } | null>(() => {
    const { room, pin } = this.desk.store;
    const startedAtMs = room.value?.status === "live" ? room.value.started_at_ms : null;
    if (startedAtMs === null) return null;
    const products = this.desk.products.value;
    const found = lateness({
      minutes: products.map((one) => this.of(one.product_id).minute),
      shown: products.findIndex((one) => one.product_id === pin.value.product_id),
      shownAtMs: (pin.value.at_ms ?? 0) - startedAtMs,
      nowMs: this.desk.store.serverNow() - startedAtMs,
    });
    const product = found && products[found.at];
    return found && product ? { productId: product.product_id, by: found.by } : null;
  });

  private follow(told: number | null): void {
    if (told !== null && told > this.version) void this.read();
  }

  async read(): Promise<void> {
    if (this.isReading) return;
    this.isReading = true;
    try {
      const answer = await api.get<ScriptsAnswer>(this.desk.path("/scripts"));
      this.version = answer.version;
      this.byProduct.value = new Map(answer.scripts.map((one) => [one.product_id, one]));
    } catch (error) {
      // What was known stays; the next change asks again.
      if (!(error instanceof Problem)) throw error;
      return;
    } finally {
      this.isReading = false;
    }
    this.follow(this.desk.store.scripts.peek()); // what changed while this was on its way
  }

  /** Save a script made from the one of `version`. Somebody else's change meanwhile is given back, and nothing is overwritten. */
  async write({ product_id, script, minute, version }: Script): Promise<Saved> {
    const path = this.desk.path(`/products/${encodeURIComponent(product_id)}/script`);
    const sent = await this.desk.runner.send<Script>(PLACE, "save", "put", path, { script, minute, version });
    if (sent.ok) {
      this.drafts.delete(product_id);
      this.keep(sent.answer);
      return { is: "saved" };
    }
    const failure = this.desk.runner.failure(PLACE);
    if (failure?.code !== "script_changed") return { is: "failed" };
    this.desk.runner.dismiss(PLACE);
    const theirs = { product_id, ...(failure.facts as unknown as Omit<Script, "product_id">) };
    this.keep(theirs);
    return { is: "changed", theirs };
  }

  private keep({ product_id, script, minute, version }: Script): void {
    this.byProduct.value = new Map(this.byProduct.peek()).set(product_id, { product_id, script, minute, version });
  }
}
