/** What a page knows of its room, as signals. Applies the hub's messages; versions and numbers decide, never arrival time. */

import { batch, signal } from "@preact/signals";
import type { ConnectionStatus, RoomListener } from "./connection";
import { ServerClock } from "./clock";
import type {
  Announcement,
  CaptionsValue,
  ChatValue,
  Comment,
  DeskValue,
  Joined,
  LikesValue,
  MediaValue,
  ModeNotice,
  Notice,
  OrdersValue,
  OrderTick,
  PersonalMessages,
  PinValue,
  RequestsValue,
  RoomPage,
  RoomValue,
  SaleEvent,
  SaleValue,
  StockValue,
  WatchingValue,
  WireEvent,
  WireValue,
} from "./types";

export const MAX_COMMENTS = 300;
export const MAX_ORDER_TICKS = 50;
const NO_REQUESTS: RequestsValue = { total: 0, items: {} };
const FULL: ModeNotice = { type: "mode", hearts: "full", presence: "full", chat: "full", chat_one_in: 1 };

/** A comment in the log; a deleted one stays, hidden, because it may be restored. */
export type ChatLine = Comment & { deleted?: boolean };

export type PersonalListener = <T extends keyof PersonalMessages>(type: T, data: PersonalMessages[T]) => void;
export type EventListener = (type: string, data: unknown) => void;

export class RoomStore implements RoomListener {
  readonly clock: ServerClock;
  readonly connection = signal<ConnectionStatus>({ state: "connecting" });
  /** True from the first JOINED on: before it nothing live is known. */
  readonly isJoined = signal(false);
  readonly viewerId = signal<string | null>(null);
  readonly mode = signal<ModeNotice>(FULL);
  /** When the last message came, by the local clock; a console shows the age of its truth from this. */
  readonly heardAtMs = signal(0);

  readonly room = signal<RoomValue | null>(null);
  readonly chat = signal<ChatValue>({ slow_mode_s: 0, review: false, off: false, followers_only: false, pinned_comment: null });
  readonly pin = signal<PinValue>({ product_id: null, at_ms: 0 });
  readonly likes = signal<LikesValue>({ total: 0 });
  readonly requests = signal<RequestsValue>(NO_REQUESTS);
  readonly watching = signal<WatchingValue | null>(null);
  readonly orders = signal<OrdersValue>({ placed: 0, paid: 0 });
  readonly media = signal<MediaValue | null>(null);
  readonly captions = signal<CaptionsValue | null>(null);
  readonly desk = signal<DeskValue | null>(null);
  /** The version of the run of show; a page whose products have another one reads them again. */
  readonly run = signal<number | null>(null);
  /** The version of what waits for a second person, for consoles. */
  readonly approvals = signal<number | null>(null);
  /** The version of what the host says of them, for consoles. */
  readonly scripts = signal<number | null>(null);
  readonly sales = signal<ReadonlyMap<string, SaleValue>>(new Map());
  readonly stock = signal<ReadonlyMap<string, StockValue>>(new Map());

  readonly comments = signal<readonly ChatLine[]>([]);
  readonly orderTicks = signal<readonly OrderTick[]>([]);
  readonly announcement = signal<Announcement | null>(null);

  private readonly versions = new Map<string, number>();
  private epoch: string | null = null;
  private readonly personalListeners = new Set<PersonalListener>();
  private readonly eventListeners = new Set<EventListener>();
  private readonly joinListeners = new Set<(joined: Joined) => void>();

  constructor(clock: ServerClock = new ServerClock()) {
    this.clock = clock;
  }

  serverNow(): number {
    return this.clock.now();
  }

  /** Hear of each personal message once. Returns an undo. */
  onPersonal(listener: PersonalListener): () => void {
    this.personalListeners.add(listener);
    return () => this.personalListeners.delete(listener);
  }

  /** Hear of each live event once, in order (not of a snapshot's old ones). Returns an undo. */
  onEvent(listener: EventListener): () => void {
    this.eventListeners.add(listener);
    return () => this.eventListeners.delete(listener);
  }

  /** Hear of every JOINED; `recovered: false` means that something may have been missed. Returns an undo. */
  onJoined(listener: (joined: Joined) => void): () => void {
    this.joinListeners.add(listener);
    return () => this.joinListeners.delete(listener);
  }

  /** First state from `GET /api/rooms/{id}`, until the hub's values take over (they have versions, this has none). */
  seed(page: RoomPage): void {
    batch(() => {
      if (!this.versions.has("room")) {
        const { title, status, rehearsal, host_name, starts_at_ms, started_at_ms } = page.room;
        this.room.value = { title, status, rehearsal, host_name, starts_at_ms, started_at_ms };
      }
      if (!this.versions.has("pin")) this.pin.value = { product_id: page.pinned_product_id, at_ms: 0 };
      const sales = new Map(this.sales.value);
      const stock = new Map(this.stock.value);
      for (const sale of page.sales) {
        if (!this.versions.has(`sale:${sale.sale_id}`)) sales.set(sale.sale_id, sale);
        if (sale.stock && !this.versions.has(`stock:${sale.sale_id}`)) stock.set(sale.sale_id, sale.stock);
      }
      this.sales.value = sales;
      this.stock.value = stock;
    });
  }

  // --- RoomListener -------------------------------------------------------------------------------------------

  joined(joined: Joined): void {
    batch(() => {
      this.heardAtMs.value = Date.now();
      if (joined.epoch !== this.epoch) {
        this.versions.clear();
        this.requests.value = NO_REQUESTS; // the one value that nobody fills again when Redis has lost it
      }
      this.epoch = joined.epoch;
      this.viewerId.value = joined.viewer_id;
      this.mode.value = { ...FULL, ...(joined.mode ?? {}) };
      this.applyValues(joined.values);
      if (!joined.recovered) {
        this.comments.value = [];
        this.orderTicks.value = [];
      }
      this.applyEvents(joined.events, joined.recovered);
      this.isJoined.value = true;
    });
    for (const listener of this.joinListeners) listener(joined);
  }

  tick(_serverTimeMs: number, events: WireEvent[], values: Record<string, WireValue>): void {
    batch(() => {
      this.heardAtMs.value = Date.now();
      this.applyValues(values);
      this.applyEvents(events, true);
    });
  }

  personal(type: string, data: unknown): void {
    this.heardAtMs.value = Date.now();
    for (const listener of this.personalListeners) listener(type as keyof PersonalMessages, data as never);
  }

  notice(notice: Notice): void {
    if (notice.type === "mode") this.mode.value = { ...FULL, ...notice };
  }

  status(status: ConnectionStatus): void {
    this.connection.value = status;
  }

  // --- applying -----------------------------------------------------------------------------------------------

  private applyValues(values: Record<string, WireValue>): void {
    let sales: Map<string, SaleValue> | null = null;
    let stock: Map<string, StockValue> | null = null;
    for (const [key, [version, data]] of Object.entries(values)) {
      if (version <= (this.versions.get(key) ?? -1)) continue;
      this.versions.set(key, version);
      const colon = key.indexOf(":");
      const kind = colon < 0 ? key : key.slice(0, colon);
      switch (kind) {
        case "sale":
          sales ??= new Map(this.sales.value);
          // A sale that went back to draft is nobody's business any more: its value is null.
          if (data) sales.set(key.slice(colon + 1), data as SaleValue);
          else sales.delete(key.slice(colon + 1));
          break;
        case "stock":
          stock ??= new Map(this.stock.value);
          if (data) stock.set(key.slice(colon + 1), data as StockValue);
          else stock.delete(key.slice(colon + 1));
          break;
        case "room":
          this.room.value = data as RoomValue;
          break;
        case "chat":
          this.chat.value = data as ChatValue;
          break;
        case "pin":
          this.pin.value = data as PinValue;
          break;
        case "likes":
          this.likes.value = data as LikesValue;
          break;
        case "requests":
          this.requests.value = data as RequestsValue;
          break;
        case "watching":
          this.watching.value = data as WatchingValue;
          break;
        case "orders":
          this.orders.value = data as OrdersValue;
          break;
        case "captions":
          this.captions.value = data as CaptionsValue;
          break;
        case "desk":
          this.desk.value = data as DeskValue;
          break;
        case "run":
          this.run.value = (data as { version: number }).version;
          break;
        case "approvals":
          this.approvals.value = (data as { version: number }).version;
          break;
        case "scripts":
          this.scripts.value = (data as { version: number }).version;
          break;
        case "media":
          this.media.value = data as MediaValue;
          break;
      }
    }
    if (sales) this.sales.value = sales;
    if (stock) this.stock.value = stock;
  }

  private applyEvents(events: readonly WireEvent[], isNews: boolean): void {
    if (!events.length) return;
    let comments: ChatLine[] | null = null;
    let ticks: OrderTick[] | null = null;
    for (const [type, data] of events) {
      if (type === "comment") {
        comments ??= [...this.comments.value];
        comments.push(data as Comment);
      } else if (type === "comment_deleted") {
        const { id, restored } = data as { id: string; restored?: boolean };
        comments ??= [...this.comments.value];
        comments = comments.map((line) => (line.id === id ? { ...line, deleted: !restored } : line));
      } else if (type === "order") {
        ticks ??= [...this.orderTicks.value];
        ticks.push(data as OrderTick);
      } else if (type === "announcement") {
        this.announcement.value = data as Announcement;
      }
    }
    if (comments) this.comments.value = comments.slice(-MAX_COMMENTS);
    if (ticks) this.orderTicks.value = ticks.slice(-MAX_ORDER_TICKS);
    if (isNews) {
      for (const [type, data] of events) {
        if (type === "skipped") continue; // left out by an overloaded hub; its number is all there is
        for (const listener of this.eventListeners) listener(type, data);
      }
    }
  }
}

/** The sale that a product's card should show: a running one before a coming one before the latest that ended. */
export function currentSale(sales: Iterable<SaleValue>, productId: string): SaleValue | null {
  let best: SaleValue | null = null;
  for (const sale of sales) {
    if (sale.product_id !== productId || !(sale.state in CARD_ORDER)) continue;
    if (!best || rank(sale) > rank(best) || (rank(sale) === rank(best) && sale.round > best.round)) best = sale;
  }
  return best;
}

const CARD_ORDER: Partial<Record<SaleValue["state"], number>> = {
  open: 6,
  paused: 6,
  countdown: 5,
  draining: 4,
  armed: 3,
  settled: 1,
  published: 1,
};

function rank(sale: SaleValue): number {
  return CARD_ORDER[sale.state] ?? 0;
}

export type { SaleEvent };
