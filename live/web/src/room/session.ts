/** One viewer in one room: who they are, the connection, what is known, and what the page shows of it. */

import { computed, effect, signal } from "@preact/signals";
import { announce } from "../shared/announce";
import { api, Problem } from "../shared/api";
import { formatMoney } from "../shared/money";
import { formatRemaining, heartbeat } from "../shared/clock";
import { RoomConnection, wakeWithPage } from "../shared/connection";
import { currentSale, RoomStore } from "../shared/room-store";
import type { CaptionsValue, Me, Product, RoomPage, SaleValue, TicketAnswer, ViewerIdentity } from "../shared/types";
import { language, localised } from "../shared/words";
import { type BuyState, buyState } from "./buy-state";
import { CaptionLine, type ShownCaption } from "./caption-line";
import { cardsWait } from "./delay-sheet";
import { Follow } from "./follow";
import { HeldCues, type PinCue } from "./held-cues";
import { MyThings } from "./my-things";
import { Reminders } from "./reminders";
import { explainError, explainRefusal } from "./reasons";
import type { VideoDelay, VideoState } from "./video";
import { Wishes } from "./wishes";
import { w } from "./words";

export type Phase = "loading" | "missing" | "failed" | "sign_in" | "in";

export type Panel =
  | { kind: "bag" }
  | { kind: "things" }
  | { kind: "chat" }
  | { kind: "fairness" }
  | { kind: "watching" }
  | { kind: "share" }
  | { kind: "keys" }
  | { kind: "delay" }
  /** From the moment a product was shown first, or from the beginning. */
  | { kind: "replay"; productId?: string }
  | { kind: "product"; productId: string }
  | { kind: "checkout"; holdId: string };

export type SideTab = "chat" | "orders" | "fairness";

const LIKE_FLUSH_MS = 400;
const MAX_LIKES = 50;
const LATE_ANSWER_MS = 2_000;
const RUN_WITHIN_MS = 3_000;
const MAX_TOLD_DELAY_MS = 60_000;
/** A clock that may be further off says nothing about which moment a picture shows. */
const CLOCK_TRUSTED_MS = 1_000;

export class RoomSession {
  readonly store = new RoomStore();
  readonly connection: RoomConnection;
  readonly things: MyThings;
  readonly wishes: Wishes;
  readonly reminders: Reminders;
  readonly follow: Follow;

  readonly phase = signal<Phase>("loading");
  readonly products = signal<readonly Product[]>([]);
  readonly viewer = signal<ViewerIdentity | null>(null);
  readonly user = signal<Me["user"]>(null);

  readonly panel = signal<Panel | null>(null);
  readonly sideTab = signal<SideTab>("chat");
  readonly isChatPaused = signal(false);
  readonly quantities = signal<ReadonlyMap<string, number>>(new Map());
  readonly likesPending = signal(0);
  /** What the picture does; null while no camera has been on. */
  readonly video = signal<VideoState | null>(null);
  /** How it comes and how late it is; null while nothing plays. */
  readonly videoDelay = signal<VideoDelay | null>(null);
  /** Whether the picture is silent; browsers let it begin no other way. */
  readonly isMuted = signal(true);
  readonly isLive = computed(() => this.store.connection.value.state === "live");

  /** The product on the card: what the host pinned, once the picture has come to it. */
  readonly shownId = signal<string | null>(null);
  readonly pinned = computed<Product | null>(() => this.product(this.shownId.value));
  private offered: PinCue = this.store.pin.peek();
  private readonly cues = new HeldCues(this.offered);
  /** The line of captions to show, once the picture has come to its words. */
  readonly caption = signal<ShownCaption | null>(null);
  private offeredCaption: CaptionsValue | null = null;
  private readonly captionLine = new CaptionLine();
  private readonly startedAtMs = Date.now();
  private runVersion = Number.POSITIVE_INFINITY;
  private runTimer: ReturnType<typeof setTimeout> | undefined;
  private likeTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly roomId: string) {
    this.connection = new RoomConnection({
      getTicket: () => this.getTicket(),
      isFinal: (error) => error instanceof Problem && [401, 403, 404].includes(error.status),
      listener: this.store,
      clock: this.store.clock,
      pingFacts: () => this.pictureFacts(),
    });
    effect(() => this.followRun(this.store.run.value));
    effect(() => this.showWhatIsDue());
    effect(() => this.showCaption());
    this.things = new MyThings(roomId, this.connection, this.store);
    this.wishes = new Wishes(roomId, this.connection, this.store);
    this.reminders = new Reminders(
      this.things,
      this.store,
      (productId) => this.product(productId),
      (productId) => (this.panel.value = { kind: "product", productId }),
    );
    this.follow = new Follow(this.things, this.store);
    wakeWithPage(this.connection);
    this.speakOfMyThings();
  }

  // --- coming in ----------------------------------------------------------------------------------------------

  async open(): Promise<void> {
    this.phase.value = "loading";
    try {
      const [page, me] = await Promise.all([
        api.get<RoomPage>(`/api/rooms/${encodeURIComponent(this.roomId)}`),
        api.get<Me>("/api/me"),
      ]);
      this.products.value = page.products;
      this.runVersion = page.run_version;
      this.store.seed(page);
      this.user.value = me.user;
      if (me.viewer || me.user) this.enter();
      else this.phase.value = "sign_in";
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.phase.value = error.status === 404 ? "missing" : "failed";
    }
  }

  async signIn(nickname: string): Promise<void> {
    await api.post("/api/guests", { nickname });
    this.enter();
  }

  /** The cookie of an account is there now: come in with it. */
  enterWithAccount(): void {
    void this.open();
  }

  private enter(): void {
    this.phase.value = "in";
    this.connection.start();
  }

  private async getTicket(): Promise<TicketAnswer> {
    const answer = await api.post<TicketAnswer>(`/api/rooms/${encodeURIComponent(this.roomId)}/tickets`, {}, { retries: 0 });
    this.viewer.value = answer.viewer;
    return answer;
  }

  /** The host changed the list of products: read it again, each page at a moment of its own. */
  private followRun(told: number | null): void {
    if (told === null || told <= this.runVersion || this.runTimer !== undefined) return;
    this.runTimer = setTimeout(() => {
      this.runTimer = undefined;
      void this.readRun();
    }, Math.random() * RUN_WITHIN_MS);
  }

  private async readRun(): Promise<void> {
    try {
      const page = await api.get<RoomPage>(`/api/rooms/${encodeURIComponent(this.roomId)}`);
      this.products.value = page.products;
      this.runVersion = page.run_version;
      this.followRun(this.store.run.peek());
    } catch (error) {
      // The bag then stays as it was; the next change asks again.
      if (!(error instanceof Problem)) throw error;
    }
  }

  private showWhatIsDue(): void {
    const pin = this.store.pin.value;
    if (pin !== this.offered) this.cues.offer((this.offered = pin));
    const sales = this.store.sales.value;
    // A card whose product can be bought is shown at once: nobody loses time to buy by a late picture.
    const isUrgent = (cue: PinCue): boolean => {
      const sale = cue.product_id === null ? null : currentSale(sales.values(), cue.product_id);
      return sale?.state === "open" && (sale.opens_at_ms ?? 0) >= (cue.at_ms ?? 0);
    };
    this.shownId.value = this.cues.at({ serverMs: this.store.serverNow(), delayMs: this.cueDelayMs(), isUrgent }).product_id;
    if (this.cues.isHolding) void heartbeat.value; // looked at again with the next beat, and not at all while nothing waits
  }

  private showCaption(): void {
    const caption = this.store.captions.value;
    const serverMs = this.store.serverNow();
    if (caption !== null && caption !== this.offeredCaption) this.captionLine.offer((this.offeredCaption = caption), serverMs);
    this.caption.value = this.captionLine.at({ serverMs, delayMs: this.cueDelayMs() });
    if (this.captionLine.isHolding || this.caption.peek() !== null) void heartbeat.value; // a line waits, or is to end
  }

  /** How long a cue waits for the picture now; null where it doesn't. */
  private cueDelayMs(): number | null {
    const uncertainMs = this.store.clock.uncertaintyMs.value;
    const isSure = cardsWait.value && uncertainMs !== null && uncertainMs <= CLOCK_TRUSTED_MS;
    return isSure && this.video.value === "playing" ? (this.videoDelay.value?.ms ?? null) : null;
  }

  /** How late the picture is, for the host: told with the pings that there are anyway. */
  private pictureFacts(): Record<string, unknown> {
    const delay = this.videoDelay.peek();
    if (this.video.peek() !== "playing" || delay === null || delay.ms === null) return {};
    return { video: delay.way, delay_ms: Math.min(MAX_TOLD_DELAY_MS, Math.round(delay.ms)) };
  }

  // --- looking things up --------------------------------------------------------------------------------------

  product(productId: string | null | undefined): Product | null {
    return this.products.value.find((p) => p.product_id === productId) ?? null;
  }

  saleOf(productId: string): SaleValue | null {
    return currentSale(this.store.sales.value.values(), productId);
  }

  quantityOf(saleId: string): number {
    return this.quantities.value.get(saleId) ?? 1;
  }

  setQuantity(saleId: string, quantity: number): void {
    this.quantities.value = new Map(this.quantities.value).set(saleId, quantity);
  }

  /** The button's state now; read inside a component or `computed` it follows every signal it depends on. */
  buyStateOf(productId: string, sale: SaleValue | null): BuyState {
    void heartbeat.value;
    const open = sale && this.things.openHoldOf(sale.sale_id);
    const units = sale ? this.things.unitsOf(sale.sale_id) : { held: 0, bought: 0 };
    return buyState({
      sale,
      stock: (sale && this.store.stock.value.get(sale.sale_id)) ?? null,
      isLive: this.isLive.value,
      isReminded: this.things.reminders.value.has(productId),
      nowMs: this.store.serverNow(),
      isAsking: sale ? this.things.asking.value.has(sale.sale_id) : false,
      heldUntilMs: open ? open.untilMs : null,
      payment: (open && this.things.payments.value.get(open.holdId)) ?? null,
      place: (sale && this.things.places.value.get(sale.sale_id)) ?? null,
      unitsHeld: units.held,
      unitsBought: units.bought,
    });
  }

  /** Why the last tap on this sale got nothing; null when it got something or there was none on this page. */
  lastRefusal(saleId: string): string | null {
    const attempt = this.things.attempts.value.find((a) => a.sale_id === saleId);
    if (!attempt || attempt.at_ms < this.startedAtMs + this.store.clock.offsetMs.value - 1000) return null;
    if (attempt.error) return explainError(attempt.error, attempt.retry_after_ms);
    if (attempt.decision?.decision === "refused") return explainRefusal(attempt.decision, language.value);
    return null;
  }

  /** Whether the last tap was refused because every unit was held or sold just then. */
  wasOutOfStock(saleId: string): boolean {
    const decision = this.things.attempts.value.find((a) => a.sale_id === saleId)?.decision;
    return decision?.decision === "refused" && (decision.reason === "all_held" || decision.reason === "sold_out");
  }

  /** Whether a tap has waited so long that a word is due. */
  isAnswerLate(saleId: string): boolean {
    void heartbeat.value;
    const attempt = this.things.attempts.value.find((a) => a.sale_id === saleId);
    return !!attempt && !attempt.decision && !attempt.error && this.store.serverNow() - attempt.at_ms > LATE_ANSWER_MS;
  }

  // --- doing --------------------------------------------------------------------------------------------------

  /** The one thing the Buy button does in its present state. */
  async buy(productId: string): Promise<void> {
    const sale = this.saleOf(productId);
    const state = this.buyStateOf(productId, sale);
    if (!state.isEnabled) return;
    if (!sale || state.kind === "remind" || state.kind === "reminded") {
      await this.reminders.toggle(productId);
      return;
    }
    const open = this.things.openHoldOf(sale.sale_id);
    if (open) {
      this.panel.value = { kind: "checkout", holdId: open.holdId };
      return;
    }
    const quantity = this.quantityOf(sale.sale_id);
    const attempt =
      state.kind === "all_held" ? await this.things.joinLine(sale.sale_id, quantity) : await this.things.hold(sale.sale_id, quantity);
    if (attempt.decision?.decision === "granted") {
      this.setQuantity(sale.sale_id, 1);
      this.panel.value = { kind: "checkout", holdId: attempt.decision.hold_id };
      announce(`${w("hold_clock")} ${formatRemaining(attempt.decision.expires_at_ms - this.store.serverNow())}`, "assertive");
    } else if (attempt.decision?.decision === "waiting") {
      announce(w("buy_in_line", { place: attempt.decision.place }), "assertive");
    } else {
      announce(this.lastRefusal(sale.sale_id) ?? w("buy_checking"), "assertive");
    }
  }

  toggleSound(): void {
    this.isMuted.value = !this.isMuted.peek();
  }

  like(): void {
    if (!this.isLive.value) return;
    this.likesPending.value = Math.min(MAX_LIKES, this.likesPending.value + 1);
    this.likeTimer ??= setTimeout(() => {
      this.likeTimer = undefined;
      const count = this.likesPending.value;
      this.likesPending.value = 0;
      // A heart that is lost is no harm; the total is the server's.
      this.connection.command("like", { count }).catch(() => undefined);
    }, LIKE_FLUSH_MS);
  }

  private speakOfMyThings(): void {
    this.store.onPersonal((type, data) => {
      if (type === "hold_granted" || type === "hold_promoted") announce(w("hold_clock"), "assertive");
      if (type === "hold_expired") announce(w("hold_ended_plain"), "assertive");
      if (type === "order" && "state" in (data as object) && (data as { state: string }).state === "paid") {
        announce(w("success"), "assertive");
      }
    });
    const warned = new Set<string>();
    effect(() => {
      void heartbeat.value;
      const nowMs = this.store.serverNow();
      this.things.checkExpiries(nowMs);
      for (const hold of this.things.holds.value.values()) {
        if (hold.expires_at_ms - nowMs < 10_000 && !warned.has(hold.hold_id)) {
          warned.add(hold.hold_id);
          announce(`${w("hold_clock")} 0:10`, "assertive");
        }
      }
    });
  }

  priceOf(product: Product): string {
    const prices = product.variants.map((v) => v.price_minor);
    return prices.length ? formatMoney(Math.min(...prices), product.currency, language.value) : "";
  }

  variantTitle(product: Product | null, variantId: string): string {
    return localised(product?.variants.find((v) => v.variant_id === variantId)?.title);
  }
}
