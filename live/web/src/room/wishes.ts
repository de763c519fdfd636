/** What this viewer asks the host to show, beside how many others do. A wish holds until the item has been shown. */

import { signal } from "@preact/signals";
import { announce } from "../shared/announce";
import { CommandRefused, type RoomConnection } from "../shared/connection";
import type { RoomStore } from "../shared/room-store";
import { keep, readKept } from "./kept";
import { explainError } from "./reasons";
import { w } from "./words";

const MAX_KEPT = 200;
/** So long an answer may be ahead of the room's value. */
const AHEAD_MS = 5_000;

/** When the server took the wish, and how many asked then. */
interface Mine {
  at_ms: number;
  count: number;
}

export class Wishes {
  private readonly mine = signal<Readonly<Record<string, Mine>>>({});
  private readonly asking = signal<string | null>(null);
  private readonly failed = signal<{ productId: string; text: string } | null>(null);
  private readonly place: string;

  constructor(
    roomId: string,
    private readonly connection: Pick<RoomConnection, "command">,
    private readonly store: Pick<RoomStore, "requests" | "serverNow">,
  ) {
    this.place = `wishes.${roomId}`;
    this.mine.value = read(readKept(this.place));
  }

  /** How many ask for an item, and whether this viewer is among them. */
  of(productId: string): { count: number; isMine: boolean } {
    const [count, sinceMs] = this.store.requests.value.items[productId] ?? [0, null];
    const mine = this.mine.value[productId];
    if (!mine) return { count, isMine: false };
    const isAhead = this.store.serverNow() - mine.at_ms < AHEAD_MS;
    // Older than what is counted now: the item has been shown meanwhile.
    const isMine = sinceMs === null ? isAhead : mine.at_ms >= sinceMs;
    return { count: isMine && isAhead ? Math.max(count, mine.count) : count, isMine };
  }

  isAsking(productId: string): boolean {
    return this.asking.value === productId;
  }

  /** Why the last tap on this item came to nothing. */
  problem(productId: string): string | null {
    return this.failed.value?.productId === productId ? this.failed.value.text : null;
  }

  async ask(productId: string): Promise<void> {
    if (this.asking.peek() !== null || this.of(productId).isMine) return;
    this.asking.value = productId;
    this.failed.value = null;
    try {
      const mine = (await this.connection.command("request", { product_id: productId })) as unknown as Mine;
      const { [productId]: _before, ...others } = this.mine.peek();
      this.mine.value = Object.fromEntries([...Object.entries(others), [productId, mine] as const].slice(-MAX_KEPT));
      keep(this.place, JSON.stringify(this.mine.peek()));
      announce(w("asked", { n: mine.count }));
    } catch (error) {
      if (!(error instanceof CommandRefused)) throw error;
      this.failed.value = { productId, text: explainError(error.code, error.retryAfterMs) };
      announce(this.failed.value.text);
    } finally {
      this.asking.value = null;
    }
  }
}

/** What was kept as JSON; whatever isn't right in it is forgotten. */
function read(text: string | null): Record<string, Mine> {
  try {
    const kept = Object.entries(JSON.parse(text ?? "{}") as Record<string, Partial<Mine>>);
    return Object.fromEntries(kept.filter((one): one is [string, Mine] => Number.isFinite(one[1]?.at_ms) && Number.isFinite(one[1]?.count)));
  } catch {
    return {};
  }
}
