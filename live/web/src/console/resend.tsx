import { useState } from "preact/hooks";
import { announce } from "../shared/announce";
import { formatTime, heartbeat } from "../shared/clock";
import type { Order } from "../shared/types";
import { defineWords, language } from "../shared/words";
import { useDesk, useTicking } from "./context";

const { t } = defineWords(
  {
    resend: "Resend",
    resend_to: "Show {name} this order once more",
    remind: "Remind",
    remind_of: "Remind {name} to pay",
    sent: "Sent {time}",
  },
  {
    resend: "再次通知",
    resend_to: "让 {name} 再次看到这笔订单",
    remind: "催付",
    remind_of: "提醒 {name} 付款",
    sent: "已发送 {time}",
  },
);

interface Sent {
  sent_at_ms: number;
  again_at_ms: number;
}

/** Where its failure is shown. */
export function resendPlace(order: Order): string {
  return `resend:${order.order_id}`;
}

/** The buyer's page shows how the order stands once more; of an unpaid one that is a reminder. A minute later it may be sent again. */
export function Resend({ order }: { order: Order }) {
  const desk = useDesk();
  const place = resendPlace(order);
  const [sent, setSent] = useState<Sent | null>(null);
  const isRest = useTicking(() => {
    void heartbeat.value;
    return sent !== null && desk.store.serverNow() < sent.again_at_ms;
  }, [desk, sent]);
  const show = (what: Sent): void => {
    setSent(what);
    announce(t("sent", { time: formatTime(what.sent_at_ms, language.value, false) }));
  };
  async function send(): Promise<void> {
    const done = await desk.runner.send<Sent>(place, "resend", "post", `/api/orders/${encodeURIComponent(order.order_id)}/messages`);
    if (done.ok) return show(done.answer);
    const failure = desk.runner.failure(place);
    if (failure?.code !== "sent_just_now") return;
    // Somebody else has sent it: that is what was wanted.
    desk.runner.dismiss(place);
    show(failure.facts as unknown as Sent);
  }
  const isUnpaid = order.state === "placed";
  const label = t(isUnpaid ? "remind" : "resend");
  if (isRest && sent) {
    return (
      <span class="num" data-testid="resent">
        {t("sent", { time: formatTime(sent.sent_at_ms, language.value, false) })}
      </span>
    );
  }
  return (
    <button
      type="button"
      class="link"
      aria-label={`${label}: ${order.order_number}`}
      title={t(isUnpaid ? "remind_of" : "resend_to", { name: order.buyer_name })}
      disabled={desk.runner.isBusy(place)}
      data-testid="resend"
      onClick={() => void send()}
    >
      {label}
    </button>
  );
}
