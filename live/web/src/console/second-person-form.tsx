import { useState } from "preact/hooks";
import { formatMoney, parseMoney } from "../shared/money";
import { language } from "../shared/words";
import { useDesk } from "./context";
import { FailureLine } from "./parts";
import { money } from "./second-person-words";
import "./second-person.css";
import { WaitingMoney } from "./waiting-money";

const PLACE = "second-person";

/** Above which amount a second person is needed. Everybody who sees People reads it; owners set it. */
export function SecondPersonForm() {
  const desk = useDesk();
  const { approvals, runner } = desk;
  const limit = approvals.limit.value;
  const currency = desk.products.value[0]?.currency ?? limit?.currency ?? "CNY";
  const [typed, setTyped] = useState("");
  const minor = parseMoney(typed, currency);
  const isBusy = runner.isBusy(PLACE);
  return (
    <section class="second-person" aria-labelledby="second-person" data-testid="second-person" data-limit={limit?.above_minor ?? "off"}>
      <h3 class="small-head" id="second-person">
        {money.t("limit")}
      </h3>
      <p>
        {limit ? `${money.t("limit_on", { amount: formatMoney(limit.above_minor, limit.currency, language.value) })} ${money.t("limit_other")} ${money.t("limit_alone")}` : money.t("limit_off")}
      </p>
      {desk.role === "owner" && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (minor === null) return;
            setTyped("");
            void approvals.setLimit(PLACE, minor);
          }}
        >
          <input
            class="input num"
            inputMode="decimal"
            autocomplete="off"
            name="second-person-above"
            placeholder={money.t("limit_amount")}
            aria-label={`${money.t("limit_amount")} (${currency})`}
            value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
          <button type="submit" class="button" disabled={isBusy || minor === null} data-testid="set-limit">
            {money.t("limit_set")}
          </button>
          {limit && (
            <button type="button" class="button" disabled={isBusy} data-testid="limit-off" onClick={() => void approvals.setLimit(PLACE, null)}>
              {money.t("limit_none")}
            </button>
          )}
        </form>
      )}
      <WaitingMoney target={desk.roomId} />
      <FailureLine runner={runner} place={PLACE} />
    </section>
  );
}
