import { useState } from "preact/hooks";
import { CheckIcon, ClockIcon } from "../shared/icons";
import { formatMoney } from "../shared/money";
import { Sheet } from "../shared/sheet";
import type { Granted, Order } from "../shared/types";
import { language, localised, shared } from "../shared/words";
import { useSession } from "./context";
import { Picture } from "./picture";
import { w } from "./words";

/** The three ways a checkout ends: paid, over, let go. */

export function Success({ order, onClose }: { order: Order; onClose: () => void }) {
  const session = useSession();
  const product = session.product(order.product_id);
  return (
    <Sheet
      title={w("success")}
      onClose={onClose}
      testid="success"
      footer={
        <button type="button" class="button button-primary button-wide" onClick={onClose}>
          {w("back_to_show")}
        </button>
      }
    >
      <div class="success">
        <span class="success-mark">
          <CheckIcon size={34} />
        </span>
        <p class="success-number num" data-testid="order-number" data-number={order.order_number}>
          {w("success_order", { number: order.order_number })}
        </p>
        <p class="success-text">
          {w("success_paid", { amount: formatMoney(order.total_minor, order.currency, language.value) })}
        </p>
        <div class="item-row">
          {product && <Picture product={product} class="item-picture" eager />}
          <div class="item-text">
            <b>{localised(product?.title)}</b>
            <span>{session.variantTitle(product, order.variant_id)}</span>
            <span class="num">
              {order.quantity} × {formatMoney(order.unit_price_minor, order.currency, language.value)}
            </span>
          </div>
        </div>
      </div>
    </Sheet>
  );
}

export function Over({ text, onClose }: { text: string; onClose: () => void }) {
  return (
    <Sheet
      title={w("sheet_checkout")}
      onClose={onClose}
      testid="checkout-over"
      footer={
        <button type="button" class="button button-wide" onClick={onClose}>
          {w("back_to_show")}
        </button>
      }
    >
      <p class="notice notice-warn" role="alert">
        <ClockIcon size={18} />
        <span>{text}</span>
      </p>
    </Sheet>
  );
}

export function LetGo({
  holdId,
  hold,
  order,
  isBusy,
  onDone,
}: {
  holdId: string;
  hold: Granted | undefined;
  order: Order | null;
  isBusy: boolean;
  onDone: () => void;
}) {
  const session = useSession();
  const [isAsking, setAsking] = useState(false);
  const [hasFailed, setFailed] = useState(false);
  if (isBusy) return null;
  if (!isAsking) {
    return (
      <button type="button" class="button button-quiet let-go" data-testid="let-go" onClick={() => setAsking(true)}>
        {w("let_go")}
      </button>
    );
  }
  async function giveBack(): Promise<void> {
    try {
      if (order) await session.things.cancelOrder(order);
      else if (hold) await session.things.letGo(hold);
      onDone();
    } catch {
      setFailed(true);
    }
  }
  return (
    <div class="let-go-ask" data-hold={holdId}>
      <span>{hasFailed ? shared.t("network_error") : w("let_go_sure")}</span>
      <button type="button" class="button" onClick={() => void giveBack()}>
        {w("let_go_yes")}
      </button>
      <button type="button" class="button button-quiet" onClick={() => setAsking(false)}>
        {w("let_go_no")}
      </button>
    </div>
  );
}
