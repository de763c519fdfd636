import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { CheckIcon, CloseIcon, InfoIcon, LockIcon } from "../shared/icons";
import { formatMoney, percentOff } from "../shared/money";
import type { Product, Sale, SaleProblem, StockValue } from "../shared/types";
import { language } from "../shared/words";
import { type Controls, useControls, useDesk } from "./context";
import { HoldButton } from "./hold-button";
import { FailureLine, span } from "./parts";
import { SaleForm } from "./sale-form-panel";
import { ViewerCard } from "./viewer-card";
import { WaitingMoney } from "./waiting-money";
import { type ConsoleWord, w } from "./words";

/** A sale before it runs: terms and preflight (draft, ready), then frozen terms and the card to come (armed). */
export function SaleTerms({ sale, product }: { sale: Sale; product: Product }) {
  const desk = useDesk();
  const controls = useControls(desk, sale);
  const [isEditing, setEditing] = useState(false);
  if (isEditing && (sale.state === "draft" || sale.state === "ready")) {
    return <SaleForm product={product} editing={sale} onDone={() => setEditing(false)} />;
  }
  const isArmed = sale.state === "armed";
  return (
    <>
      <div class="desk-body desk-split" tabIndex={0} role="region" aria-label={w("desk_body")}>
        <Terms sale={sale} />
        {isArmed ? (
          <div class="split-side">
            <h3 class="small-head">{w("card_will_be")}</h3>
            <ViewerCard product={product} sale={sale} stock={desk.stock(sale.sale_id) ?? fullStock(sale)} as="open" />
            {desk.store.pin.value.product_id !== product.product_id && (
              <p class="side-note">
                <InfoIcon size={15} />
                {w("not_on_stage")}
              </p>
            )}
          </div>
        ) : (
          <Preflight sale={sale} />
        )}
      </div>
      <div class="controls">
        <WaitingMoney target={sale.sale_id} />
        <FailureLine runner={desk.runner} place={desk.place(sale.sale_id)} />
        {isArmed ? <ArmedControls sale={sale} controls={controls} /> : <ReadyControls sale={sale} controls={controls} onEdit={() => setEditing(true)} />}
      </div>
    </>
  );
}

function fullStock(sale: Sale): StockValue {
  return { sale_id: sale.sale_id, quota: sale.quota, available: sale.quota, held: 0, sold: 0, waiting: 0, next_hold_ends_at_ms: null, epoch: 0, seq: 0 };
}

export function Terms({ sale }: { sale: Sale }) {
  const lang = language.value;
  const off = percentOff(sale.price_minor, sale.list_price_minor);
  const rows: [ConsoleWord, string, string?][] = [
    ["price", formatMoney(sale.price_minor, sale.currency, lang), w("off_list", { n: off, price: formatMoney(sale.list_price_minor, sale.currency, lang) })],
    ["units", String(sale.quota)],
    ["limit", String(sale.limit_per_buyer)],
    ["duration", span(sale.duration_ms, w)],
    ["hold_time", span(sale.hold_ms, w)],
    ["countdown", span(sale.countdown_ms, w)],
    ["extension", sale.extendable_ms ? w("extension_once", { time: span(sale.extendable_ms, w) }) : w("extension_no")],
    ["rule", w(`rule_${sale.rule}`)],
  ];
  return (
    <div class="terms">
      <h3 class="small-head">{w("terms")}</h3>
      <dl class="terms-list num">
        {rows.map(([name, value, note]) => (
          <div key={name} class={name === "price" ? "terms-price" : ""}>
            <dt>{w(name)}</dt>
            <dd>
              {value}
              {note && <span>{note}</span>}
            </dd>
          </div>
        ))}
      </dl>
      {sale.terms_hash && sale.state !== "draft" && sale.state !== "ready" && (
        <div class="frozen">
          <LockIcon size={16} />
          <div>
            <p>{w("terms_frozen")}</p>
            <code class="hash" title={sale.terms_hash} data-testid="terms-hash">
              {sale.terms_hash}
            </code>
          </div>
        </div>
      )}
    </div>
  );
}

const CHECKS: readonly (readonly [ConsoleWord, readonly string[]])[] = [
  ["check_stock", ["stock_empty", "quota_above_stock"]],
  ["check_price", ["price_not_below_list", "price_below_floor"]],
  ["check_limit", ["limit_above_quota"]],
  ["check_overlap", ["overlapping_sale"]],
  ["check_payments", ["payments_down"]],
  ["check_clock", ["clock_skew"]],
];

/** Every light of the preflight: the server's checks, then what this console can see for itself. */
function Preflight({ sale }: { sale: Sale }) {
  const desk = useDesk();
  const found = desk.problems.value.get(sale.sale_id);
  const isChecked = found !== undefined || sale.state === "ready";
  const problems: readonly SaleProblem[] = found ?? [];
  const known = new Set(CHECKS.flatMap(([, codes]) => codes));
  const isOnStage = desk.store.pin.value.product_id === sale.product_id;
  const headline = !isChecked ? w("preflight_draft") : problems.length ? w("preflight_red", { n: problems.length }) : w("preflight_ready");
  return (
    <div class="split-side preflight" data-testid="preflight">
      <h3 class="small-head">{w("preflight")}</h3>
      <ul class="lights">
        {CHECKS.map(([word, codes]) => {
          const problem = problems.find((one) => codes.includes(one.code));
          return <Light key={word} tone={!isChecked ? "off" : problem ? "red" : "green"} text={w(word)} detail={problem && explained(problem)} />;
        })}
        {problems
          .filter((problem) => !known.has(problem.code))
          .map((problem) => (
            <Light key={problem.code} tone="red" text={explained(problem)} />
          ))}
        <Light tone={desk.truth.isStale.value ? "red" : "green"} text={w("check_realtime")} />
        <Light tone={isOnStage ? "green" : "amber"} text={w(isOnStage ? "check_pinned" : "check_pinned_no")}>
          {!isOnStage && desk.may("sell") && (
            <button type="button" class="light-act" disabled={desk.runner.isBusy("pin")} onClick={() => void desk.pin(sale.product_id)}>
              {w("pin")}
            </button>
          )}
        </Light>
      </ul>
      <p class={`preflight-line ${problems.length ? "is-red" : isChecked ? "is-green" : ""}`}>{headline}</p>
    </div>
  );
}

function explained(problem: SaleProblem): string {
  switch (problem.code) {
    case "stock_empty":
    case "quota_above_stock":
    case "price_not_below_list":
    case "limit_above_quota":
    case "overlapping_sale":
    case "price_below_floor":
      return w(`problem_${problem.code}`);
    default:
      return problem.message || problem.code;
  }
}

interface LightProps {
  tone: "green" | "red" | "amber" | "off";
  text: string;
  detail?: string | undefined;
  children?: ComponentChildren;
}

function Light({ tone, text, detail, children }: LightProps) {
  return (
    <li class={`light light-${tone}`}>
      <i aria-hidden="true">{tone === "green" ? <CheckIcon size={13} /> : tone === "red" ? <CloseIcon size={13} /> : tone === "amber" ? "!" : ""}</i>
      <span>
        {text}
        {detail && <em>{detail}</em>}
      </span>
      {children}
    </li>
  );
}

function ReadyControls({ sale, controls, onEdit }: { sale: Sale; controls: Controls; onEdit: () => void }) {
  const desk = useDesk();
  const { may, waiting } = controls;
  return (
    <div class="controls-row">
      <button type="button" class="button" disabled={!may("edit")} onClick={onEdit} data-testid="edit">
        {w("edit")}
      </button>
      <button type="button" class="button" disabled={!may("validate")} onClick={() => void desk.validate(sale)} data-testid="validate">
        {w(waiting === "validate" ? "validating" : "validate")}
      </button>
      <p class="controls-note">{w("arm_hint")}</p>
      <button
        type="button"
        class="button button-arm danger-slot"
        disabled={!may("arm")}
        aria-keyshortcuts="A"
        aria-busy={waiting === "arm"}
        data-testid="arm"
        onClick={() => void desk.act(sale, "arm")}
      >
        {w(waiting === "arm" ? "arming" : "arm")}
        <kbd>A</kbd>
      </button>
    </div>
  );
}

function ArmedControls({ sale, controls }: { sale: Sale; controls: Controls }) {
  const desk = useDesk();
  const { may, waiting } = controls;
  return (
    <div class="controls-row">
      <button type="button" class="button" disabled={!may("disarm")} data-testid="disarm" onClick={() => void desk.act(sale, "disarm")}>
        {w(waiting === "disarm" ? "disarming" : "disarm")}
      </button>
      <p class="controls-note">{w("fire_explained", { time: span(sale.countdown_ms, w), duration: span(sale.duration_ms, w) })}</p>
      <HoldButton
        tone="flash"
        class="danger-slot"
        hint=""
        keyHint={w("fire_hint")}
        disabled={!may("fire")}
        keyshortcuts="Shift+Enter"
        testid="fire"
        onFire={() => void desk.act(sale, "fire")}
      >
        {w(waiting === "fire" ? "firing" : "fire")}
      </HoldButton>
    </div>
  );
}
