import { useEffect, useState } from "preact/hooks";
import { formatTime } from "../shared/clock";
import { SearchIcon } from "../shared/icons";
import { formatCount, formatMoney } from "../shared/money";
import type { Order, OrderState } from "../shared/types";
import { language, localised, shared } from "../shared/words";
import { useDesk } from "./context";
import type { OrderFilter } from "./orders-list";
import { late } from "../shared/late";
import { Empty, FailureLine, GhostMark, ProblemLine } from "./parts";
import { Resend, resendPlace } from "./resend";
import { WaitingMoney } from "./waiting-money";
import { w } from "./words";

const FILTERS: readonly OrderFilter[] = ["all", "failed", "placed", "paying", "paid", "expired", "cancelled", "refunded", "unpaid"];
const SEARCH_AFTER_MS = 300;
const OrderNotes = late(() => import("./order-notes").then((module) => module.OrderNotes));
const RefundForm = late(() => import("./refund-form").then((module) => module.RefundForm));

/** Orders by state, with search. Placed, paid and refunded are never added together. */
export function OrdersPanel() {
  const desk = useDesk();
  const { orders } = desk;
  const filter = orders.filter.value;
  const [typed, setTyped] = useState(orders.query.peek());
  useEffect(() => {
    const timer = setTimeout(() => {
      if (typed.trim() !== orders.query.peek()) orders.show(orders.filter.peek(), typed.trim());
    }, SEARCH_AFTER_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  const rows = orders.rows.value;
  return (
    <div class="orders">
      <OrderCounts />
      <label class="search">
        <SearchIcon size={16} />
        <input type="search" placeholder={w("search_orders")} aria-label={w("search_orders")} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
      </label>
      <div class="filters" role="group" aria-label={w("orders")}>
        {FILTERS.map((one) => (
          <button key={one} type="button" class="filter" aria-pressed={filter === one} data-testid={`filter-${one}`} onClick={() => orders.show(one, typed.trim())}>
            {one === "all" || one === "failed" || one === "paying" || one === "unpaid" ? w(`filter_${one}`) : shared.t(`order_${one}`)}
          </button>
        ))}
      </div>
      {orders.problem.value && <ProblemLine text={orders.problem.value} />}
      <div class="orders-rows" data-testid="orders" tabIndex={0} role="region" aria-label={w("orders")}>
        {rows === null ? (
          <p class="panel-wait" aria-busy="true">
            {w("loading_more")}
          </p>
        ) : rows.length === 0 ? (
          filter === "all" && !orders.query.value ? (
            <Empty title={w("orders_empty")} hint={w("orders_empty_hint")} />
          ) : (
            <Empty title={w("orders_none_found")}>
              <button
                type="button"
                class="button"
                onClick={() => {
                  setTyped("");
                  orders.show("all", "");
                }}
              >
                {w("orders_show_all")}
              </button>
            </Empty>
          )
        ) : (
          <ul>
            {rows.map((order) => (
              <OrderRow key={order.order_id} order={order} />
            ))}
          </ul>
        )}
        {orders.nextCursor.value && rows && (
          <button type="button" class="button button-quiet button-wide" disabled={orders.isLoadingMore.value} onClick={() => void orders.more()}>
            {w(orders.isLoadingMore.value ? "loading_more" : "more")}
          </button>
        )}
      </div>
    </div>
  );
}

function OrderCounts() {
  const desk = useDesk();
  const lang = language.value;
  const counts = desk.numbers.stats.value?.orders;
  const currency = desk.products.value[0]?.currency ?? "CNY";
  const cell = (state: "placed" | "paid" | "refunded", ghosts?: number) => (
    <div class={`count count-${state}`} data-testid={`count-${state}`}>
      <dt>{shared.t(`order_${state}`)}</dt>
      <dd class="num">
        <b>{counts ? formatCount(counts[state], lang) : "–"}</b>
        {ghosts ? <span class="count-ghosts">{w("plus_simulated", { n: ghosts })}</span> : null}
        <span>{counts && counts[`${state}_minor`] !== undefined ? formatMoney(counts[`${state}_minor`] as number, currency, lang) : ""}</span>
      </dd>
    </div>
  );
  return (
    <dl class="counts">
      {cell("placed", counts?.ghost_placed)}
      {cell("paid", counts?.ghost_paid)}
      {cell("refunded")}
    </dl>
  );
}

const TONES: Readonly<Record<OrderState, string>> = {
  placed: "badge-warn",
  paid: "badge-good",
  fulfilled: "badge-good",
  refunded: "",
  cancelled: "badge-bad",
  expired: "badge-bad",
};

function OrderRow({ order }: { order: Order }) {
  const desk = useDesk();
  const lang = language.value;
  const product = desk.product(order.product_id);
  const variant = desk.variant(order.variant_id);
  const [open, setOpen] = useState<"notes" | "refund" | null>(null);
  const toggle = (what: "notes" | "refund"): void => setOpen(open === what ? null : what);
  const isPaid = order.state === "paid" || order.state === "fulfilled";
  return (
    <li class={`order ${order.ghost ? "is-ghost" : ""}`} data-testid="order" data-state={order.state}>
      <div class="order-main">
        <b class="order-number num">{order.order_number}</b>
        <span class={`badge ${TONES[order.state]}`}>{shared.t(`order_${order.state}`)}</span>
        <span class="order-amount num">{formatMoney(order.total_minor, order.currency, lang)}</span>
      </div>
      <div class="order-facts">
        <span class="order-buyer">
          {order.buyer_name}
          {order.ghost && <GhostMark />}
        </span>
        <span class="order-what num">
          {w("times", { n: order.quantity })} {localised(product?.title) || order.product_id}
          {variant && product && product.variants.length > 1 ? ` · ${localised(variant.title)}` : ""}
        </span>
        <time class="num">
          {order.state === "placed" ? w("pay_until", { time: formatTime(order.deadline_ms, lang) }) : formatTime(order.paid_at_ms ?? order.placed_at_ms, lang)}
        </time>
        {desk.may("sell") && (
          <>
            {isPaid && (
              <button type="button" class="link" data-testid="open-refund" aria-expanded={open === "refund"} onClick={() => toggle("refund")}>
                {w("refund")}
              </button>
            )}
            {!order.ghost && <Resend order={order} />}
            <button type="button" class="link" data-testid="open-notes" aria-expanded={open === "notes"} onClick={() => toggle("notes")}>
              {w("notes")}
            </button>
          </>
        )}
      </div>
      {order.refunded_minor > 0 && order.state !== "refunded" && (
        <p class="order-refunded num">{w("refunded_so_far", { amount: formatMoney(order.refunded_minor, order.currency, lang) })}</p>
      )}
      <FailureLine runner={desk.runner} place={resendPlace(order)} />
      <WaitingMoney target={order.order_id} />
      {open === "notes" && <OrderNotes order={order} />}
      {open === "refund" && isPaid && <RefundForm order={order} onDone={() => setOpen(null)} />}
    </li>
  );
}
