import { formatDateTime } from "../shared/clock";
import { Countdown } from "../shared/countdown";
import { formatMoney } from "../shared/money";
import type { Order } from "../shared/types";
import { language, localised, shared } from "../shared/words";
import { AccountLine } from "./account-line";
import { useSession } from "./context";
import { Picture } from "./picture";
import { w } from "./words";

interface OpenThing {
  holdId: string;
  productId: string | null;
  quantity: number;
  totalMinor: number;
  currency: string;
  untilMs: number;
  orderNumber: string | null;
}

/** Holds with their clocks and orders with their states; the same after a reload, because the server is asked. */
export function Things() {
  const session = useSession();
  const { things, store } = session;
  const orders = [...things.orders.value.values()].sort((a, b) => b.placed_at_ms - a.placed_at_ms);
  const open: OpenThing[] = [
    ...[...things.holds.value.values()].map((hold) => ({
      holdId: hold.hold_id,
      productId: store.sales.value.get(hold.sale_id)?.product_id ?? null,
      quantity: hold.quantity,
      totalMinor: hold.price_minor * hold.quantity,
      currency: hold.currency,
      untilMs: hold.expires_at_ms,
      orderNumber: null,
    })),
    ...orders
      .filter((order) => order.state === "placed")
      .map((order) => ({
        holdId: order.hold_id,
        productId: order.product_id,
        quantity: order.quantity,
        totalMinor: order.total_minor,
        currency: order.currency,
        untilMs: order.deadline_ms,
        orderNumber: order.order_number,
      })),
  ];
  const closed = orders.filter((order) => order.state !== "placed");
  const places = [...things.places.value].filter(([saleId]) => store.sales.value.has(saleId));
  if (!open.length && !closed.length && !places.length) {
    return (
      <>
        <AccountLine />
        <p class="empty">{w("things_empty")}</p>
      </>
    );
  }
  return (
    <div class="things">
      <AccountLine />
      {open.length > 0 && <h3 class="list-head">{w("things_holds")}</h3>}
      {open.map((thing) => (
        <OpenRow key={thing.holdId} thing={thing} />
      ))}
      {places.length > 0 && <h3 class="list-head">{w("things_places")}</h3>}
      {places.map(([saleId, place]) => (
        <div key={saleId} class="thing" data-testid="my-place">
          <div class="thing-text">
            <b>{localised(session.product(store.sales.value.get(saleId)?.product_id)?.title)}</b>
          </div>
          <span class="badge badge-warn num">{w("buy_in_line", { place })}</span>
        </div>
      ))}
      {closed.length > 0 && <h3 class="list-head">{w("things_orders")}</h3>}
      {closed.map((order) => (
        <OrderRow key={order.order_id} order={order} />
      ))}
    </div>
  );
}

function OpenRow({ thing }: { thing: OpenThing }) {
  const session = useSession();
  const product = session.product(thing.productId);
  const isUnconfirmed = !session.isLive.value;
  const isConfirming = session.things.payments.value.get(thing.holdId) === "confirming";
  return (
    <div class="thing thing-open" data-testid="my-hold" data-hold={thing.holdId}>
      {product && <Picture product={product} class="thing-picture" />}
      <div class="thing-text">
        <b>{localised(product?.title)}</b>
        <span class="num">
          {thing.quantity} × {formatMoney(thing.totalMinor / thing.quantity, thing.currency, language.value)}
        </span>
        <span class="thing-clock">
          <Countdown untilMs={thing.untilMs} clock={session.store.clock} unconfirmed={isUnconfirmed} />
          {isUnconfirmed && <em> {w("hold_unconfirmed")}</em>}
        </span>
      </div>
      <button
        type="button"
        class="button button-primary"
        onClick={() => (session.panel.value = { kind: "checkout", holdId: thing.holdId })}
      >
        {isConfirming ? w("order_confirming") : w("pay_now")}
      </button>
    </div>
  );
}

const TONE: Record<Order["state"], string> = {
  placed: "badge-warn",
  paid: "badge-good",
  fulfilled: "badge-good",
  refunded: "badge-bad",
  cancelled: "",
  expired: "",
};

function OrderRow({ order }: { order: Order }) {
  const session = useSession();
  const product = session.product(order.product_id);
  return (
    <div class="thing" data-testid="my-order" data-order={order.order_id} data-state={order.state}>
      {product && <Picture product={product} class="thing-picture" />}
      <div class="thing-text">
        <b>{localised(product?.title)}</b>
        <span class="num">
          {order.order_number} · {formatDateTime(order.placed_at_ms, language.value)}
        </span>
      </div>
      <div class="thing-end">
        <b class="num">{formatMoney(order.total_minor, order.currency, language.value)}</b>
        <span class={`badge ${TONE[order.state]}`}>{shared.t(`order_${order.state}`)}</span>
      </div>
    </div>
  );
}
