import { useEffect, useRef, useState } from "preact/hooks";
import { announce } from "../shared/announce";
import { formatMoney, minorDigits, parseMoney } from "../shared/money";
import type { Order } from "../shared/types";
import { language } from "../shared/words";
import { useDesk, useTicking } from "./context";
import { HoldButton } from "./hold-button";
import { ProblemLine } from "./parts";
import { amountText } from "./sale-form";
import { money, moneyProblem } from "./second-person-words";
import "./second-person.css";
import { w } from "./words";

const MAX_REASON = 80;
const RESTOCK = ["sale", "shelf", "none"] as const;

/** Money back, all that is left or a part; when all of it goes back, where the units go. */
export function RefundForm({ order, onDone }: { order: Order; onDone: () => void }) {
  const desk = useDesk();
  const { approvals, runner } = desk;
  const lang = language.value;
  const root = useRef<HTMLDivElement>(null);
  const place = `refund:${order.order_id}`;
  const leftMinor = order.total_minor - order.refunded_minor;
  const [amount, setAmount] = useState(amountText(leftMinor, order.currency));
  const [reason, setReason] = useState("");
  const [restock, setRestock] = useState<(typeof RESTOCK)[number]>("sale");
  const coolingS = useTicking(() => approvals.coolingSeconds(), [approvals]);
  useEffect(() => root.current?.querySelector("input")?.focus(), []);

  const show = (minor: number): string => formatMoney(minor, order.currency, lang);
  const minor = parseMoney(amount, order.currency);
  const isRight = minor !== null && minor > 0 && minor <= leftMinor;
  const isBusy = runner.isBusy(place);
  const failure = runner.failure(place);
  const limit = approvals.limit.value;
  const takesTwo = isRight && limit !== null && (limit.currency !== order.currency || order.refunded_minor + minor > limit.above_minor);

  async function send(): Promise<void> {
    if (!isRight) return;
    const body = { reason: reason.trim(), amount_minor: minor, restock };
    const sent = await runner.send<Order>(place, "refund", "post", `/api/orders/${encodeURIComponent(order.order_id)}/refunds`, body);
    void approvals.read();
    // Not done and no failure: it waits for a second person, and the order says so.
    if (!sent.ok && runner.failures.peek().has(place)) return;
    if (sent.ok) announce(money.t("refund_done", { amount: show(minor), order: order.order_number }));
    root.current?.closest("li")?.querySelector<HTMLElement>("[data-testid=open-notes]")?.focus();
    desk.orders.soon();
    onDone();
  }

  return (
    <div class="refund" ref={root} data-testid="refund-form">
      <label class="field-label" for={`amount-${order.order_id}`}>
        {money.t("refund_amount", { amount: show(leftMinor) })}
      </label>
      <input
        class="input num"
        id={`amount-${order.order_id}`}
        inputMode={minorDigits(order.currency) ? "decimal" : "numeric"}
        autocomplete="off"
        name="refund-amount"
        aria-invalid={!isRight}
        value={amount}
        onInput={(event) => setAmount(event.currentTarget.value)}
      />
      {!isRight && <em class="field-problem">{money.t("refund_amount_bad", { amount: show(leftMinor) })}</em>}
      <label class="field-label" for={`reason-${order.order_id}`}>
        {money.t("refund_reason")}
      </label>
      <input
        class="input"
        id={`reason-${order.order_id}`}
        name="refund-reason"
        autocomplete="off"
        maxLength={MAX_REASON}
        value={reason}
        onInput={(event) => setReason(event.currentTarget.value)}
      />
      {minor === leftMinor && (
        <>
          <label class="field-label" for={`restock-${order.order_id}`}>
            {money.t("refund_units")}
          </label>
          <select class="select" id={`restock-${order.order_id}`} name="refund-restock" value={restock} onChange={(event) => setRestock(event.currentTarget.value as typeof restock)}>
            {RESTOCK.map((one) => (
              <option key={one} value={one}>
                {money.t(`restock_${one}`)}
              </option>
            ))}
          </select>
        </>
      )}
      {takesTwo && <p class="refund-two">{money.t("refund_two", { amount: formatMoney(limit.above_minor, limit.currency, lang) })}</p>}
      {failure && <ProblemLine text={moneyProblem(failure.code, failure.text)} onDismiss={() => runner.dismiss(place)} />}
      <HoldButton tone="danger" class="hold-small" hint={w("hold_hint")} disabled={!isRight || !reason.trim() || isBusy || coolingS > 0} testid="refund" onFire={() => void send()}>
        {isBusy ? money.t("refund_busy") : coolingS > 0 ? money.t("refund_cooling", { n: coolingS }) : money.t("refund_do", { amount: isRight ? show(minor) : "" })}
      </HoldButton>
    </div>
  );
}
