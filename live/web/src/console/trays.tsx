import { useEffect, useRef, useState } from "preact/hooks";
import { CloseIcon } from "../shared/icons";
import type { Sale, StockValue } from "../shared/types";
import { shared } from "../shared/words";
import { useDesk } from "./context";
import { withdrawable } from "./desk-state";
import type { Tray } from "./room-desk";
import { unitsOf } from "./sale-form";
import { type ConsoleWord, w } from "./words";

const PAUSE_REASONS = ["host", "payment_outage", "stream_lost"] as const;
const ABORT_REASONS = ["wrong_terms", "not_ready", "wrong_product"] as const;
const MAX_REASON = 100;

interface Props {
  sale: Sale;
  stock: StockValue | null;
  tray: NonNullable<Tray>;
  waiting: string | null;
}

/** What a control still needs to know before it acts: a reason, or a number of units. Opens above the controls, never over them. */
export function TrayPanel({ sale, stock, tray, waiting }: Props) {
  const desk = useDesk();
  const root = useRef<HTMLDivElement>(null);
  const close = (): void => void (desk.tray.value = null);
  useEffect(() => {
    root.current?.querySelector<HTMLElement>("input, button")?.focus();
  }, [tray]);
  // The question goes with its state: nobody is asked for a reason to abort what is open by now.
  const isDue = desk.view(sale).controls.has(tray);
  useEffect(() => {
    if (!isDue && waiting === null) close();
  }, [isDue, waiting]);
  const shelf = desk.variant(sale.variant_id)?.stock ?? 0;
  return (
    <div
      class="tray"
      ref={root}
      data-testid={`tray-${tray}`}
      onKeyDown={(event) => {
        if (event.key === "Escape") close();
      }}
    >
      {tray === "pause" && <Reasons text={w("tray_pause")} reasons={PAUSE_REASONS} disabled={waiting !== null} onChoose={(reason) => void desk.act(sale, "pause", { reason })} />}
      {tray === "abort" && <Reasons text={w("tray_abort")} reasons={ABORT_REASONS} canType disabled={waiting !== null} onChoose={(reason) => void desk.act(sale, "abort", { reason })} />}
      {tray === "add_stock" && (
        <Units
          text={`${w("tray_add")} ${w("tray_add_most", { n: shelf })}`}
          most={shelf}
          sign="+"
          action={waiting === "add_stock" ? "adding" : "add_stock"}
          disabled={waiting !== null}
          onChoose={(units) => void desk.act(sale, "add_stock", { delta: units })}
        />
      )}
      {tray === "withdraw_stock" && (
        <Units
          text={w("tray_withdraw", { n: withdrawable(stock) })}
          most={withdrawable(stock)}
          sign="−"
          action={waiting === "withdraw_stock" ? "withdrawing" : "withdraw"}
          disabled={waiting !== null}
          onChoose={(units) => void desk.act(sale, "withdraw_stock", { delta: -units })}
        />
      )}
      <button type="button" class="icon-button tray-close" aria-label={shared.t("close")} onClick={close}>
        <CloseIcon size={17} />
      </button>
    </div>
  );
}

interface ReasonsProps {
  text: string;
  reasons: readonly ((typeof PAUSE_REASONS)[number] | (typeof ABORT_REASONS)[number])[];
  canType?: boolean;
  disabled: boolean;
  onChoose: (reason: string) => void;
}

function Reasons({ text, reasons, canType = false, disabled, onChoose }: ReasonsProps) {
  const [typed, setTyped] = useState("");
  return (
    <div class="tray-body" role="group" aria-label={text}>
      <p class="tray-text">{text}</p>
      <div class="tray-row">
        {reasons.map((reason) => (
          <button key={reason} type="button" class="button" disabled={disabled} data-testid={`reason-${reason}`} onClick={() => onChoose(reason)}>
            {w(`reason_${reason}`)}
          </button>
        ))}
        {canType && (
          <form
            class="tray-type"
            onSubmit={(event) => {
              event.preventDefault();
              if (typed.trim()) onChoose(typed.trim());
            }}
          >
            <input class="input" placeholder={w("reason_other")} aria-label={w("reason_type")} maxLength={MAX_REASON} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
          </form>
        )}
      </div>
    </div>
  );
}

interface UnitsProps {
  text: string;
  most: number;
  sign: string;
  action: ConsoleWord;
  disabled: boolean;
  onChoose: (units: number) => void;
}

function Units({ text, most, sign, action, disabled, onChoose }: UnitsProps) {
  const [typed, setTyped] = useState(String(Math.min(5, most)));
  const units = unitsOf(typed, most);
  const presets = [1, 5, 10, 20, 50].filter((n) => n <= most);
  return (
    <form
      class="tray-body"
      onSubmit={(event) => {
        event.preventDefault();
        if (units !== null) onChoose(units);
      }}
    >
      <p class="tray-text">{text}</p>
      <div class="tray-row">
        <span class="number-box">
          <span class="number-fix">{sign}</span>
          <input class="num" inputMode="numeric" autocomplete="off" aria-label={w("tray_units")} aria-invalid={units === null} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} data-testid="units" />
        </span>
        <span class="presets">
          {presets.map((preset) => (
            <button key={preset} type="button" class="preset num" aria-pressed={typed === String(preset)} onClick={() => setTyped(String(preset))}>
              {preset}
            </button>
          ))}
        </span>
        <button type="submit" class="button button-strong" disabled={disabled || units === null} data-testid="units-send">
          {w(action)} {units !== null && `${sign}${units}`}
        </button>
      </div>
      {units === null && <em class="field-problem">{w("tray_units_bad", { n: most })}</em>}
    </form>
  );
}
