/** One room at work: what is known of it, which product and sale are in hand, and the calls that change them. */

import { effect, signal } from "@preact/signals";
import { announce } from "../shared/announce";
import { api, Problem } from "../shared/api";
import { heartbeat } from "../shared/clock";
import { RoomConnection, wakeWithPage } from "../shared/connection";
import { RoomStore } from "../shared/room-store";
import type { Product, Role, RoomPage, Sale, SaleEvent, SaleProblem, SaleState, SaleValue, StockValue, TicketAnswer, Variant } from "../shared/types";
import { localised, shared } from "../shared/words";
import { Approvals } from "./approvals";
import { Audit } from "./audit";
import { addSample, type Sample } from "./burn-down";
import { type Control, type DeskView, deskView, firstSale, isRunning, mayDo, type Permission } from "./desk-state";
import { Moderation } from "./moderation";
import { Broadcast } from "./broadcast";
import { DeskHold } from "./desk-hold";
import { Numbers } from "./numbers";
import { OrdersList } from "./orders-list";
import type { PlotKind } from "./plots/plots";
import type { Questions } from "./questions";
import { ActionRunner, type Method } from "./runner";
import { People } from "./people";
import { Replies } from "./replies";
import { Run } from "./run";
import { Scripts } from "./scripts";
import type { NewSale } from "./sale-form";
import { Truth } from "./truth";
import { w } from "./words";

export type Tab = "show" | "desk" | "plots" | SideTab;
export type SideTab = "chat" | "questions" | "video" | "orders" | "people" | "log";
export type Tray = "pause" | "abort" | "add_stock" | "withdraw_stock" | null;

/** `new`: the form for a new sale; else a sale's id. */
type Choice = { kind: "new"; from: Sale | null } | { kind: "sale"; saleId: string };

const MAX_SALES = 200;
const MAX_MARKS = 60;
/** Commands that take units from the shelf or give them back. */
const MOVES_STOCK = new Set<Control>(["arm", "disarm", "abort", "add_stock", "withdraw_stock"]);

export class RoomDesk {
  readonly store = new RoomStore();
  readonly connection: RoomConnection;
  readonly runner: ActionRunner;
  readonly truth: Truth;
  readonly numbers: Numbers;
  readonly moderation: Moderation;
  readonly orders: OrdersList;
  readonly audit: Audit;
  readonly hold: DeskHold;
  readonly approvals: Approvals;
  readonly run: Run;
  readonly scripts: Scripts;

  readonly products = signal<readonly Product[]>([]);
  readonly sales = signal<ReadonlyMap<string, Sale>>(new Map());
  readonly problems = signal<ReadonlyMap<string, readonly SaleProblem[]>>(new Map());
  /** What happened to each sale since this console opened, newest last. */
  readonly marks = signal<ReadonlyMap<string, readonly SaleEvent[]>>(new Map());
  readonly samples = signal<ReadonlyMap<string, readonly Sample[]>>(new Map());
  readonly productId = signal<string | null>(null);
  readonly tab = signal<Tab>("desk");
  readonly sideTab = signal<SideTab>("chat");
  readonly plot = signal<PlotKind>("stock");
  readonly broadcast: Broadcast;
  readonly replies: Replies;
  readonly people: People;
  readonly isSummaryOpen = signal(false);
  /** What viewers ask; null until its part is loaded. */
  readonly questions = signal<Questions | null>(null);
  readonly isPreflightOpen = signal(false);
  /** What stands in the composer. */
  readonly draft = signal("");
  readonly tray = signal<Tray>(null);
  readonly isKeysOpen = signal(false);

  private readonly choices = signal<ReadonlyMap<string, Choice>>(new Map());
  private readonly answeredStock = new Map<string, StockValue>();
  private readonly wereOpen = new Set<string>();
  private readonly undo: (() => void)[] = [];

  constructor(
    readonly roomId: string,
    readonly role: Role | null,
    page: RoomPage,
    userId: string,
    private readonly onSignedOut: () => void,
  ) {
    this.connection = new RoomConnection({
      getTicket: () => api.post<TicketAnswer>(this.path("/tickets"), {}, { retries: 0 }),
      isFinal: (error) => error instanceof Problem && [401, 403, 404].includes(error.status),
      listener: this.store,
      clock: this.store.clock,
    });
    this.broadcast = new Broadcast(roomId);
    this.audit = new Audit(this.path("/audit"));
    this.runner = new ActionRunner(
      onSignedOut,
      () => this.audit.soon(),
      () => void this.approvals.read(),
    );
    this.truth = new Truth(this.connection, this.store);
    this.numbers = new Numbers(this.path("/stats"), this.store, onSignedOut);
    this.moderation = new Moderation(this);
    this.orders = new OrdersList(this.path("/orders"), this.store);
    this.hold = new DeskHold(this.path("/desk"), userId, this.store, this.runner);
    this.approvals = new Approvals((rest) => this.path(rest), userId, this.store, this.runner, () => this.orders.soon());
    this.replies = new Replies(this.path("/saved-replies"), this.runner);
    this.people = new People((rest) => this.path(rest), this.runner);
    this.run = new Run(this, page.run_version);
    this.scripts = new Scripts(this);
    this.products.value = page.products;
    this.productId.value = page.pinned_product_id ?? page.products[0]?.product_id ?? null;
    this.store.seed(page);
    for (const sale of page.sales) this.take(sale);
  }

  async open(): Promise<void> {
    await this.reloadSales();
    this.chooseRunning();
    this.undo.push(
      effect(() => this.takeValues()),
      effect(() => this.takeStock()),
      this.store.onEvent((type, data) => {
        if (type === "sale") this.takeEvent(data as SaleEvent);
      }),
      this.store.onJoined((joined) => {
        if (joined.recovered) return;
        for (const [type, data] of joined.events) if (type === "sale") this.mark(data as SaleEvent);
        void this.reloadSales();
      }),
      wakeWithPage(this.connection),
    );
    this.connection.start();
    this.truth.start();
    this.numbers.start();
    this.moderation.start();
    this.orders.start();
    this.audit.start();
    this.hold.start();
    this.run.start();
    this.scripts.start();
    if (this.may("sell")) this.approvals.start();
    if (this.may("moderate")) void this.replies.read();
    // Not in the first load; without it the tab stays empty.
    void import("./questions").then(
      ({ Questions }) => {
        const questions = new Questions();
        this.undo.push(questions.follow(this.store));
        this.questions.value = questions;
      },
      () => undefined,
    );
  }

  close(): void {
    this.broadcast.stop();
    for (const one of [this.truth, this.numbers, this.moderation, this.orders, this.audit, this.hold, this.approvals, this.run, this.scripts]) one.stop();
    for (const undo of this.undo.splice(0)) undo();
    this.connection.stop();
  }

  /** A path of this room's API. */
  path(rest: string): string {
    return `/api/rooms/${encodeURIComponent(this.roomId)}${rest}`;
  }

  may(permission: Permission): boolean {
    return mayDo(this.role, permission);
  }

  // --- looking things up --------------------------------------------------------------------------------------

  product(productId: string | null | undefined): Product | null {
    return this.products.value.find((one) => one.product_id === productId) ?? null;
  }

  variant(variantId: string): Variant | null {
    for (const product of this.products.value) {
      const found = product.variants.find((one) => one.variant_id === variantId);
      if (found) return found;
    }
    return null;
  }

  salesOf(productId: string): Sale[] {
    return [...this.sales.value.values()].filter((sale) => sale.product_id === productId);
  }

  /** The sale in hand, or null when the form for a new one is. */
  sale(): Sale | null {
    const productId = this.productId.value;
    if (!productId) return null;
    const choice = this.choices.value.get(productId);
    if (choice?.kind === "new") return null;
    const chosen = choice && this.sales.value.get(choice.saleId);
    return chosen ?? firstSale(this.salesOf(productId));
  }

  /** The earlier sale whose terms the form starts from, if "new round" was pressed. */
  formSource(): Sale | null {
    const choice = this.choices.value.get(this.productId.value ?? "");
    return choice?.kind === "new" ? choice.from : null;
  }

  stock(saleId: string): StockValue | null {
    const live = this.store.stock.value.get(saleId) ?? null;
    // The answers are no signal of their own: each comes with a new `sales`.
    void this.sales.value;
    const answered = this.answeredStock.get(saleId) ?? null;
    return live ?? answered;
  }

  wasOpen(sale: SaleValue): boolean {
    return this.wereOpen.has(sale.sale_id);
  }

  view(sale: Sale): DeskView {
    void heartbeat.value;
    return deskView({
      sale,
      stock: this.stock(sale.sale_id),
      role: this.role,
      isStale: this.truth.isStale.value,
      nowMs: this.store.serverNow(),
      wasOpen: this.wasOpen(sale),
      isHeldByOther: this.hold.isOthers,
    });
  }

  /** Sales that run now on products that aren't in hand. */
  runningElsewhere(): Sale[] {
    const inHand = this.sale()?.sale_id;
    return [...this.sales.value.values()].filter((sale) => isRunning(sale.state) && sale.sale_id !== inHand);
  }

  // --- choosing -----------------------------------------------------------------------------------------------

  select(productId: string): void {
    if (this.productId.peek() !== productId) this.tray.value = null;
    this.productId.value = productId;
  }

  selectSale(sale: Sale): void {
    this.select(sale.product_id);
    this.choose(sale.product_id, { kind: "sale", saleId: sale.sale_id });
  }

  startForm(productId: string, from: Sale | null = null): void {
    this.tray.value = null;
    this.choose(productId, { kind: "new", from });
  }

  leaveForm(productId: string): void {
    const choices = new Map(this.choices.peek());
    choices.delete(productId);
    this.choices.value = choices;
  }

  private choose(productId: string, choice: Choice): void {
    this.choices.value = new Map(this.choices.peek()).set(productId, choice);
  }

  private chooseRunning(): void {
    const running = firstSale([...this.sales.peek().values()]);
    if (running && isRunning(running.state)) this.select(running.product_id);
  }

  // --- doing --------------------------------------------------------------------------------------------------

  /** Where the outcome of a sale's commands is shown; one at a time per sale. */
  place(saleId: string): string {
    return `sale:${saleId}`;
  }

  async pin(productId: string | null): Promise<void> {
    if (!this.may("sell")) return;
    const sent = await this.runner.send("pin", productId ?? "unpin", "put", this.path("/pin"), { product_id: productId });
    if (sent.ok) this.store.pin.value = { product_id: productId, at_ms: this.store.serverNow() };
  }

  async setStatus(status: "preshow" | "live" | "away" | "ended"): Promise<void> {
    await this.runner.send("room", status, "post", this.path("/status"), { status });
  }

  async create(terms: NewSale): Promise<Sale | null> {
    const sent = await this.runner.send<Sale>("form", "create", "post", this.path("/sales"), terms);
    if (!sent.ok) return null;
    const sale = sent.answer;
    this.take(sale);
    this.choose(sale.product_id, { kind: "sale", saleId: sale.sale_id });
    await this.validate(sale);
    return sale;
  }

  async change(sale: Sale, terms: NewSale): Promise<boolean> {
    // The variant and the rule are part of what the sale is; they are not edited.
    const { variant_id: _variant, rule: _rule, ...changes } = terms;
    const changed = await this.command(sale, "edit", changes, "patch", "");
    if (!changed) return false;
    await this.validate(changed);
    return true;
  }

  /** Run the preflight; its red lights are kept beside the sale. */
  async validate(sale: Sale): Promise<void> {
    const sent = await this.runner.send<{ sale: Sale; problems: SaleProblem[] }>(
      this.place(sale.sale_id),
      "validate",
      "post",
      this.salePath(sale, "/validate"),
    );
    if (!sent.ok) return;
    this.problems.value = new Map(this.problems.peek()).set(sale.sale_id, sent.answer.problems);
    this.take(sent.answer.sale);
  }

  /** One command on a sale, if the desk allows it now. Returns the changed sale. */
  async act(sale: Sale, control: Exclude<Control, "edit" | "validate" | "new_round">, body: Record<string, unknown> = {}): Promise<boolean> {
    const current = this.sales.peek().get(sale.sale_id) ?? sale;
    if (!this.view(current).controls.has(control)) return false;
    const word = control === "add_stock" || control === "withdraw_stock" ? "stock" : control === "end_early" ? "end" : control;
    const changed = await this.command(current, control, body, "post", `/${word}`);
    if (changed) this.tray.value = null;
    else void this.reloadSales();
    if (MOVES_STOCK.has(control)) void this.reloadProducts();
    return changed !== null;
  }

  private async command(sale: Sale, action: string, body: unknown, method: Method, rest: string): Promise<Sale | null> {
    const sent = await this.runner.send<Sale>(this.place(sale.sale_id), action, method, this.salePath(sale, rest), body);
    if (!sent.ok) return null;
    this.take(sent.answer);
    return sent.answer;
  }

  private salePath(sale: Sale, rest: string): string {
    return `/api/sales/${encodeURIComponent(sale.sale_id)}${rest}`;
  }

  // --- taking what arrives ------------------------------------------------------------------------------------

  async reloadSales(): Promise<void> {
    try {
      const { sales } = await api.get<{ sales: Sale[] }>(this.path("/sales"));
      for (const sale of sales.slice(0, MAX_SALES)) this.take(sale);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status === 401) this.onSignedOut();
    }
  }

  /** A sale as the API told it. */
  private take(sale: Sale): void {
    const before = this.sales.peek().get(sale.sale_id);
    if (sale.problems) this.problems.value = new Map(this.problems.peek()).set(sale.sale_id, sale.problems);
    if (sale.stock) this.answeredStock.set(sale.sale_id, sale.stock);
    this.noteState(sale, before?.state ?? null);
    this.sales.value = new Map(this.sales.peek()).set(sale.sale_id, { ...before, ...sale });
    if (sale.stock) this.sample(sale.stock);
  }

  /** The hub's values carry less than the API's answers: what they lack stays as it was. */
  private takeValues(): void {
    const values = this.store.sales.value;
    const sales = new Map(this.sales.peek());
    let isNews = false;
    for (const [saleId, value] of values) {
      const before = sales.get(saleId);
      if (!value || this.seenValues.get(saleId) === value) continue;
      this.seenValues.set(saleId, value);
      isNews = true;
      if (!before) void this.reloadSales();
      this.noteState(value, before?.state ?? null);
      sales.set(saleId, { ...fresh(this.roomId), ...before, ...value });
    }
    if (isNews) this.sales.value = sales;
  }

  private readonly seenValues = new Map<string, SaleValue>();

  private mark(event: SaleEvent): void {
    const before = this.marks.peek().get(event.sale_id) ?? [];
    // A snapshot repeats what was heard before it.
    if (before.some((mark) => mark.at_ms === event.at_ms && mark.state === event.state)) return;
    this.marks.value = new Map(this.marks.peek()).set(event.sale_id, [...before, event].slice(-MAX_MARKS));
  }

  private takeEvent(event: SaleEvent): void {
    this.mark(event);
    // What went back to ready or draft is private again: the hub tells no more of it, the API does.
    const known = this.sales.peek().get(event.sale_id)?.state;
    if (known !== event.state && (event.state === "ready" || event.state === "draft")) void this.reloadSales();
  }

  /** Time that was left when the running pause began; null when this console didn't see it begin. */
  pausedLeftMs(sale: SaleValue): number | null {
    const pausedAtMs = this.marks.value.get(sale.sale_id)?.findLast((mark) => mark.state === "paused")?.at_ms;
    return pausedAtMs === undefined || sale.closes_at_ms === null ? null : Math.max(0, sale.closes_at_ms - pausedAtMs);
  }

  private takeStock(): void {
    for (const stock of this.store.stock.value.values()) this.sample(stock);
  }

  private sample(stock: StockValue): void {
    // Settling takes what is left out of the sale: that is bookkeeping, not something that sold.
    const state = this.sales.peek().get(stock.sale_id)?.state;
    if (state === "settled" || state === "published") return;
    const before = this.samples.peek().get(stock.sale_id) ?? [];
    const after = addSample(before, stock, this.store.serverNow());
    if (after !== before) this.samples.value = new Map(this.samples.peek()).set(stock.sale_id, after);
  }

  private noteState(sale: SaleValue & { opened_at_ms?: number | null; duration_ms?: number }, before: SaleState | null): void {
    if (sale.opened_at_ms || sale.state === "open" || sale.state === "paused" || isResuming(sale)) this.wereOpen.add(sale.sale_id);
    if (sale.state === "ready" || sale.state === "draft") this.wereOpen.delete(sale.sale_id);
    if (before === null || before === sale.state) return;
    const name = localised(this.product(sale.product_id)?.title);
    announce(w("say_state", { name, state: shared.t(`state_${sale.state}`) }));
    if (sale.state === "settled" || sale.state === "published") void this.reloadProducts();
  }

  /** Stock on the shelf changes when a sale takes or returns units. */
  async reloadProducts(): Promise<void> {
    try {
      const page = await api.get<RoomPage>(this.path(""));
      this.products.value = page.products;
      this.run.read(page.run_version);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
  }
}

/** A countdown to less than the whole duration follows a pause. */
function isResuming(sale: SaleValue & { duration_ms?: number }): boolean {
  if (sale.state !== "countdown" || !sale.duration_ms || sale.opens_at_ms === null || sale.closes_at_ms === null) return false;
  return sale.closes_at_ms - sale.opens_at_ms < sale.duration_ms;
}

function fresh(roomId: string): Pick<Sale, "room_id" | "duration_ms" | "countdown_ms" | "stock"> {
  return { room_id: roomId, duration_ms: 0, countdown_ms: 0, stock: null };
}
