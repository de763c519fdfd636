import { useEffect, useRef, useState } from "preact/hooks";
import { announce } from "../shared/announce";
import { formatTime } from "../shared/clock";
import { Countdown } from "../shared/countdown";
import { CardIcon, ClockIcon, InfoIcon, OfflineIcon, WarningIcon } from "../shared/icons";
import { formatMoney } from "../shared/money";
import { Sheet } from "../shared/sheet";
import type { Granted, Order, PaymentProvider } from "../shared/types";
import { language, localised } from "../shared/words";
import { type BuyerProblem, cardDigits, checkBuyer, detailsOf, loadBuyer, type RememberedBuyer, saveBuyer } from "./buyer";
import { LetGo, Over, Success } from "./checkout-ends";
import { AddressFields, CardFields } from "./checkout-fields";
import { useIsPast, useSession } from "./context";
import type { PayResult } from "./my-things";
import { PayAction, PayWith, isPhone, useProviders } from "./pay-with";
import { Picture } from "./picture";
import { explainFinalFailure } from "./reasons";
import { type RoomWord, w, words } from "./words";

const SLOW_MS = 2_000;
const FORM_ID = "checkout-form";

/** What is being paid for: a hold, or the order it has become. */
interface Item {
  saleId: string;
  quantity: number;
  unitMinor: number;
  currency: string;
  untilMs: number;
}

function itemOf(hold: Granted | undefined, order: Order | null): Item | null {
  if (order) {
    return {
      saleId: order.sale_id,
      quantity: order.quantity,
      unitMinor: order.unit_price_minor,
      currency: order.currency,
      untilMs: order.deadline_ms,
    };
  }
  if (!hold) return null;
  return {
    saleId: hold.sale_id,
    quantity: hold.quantity,
    unitMinor: hold.price_minor,
    currency: hold.currency,
    untilMs: hold.expires_at_ms,
  };
}

/** From a hold to a paid order without leaving the picture. Everything typed survives a failure, a decline and a reload. */
export function Checkout({ holdId }: { holdId: string }) {
  const session = useSession();
  const { things } = session;
  const order = things.orderOfHold(holdId);
  const hold = things.holds.value.get(holdId);
  const last = useRef<Item | null>(null);
  const item = itemOf(hold, order) ?? last.current;
  last.current = item;
  const payment = things.payments.value.get(holdId);
  const [buyer, setBuyer] = useState<RememberedBuyer>(() => {
    const kept = loadBuyer();
    return { ...kept, country: kept.country || (language.peek() === "zh" ? "CN" : "GB") };
  });
  const [problems, setProblems] = useState<BuyerProblem>({});
  const [answered, setOutcome] = useState<PayResult | null>(null);
  // What was pending may have been declined since: the buyer hears it at once, with time left for another card.
  const lateNo = things.declined.value.get(holdId);
  const outcome: PayResult | null =
    answered?.result === "confirming" && lateNo !== undefined && order
      ? { result: "declined", reason: lateNo, order }
      : answered;
  const [isEditing, setEditing] = useState(() => Object.keys(checkBuyer({ ...buyer, card: "4242424242424242" })).length > 0);
  const providers = useProviders(item?.currency ?? "", session.roomId);
  const [wanted, setWanted] = useState<PaymentProvider["name"] | null>(null);
  const provider = providers.find((one) => one.name === wanted) ?? providers[0];
  const needsCard = provider?.method === "card";
  const isTimeUp = useIsPast(item?.untilMs ?? null);
  const firstFocus = useRef(firstFocusOf(buyer));
  const close = (): void => {
    session.panel.value = null;
  };

  if (order && order.state !== "placed") {
    if (order.state === "paid" || order.state === "fulfilled") return <Success order={order} onClose={close} />;
    return <Over text={w("fail_order_closed")} onClose={close} />;
  }
  if (outcome?.result === "failed" && outcome.isFinal) {
    const word = explainFinalFailure(outcome.code);
    return <Over text={word ? w(word) : w("hold_ended_plain")} onClose={close} />;
  }
  if (!hold && !order) {
    const ended = things.ended.value;
    const text = ended?.hold_id === holdId ? w("hold_ended", { time: formatTime(ended.at_ms, language.value) }) : w("hold_ended_plain");
    return <Over text={text} onClose={close} />;
  }
  if (!item) return null;

  const change = (field: keyof RememberedBuyer, value: string): void => {
    setBuyer({ ...buyer, [field]: value });
    if (problems[field]) setProblems({ ...problems, [field]: undefined });
  };

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    if (payment) return;
    if (!provider) return;
    const found = checkBuyer(buyer);
    if (!needsCard) delete found.card;
    setProblems(found);
    const first = Object.keys(found)[0];
    if (first) {
      if (first !== "card") setEditing(true);
      requestAnimationFrame(() => document.getElementById(`buyer-${first}`)?.focus());
      return;
    }
    saveBuyer(buyer);
    setOutcome(null);
    const result = await things.pay(
      holdId,
      detailsOf(buyer),
      needsCard
        ? { method: "card", card_number: cardDigits(buyer.card) }
        : { method: "page", provider: provider.name, device: isPhone() ? "phone" : "desktop" },
    );
    if (result.result === "confirming" && result.action?.type === "redirect") location.assign(result.action.url);
    setOutcome(result);
    if (result.result === "paid") announce(`${w("success")} ${w("success_order", { number: result.order.order_number })}`, "assertive");
    else announce(outcomeText(result), "assertive");
    if (result.result === "declined") requestAnimationFrame(() => document.getElementById("buyer-card")?.focus());
  }

  const total = formatMoney(item.unitMinor * item.quantity, item.currency, language.value);
  const isConfirming = payment === "confirming";
  return (
    <Sheet
      title={w("sheet_checkout")}
      onClose={close}
      class="checkout"
      testid="checkout"
      focus={firstFocus.current}
      footer={
        <div class="pay-foot">
          {outcome && outcome.result !== "paid" && !(outcome.result === "confirming" && !isConfirming) && (
            <p
              class={`notice ${outcome.result === "confirming" ? "" : "notice-bad"}`}
              data-testid={`outcome-${outcome.result}`}
              role={outcome.result === "confirming" ? "status" : "alert"}
            >
              {outcome.result === "confirming" ? <InfoIcon size={18} /> : <WarningIcon size={18} />}
              <span>{outcomeText(outcome)}</span>
            </p>
          )}
          <div class="pay-total">
            <span>{w("total")}</span>
            <b class="num" data-testid="total">
              {total}
            </b>
          </div>
          <button
            type="submit"
            form={FORM_ID}
            class="button button-primary pay-button"
            data-testid="pay"
            disabled={payment !== undefined}
          >
            {payment ? <i class="dots" aria-hidden="true" /> : <CardIcon size={19} />}
            <span class="num">
              {isConfirming
                ? w("buy_confirming")
                : payment
                  ? w("paying")
                  : w(outcome?.result === "declined" ? "pay_again" : "pay", { amount: total })}
            </span>
          </button>
          <SlowNote isBusy={payment === "paying"} />
        </div>
      }
    >
      <form id={FORM_ID} class="checkout-form" noValidate onSubmit={(event) => void submit(event)}>
        <div class="item-top">
          <ItemRow item={item} />
          <HoldClock item={item} />
        </div>
        {isTimeUp && (
          <p class="notice notice-warn" role="status">
            <ClockIcon size={18} />
            <span>{w("hold_over")}</span>
          </p>
        )}
        {!session.isLive.value && (
          <p class="notice notice-warn">
            <OfflineIcon size={18} />
            <span>{w("line_offline_hold")}</span>
          </p>
        )}
        {isEditing ? (
          <AddressFields buyer={buyer} problems={problems} change={change} />
        ) : (
          <div class="deliver">
            <div>
              <span class="field-label">{w("your_details")}</span>
              <b>{buyer.name}</b>
              <span>
                {[buyer.line1, buyer.line2, buyer.postcode, buyer.city, buyer.country].filter(Boolean).join(", ")}
              </span>
            </div>
            <button type="button" class="button button-quiet" onClick={() => setEditing(true)}>
              {w("change")}
            </button>
          </div>
        )}
        <PayWith providers={providers} chosen={provider?.name} choose={setWanted} />
        {needsCard && <CardFields buyer={buyer} problem={problems.card} change={change} />}
        {outcome?.result === "confirming" && outcome.action && <PayAction action={outcome.action} />}
        <LetGo holdId={holdId} hold={hold} order={order} isBusy={payment !== undefined} onDone={close} />
      </form>
    </Sheet>
  );
}

/** Enter confirms when all is filled in; else focus goes to what is missing, unless that would throw up a touch keyboard. */
function firstFocusOf(buyer: RememberedBuyer): string | undefined {
  const missing = Object.keys(checkBuyer(buyer))[0];
  if (!missing) return "[data-testid=pay]";
  return matchMedia("(pointer: coarse)").matches ? undefined : `#buyer-${missing}`;
}

function outcomeText(result: PayResult): string {
  switch (result.result) {
    case "paid":
      return w("success");
    case "confirming":
      return `${w("confirming")} ${w("confirming_hint")}`;
    case "declined": {
      const word = `declined_${result.reason ?? ""}`;
      return w("declined", { reason: words.has(word) ? w(word) : "" });
    }
    case "failed": {
      // What ends the hold must not be announced as "still held".
      const final = explainFinalFailure(result.code);
      if (final) return w(final);
      return words.has(`pay_failed_${result.code}`) ? w(`pay_failed_${result.code}` as RoomWord) : w("pay_failed", { code: result.code });
    }
  }
}

function ItemRow({ item }: { item: Item }) {
  const session = useSession();
  const sale = session.store.sales.value.get(item.saleId);
  const product = session.product(sale?.product_id);
  return (
    <div class="item-row">
      {product && <Picture product={product} class="item-picture" eager />}
      <div class="item-text">
        <b>{localised(product?.title)}</b>
        <span>{session.variantTitle(product, sale?.variant_id ?? "")}</span>
        <span class="num">
          {item.quantity} × {formatMoney(item.unitMinor, item.currency, language.value)}
        </span>
      </div>
    </div>
  );
}

function HoldClock({ item }: { item: Item }) {
  const session = useSession();
  const isUnconfirmed = !session.isLive.value;
  return (
    <div class={`hold-clock ${isUnconfirmed ? "is-unconfirmed" : ""}`} data-testid="hold-clock">
      <span>{isUnconfirmed ? w("hold_unconfirmed") : w("hold_clock")}</span>
      <Countdown untilMs={item.untilMs} clock={session.store.clock} unconfirmed={isUnconfirmed} />
    </div>
  );
}

/** "Never a spinner over two seconds without text." */
function SlowNote({ isBusy }: { isBusy: boolean }) {
  const [isSlow, setSlow] = useState(false);
  useEffect(() => {
    setSlow(false);
    if (!isBusy) return;
    const timer = setTimeout(() => setSlow(true), SLOW_MS);
    return () => clearTimeout(timer);
  }, [isBusy]);
  return isSlow ? (
    <p class="pay-slow" role="status">
      {w("paying_long")}
    </p>
  ) : null;
}
