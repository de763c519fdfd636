import { formatTime } from "../shared/clock";
import { CheckIcon, WarningIcon } from "../shared/icons";
import { language, localised, shared } from "../shared/words";
import type { SaleValue } from "../shared/types";
import { useSession } from "./context";
import type { Attempt } from "./attempts";
import { explainError, explainRefusal } from "./reasons";
import { ReceiptList, RushStrip } from "./rush";
import { w } from "./words";

/** The rule of the sale on show, what was committed to before it, and each of my attempts with its reason. */
export function Fairness() {
  const session = useSession();
  const { store, things } = session;
  const pinnedId = session.shownId.value;
  const sales = [...store.sales.value.values()].filter((s) => s.state !== "draft" && s.state !== "ready");
  const sale = (pinnedId && session.saleOf(pinnedId)) || sales.find((s) => s.state === "open" || s.state === "paused") || sales[0];
  const attempts = things.attempts.value;
  return (
    <div class="fairness">
      {sale ? <Rule sale={sale} /> : <p class="empty">{w("fair_none")}</p>}
      {sale && <RushStrip saleId={sale.sale_id} state={sale.state} />}
      <h3 class="list-head">{w("fair_attempts")}</h3>
      {attempts.length === 0 && <p class="empty">{w("fair_attempts_empty")}</p>}
      {sale && <ReceiptList saleId={sale.sale_id} state={sale.state} />}
      <ul class="attempts">
        {attempts.map((attempt) => (
          <AttemptRow key={attempt.request_id} attempt={attempt} />
        ))}
      </ul>
    </div>
  );
}

function Rule({ sale }: { sale: SaleValue }) {
  const session = useSession();
  const stock = session.store.stock.value.get(sale.sale_id);
  const product = session.product(sale.product_id);
  const adds = stock ? stock.available + stock.held + stock.sold === stock.quota : true;
  return (
    <dl class="facts">
      <div>
        <dt>
          {localised(product?.title)} · {w("round", { n: sale.round })}
        </dt>
        <dd>
          <span class="badge">{shared.t(`state_${sale.state}`)}</span>
        </dd>
      </div>
      <div>
        <dt>{w("fair_rule")}</dt>
        <dd>{w(`fair_rule_${sale.rule}`)}</dd>
      </div>
      {stock && (
        <div>
          <dt class={adds ? "fact-good" : "fact-bad"}>
            {adds ? <CheckIcon size={16} /> : <WarningIcon size={16} />} {w(adds ? "fair_sum_ok" : "fair_sum_bad")}
          </dt>
          <dd class="num" data-testid="sum">
            {w("fair_sum", { available: stock.available, held: stock.held, sold: stock.sold, quota: stock.quota })}
          </dd>
        </div>
      )}
      <div>
        <dt>{w("fair_terms")}</dt>
        <dd class="mono hash">{sale.terms_hash ?? w("fair_not_open")}</dd>
      </div>
      {sale.seed_hash && (
        <div>
          <dt>{w("fair_seed")}</dt>
          <dd class="mono hash">{sale.seed_hash}</dd>
        </div>
      )}
    </dl>
  );
}

function AttemptRow({ attempt }: { attempt: Attempt }) {
  const session = useSession();
  const lang = language.value;
  const sale = session.store.sales.value.get(attempt.sale_id);
  const product = session.product(sale?.product_id);
  const decision = attempt.decision;
  const isGranted = decision?.decision === "granted";
  return (
    <li class="attempt" data-testid="attempt" data-decision={decision?.decision ?? "none"}>
      <div class="attempt-head">
        <span class={`badge ${isGranted ? "badge-good" : decision?.decision === "refused" ? "badge-bad" : ""}`}>
          {w(isGranted ? "fair_granted" : decision?.decision === "refused" ? "fair_refused" : "fair_waiting")}
        </span>
        <b>{localised(product?.title)}</b>
        {decision && "seq" in decision && <span class="num">{w("fair_seq", { n: decision.seq })}</span>}
        <time class="num">{formatTime(attempt.at_ms, lang)}</time>
      </div>
      {decision?.decision === "refused" && <p>{explainRefusal(decision, lang)}</p>}
      {decision?.decision === "pending" && <p>{w("window_pending", { time: formatTime(decision.decided_at_ms, lang) })}</p>}
      {decision?.decision === "waiting" && <p>{w("buy_in_line", { place: decision.place })}</p>}
      {attempt.error && <p>{explainError(attempt.error, attempt.retry_after_ms)}</p>}
    </li>
  );
}
