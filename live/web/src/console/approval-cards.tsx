import { useEffect, useRef } from "preact/hooks";
import { announce } from "../shared/announce";
import { Countdown } from "../shared/countdown";
import { LockIcon } from "../shared/icons";
import { formatMoney } from "../shared/money";
import { language, localised, shared } from "../shared/words";
import type { Approval } from "./approvals";
import { useDesk, useTicking } from "./context";
import { HoldButton } from "./hold-button";
import { ProblemLine } from "./parts";
import type { RoomDesk } from "./room-desk";
import { money, moneyProblem } from "./second-person-words";
import "./second-person.css";
import { w } from "./words";

const MAX_CARDS = 3;
const said = new Set<string>();

/** These parts come and go with their tabs; each piece of news is said when it is news. */
function sayOnce(key: string, text: string, urgency: "polite" | "assertive"): void {
  if (!said.has(key)) announce(text, urgency);
  said.add(key);
}

/** What others ask for and I may answer: over whatever tab is open, like a request for the desk. */
export function ApprovalCards() {
  const desk = useDesk();
  const all = desk.approvals.toAnswer.value;
  const ids = useTicking(() => all.filter((one) => desk.approvals.stateOf(one) === "asked").map((one) => one.approval_id), [all, desk]);
  const waiting = all.filter((one) => ids.includes(one.approval_id));
  const root = useRef<HTMLElement>(null);
  const cameFrom = useRef<HTMLElement | null>(null);
  /** The card goes with its answer; whoever used the keyboard goes on at the next card, or where they were before. */
  const refocus = (): void => {
    const next = root.current?.querySelector("button");
    (next ?? cameFrom.current)?.focus();
  };
  if (!waiting.length) return null;
  return (
    <section
      class="approvals"
      ref={root}
      aria-label={money.t("requests")}
      data-testid="approvals"
      onFocusIn={(event) => {
        const from = event.relatedTarget;
        if (from instanceof HTMLElement && !event.currentTarget.contains(from)) cameFrom.current = from;
      }}
    >
      {waiting.slice(0, MAX_CARDS).map((one) => (
        <Card key={one.approval_id} one={one} onAnswered={refocus} />
      ))}
      {waiting.length > MAX_CARDS && <p class="approvals-more">{money.t("more_waiting", { n: waiting.length - MAX_CARDS })}</p>}
    </section>
  );
}

function Card({ one, onAnswered }: { one: Approval; onAnswered: () => void }) {
  const desk = useDesk();
  const { approvals, runner } = desk;
  const place = approvals.place(one);
  const isBusy = runner.isBusy(place);
  const text = askText(desk, one);
  useEffect(() => sayOnce(one.approval_id, text, "assertive"), [one.approval_id]);
  const answer = async (said: "approve" | "decline"): Promise<void> => {
    if (await approvals.answer(one, said)) onAnswered();
  };
  return (
    <div class="approval" role="group" aria-label={text} data-testid="approval" data-action={one.action}>
      <p>
        <b>{text}</b>
        {one.action === "order_refund" && <span>{refundText(one)}</span>}
        <span>
          {money.t("until")} <Countdown untilMs={one.ends_at_ms} clock={desk.store.clock} />
        </span>
      </p>
      <Failed place={place} />
      <div class="approval-answers">
        <button type="button" class="button" disabled={isBusy} data-testid="decline" onClick={() => void answer("decline")}>
          {money.t("decline")}
        </button>
        <HoldButton tone="flash" class="hold-small" hint={w("hold_hint")} disabled={isBusy} testid="approve" onFire={() => void answer("approve")}>
          {money.t("approve")}
        </HoldButton>
      </div>
    </div>
  );
}

/** What I asked for: how long it still waits, then what became of it. */
export function Waiting({ one }: { one: Approval }) {
  const desk = useDesk();
  const { approvals, runner } = desk;
  const place = approvals.place(one);
  const state = useTicking(() => approvals.stateOf(one), [approvals, one]);
  const outcome = state === "asked" ? "" : outcomeText(one, state);
  useEffect(() => sayOnce(`${one.approval_id} ${state}`, outcome || money.t("waits"), outcome ? "assertive" : "polite"), [state]);
  return (
    <div class={`waiting-money ${state === "declined" || state === "failed" ? "is-bad" : ""}`} data-testid="waiting-money" data-state={state}>
      <LockIcon size={15} />
      {state === "asked" ? (
        <>
          <span>
            {money.t("waits")} <Countdown untilMs={one.ends_at_ms} clock={desk.store.clock} />
          </span>
          <button type="button" class="link" disabled={runner.isBusy(place)} data-testid="withdraw-approval" onClick={() => void approvals.withdraw(one)}>
            {money.t("withdraw")}
          </button>
        </>
      ) : (
        <>
          <span>{outcome}</span>
          <button type="button" class="problem-close" aria-label={shared.t("close")} onClick={() => approvals.dismiss(one)}>
            ×
          </button>
        </>
      )}
      <Failed place={place} />
    </div>
  );
}

function Failed({ place }: { place: string }) {
  const { runner } = useDesk();
  const failure = runner.failure(place);
  return failure && <ProblemLine text={moneyProblem(failure.code, failure.text)} onDismiss={() => runner.dismiss(place)} />;
}

function outcomeText(one: Approval, state: Exclude<Approval["state"], "asked">): string {
  const name = one.answerer?.name ?? "";
  if (state === "withdrawn") return "";
  if (state === "failed") return money.t("said_failed", { name, why: moneyProblem(one.problem, one.problem ?? "") });
  return money.t(`said_${state}`, { name });
}

function askText(desk: RoomDesk, one: Approval): string {
  const lang = language.value;
  const { outcome } = one;
  const number = (name: string): number => Number(outcome[name] ?? 0);
  const vars = {
    name: one.asker.name,
    amount: one.amount_minor === null ? "" : formatMoney(one.amount_minor, one.currency, lang),
    order: String(outcome.order_number ?? "").replaceAll("-", "\u2011"), // not torn apart at a line's end
    product: localised(desk.product(String(outcome.product_id))?.title) || String(outcome.product_id),
    n: Number(one.params.delta ?? 0),
    units: number("units"),
    price: formatMoney(number("price_minor"), one.currency, lang),
    total: formatMoney(number("units") * number("price_minor"), one.currency, lang),
  };
  return money.t(one.action === "second_person_set" && one.amount_minor === null ? "asks_second_person_off" : `asks_${one.action}`, vars);
}

function refundText(one: Approval): string {
  const amount = (name: string): string => formatMoney(Number(one.outcome[name] ?? 0), one.currency, language.value);
  return money.t("refund_in_all", { amount: amount("refunded_minor"), total: amount("total_minor"), reason: String(one.params.reason ?? "") });
}
