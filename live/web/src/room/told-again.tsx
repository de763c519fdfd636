import { useEffect } from "preact/hooks";
import { announce } from "../shared/announce";
import { formatTime } from "../shared/clock";
import { ClockIcon, CloseIcon } from "../shared/icons";
import { defineWords, language, shared } from "../shared/words";
import { useSession } from "./context";
import { w } from "./words";

const { t } = defineWords(
  {
    unpaid: "Order {number} is still yours until {time}.",
    order: "Order {number}: {state}",
    pay: "Pay",
  },
  {
    unpaid: "订单 {number} 为您保留到 {time}。",
    order: "订单 {number}：{state}",
    pay: "付款",
  },
);

/** The show has sent word of one of my orders once more: how it stands, and while it isn't paid, until when it is mine. */
export function ToldAgain() {
  const session = useSession();
  const { things } = session;
  const order = things.orders.value.get(things.toldAgain.value ?? "");
  const isUnpaid = order?.state === "placed";
  const number = order?.order_number ?? "";
  const text = isUnpaid
    ? t("unpaid", { number, time: formatTime(order.deadline_ms, language.value, false) })
    : order && t("order", { number, state: shared.t(`order_${order.state}`) });
  useEffect(() => {
    if (text) announce(text);
  }, [text]);
  if (!order || !text) return null;
  const close = (): void => void (things.toldAgain.value = null);
  const open = (): void => {
    close();
    session.panel.value = isUnpaid ? { kind: "checkout", holdId: order.hold_id } : { kind: "things" };
  };
  return (
    <div class="banner" data-testid="told-again" data-state={order.state}>
      <ClockIcon size={20} />
      <p>{text}</p>
      <button type="button" class="button banner-button" data-testid="told-open" onClick={open}>
        {isUnpaid ? t("pay") : w("things")}
      </button>
      <button type="button" class="banner-close" aria-label={shared.t("close")} onClick={close}>
        <CloseIcon size={18} />
      </button>
    </div>
  );
}
