import { useState } from "preact/hooks";
import { formatMoney, minorDigits, parseMoney, percentOff } from "../shared/money";
import type { Product, Sale, Variant } from "../shared/types";
import { language, localised } from "../shared/words";
import { useDesk } from "./context";
import { FailureLine } from "./parts";
import { checkForm, defaultForm, type FormProblem, formOf, nextRoundForm, type SaleField, type SaleForm as Form } from "./sale-form";
import { w } from "./words";

interface Props {
  product: Product;
  /** A draft whose terms are being changed; without it a new sale is made. */
  editing?: Sale;
  onDone?: () => void;
}

/** The terms of a sale, with sensible defaults and each problem at its field. */
export function SaleForm({ product, editing, onDone }: Props) {
  const desk = useDesk();
  const source = editing ?? desk.formSource();
  const [variantId, setVariantId] = useState(source?.variant_id ?? (product.variants.find((one) => one.stock > 0) ?? product.variants[0])?.variant_id ?? "");
  const variant = product.variants.find((one) => one.variant_id === variantId);
  const [form, setForm] = useState<Form>(() => startingForm(product, variant, source, editing));
  const [touched, setTouched] = useState<ReadonlySet<SaleField>>(new Set());
  if (!variant) return null;

  const { currency } = product;
  const context = { currency, listPriceMinor: variant.price_minor, stock: variant.stock };
  const { problems, terms } = checkForm(form, context);
  const place = editing ? desk.place(editing.sale_id) : "form";
  const waiting = desk.runner.waiting(place);
  const isLocked = !desk.may("sell") || desk.truth.isStale.value || desk.hold.isOthers;

  const set = (field: SaleField, value: string): void => {
    setForm({ ...form, [field]: value });
    setTouched(new Set(touched).add(field));
    desk.runner.dismiss(place);
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!terms) {
      setTouched(new Set(Object.keys(form) as SaleField[]));
      document.querySelector<HTMLElement>(`#sale-${Object.keys(problems)[0]}`)?.focus();
      return;
    }
    const body = { variant_id: variant.variant_id, ...terms };
    if (!editing) await desk.create(body);
    else if (await desk.change(editing, body)) onDone?.();
  };
  const problemOf = (field: SaleField): FormProblem | undefined => (touched.has(field) || form[field] === "" ? problems[field] : undefined);

  const priceMinor = parseMoney(form.price, currency);
  const off = priceMinor ? percentOff(priceMinor, variant.price_minor) : 0;
  const list = formatMoney(variant.price_minor, currency, language.value);
  const symbol = formatMoney(0, currency, language.value).replace(/[\d.,\s]/g, "");
  const field = (name: SaleField) => ({ name, value: form[name], onInput: (value: string) => set(name, value), problem: problemOf(name) });
  return (
    <form class="sale-form" onSubmit={(event) => void submit(event)} noValidate data-testid="sale-form">
      <div class="desk-body" tabIndex={0} role="region" aria-label={w("desk_body")}>
        {product.variants.length > 1 && !editing && (
          <fieldset class="variants">
            <legend class="field-label">{w("variant")}</legend>
            <div class="segments">
              {product.variants.map((one) => (
                <label key={one.variant_id} class="segment">
                  <input
                    type="radio"
                    name="variant"
                    value={one.variant_id}
                    checked={one.variant_id === variantId}
                    onChange={() => {
                      setVariantId(one.variant_id);
                      if (!touched.size) setForm(startingForm(product, one, null, undefined));
                    }}
                  />
                  <span>
                    {localised(one.title)} <em class="num">{one.stock}</em>
                  </span>
                </label>
              ))}
            </div>
          </fieldset>
        )}
        <div class="form-grid">
          <NumberField {...field("price")} label={w("price")} prefix={symbol} mode={minorDigits(currency) ? "decimal" : "numeric"} hint={off > 0 ? w("off_list", { n: off, price: list }) : w("list_price", { price: list })} />
          <NumberField {...field("quota")} label={w("units")} hint={w("of_stock", { n: variant.stock })} presets={unitPresets(variant.stock)} />
          <NumberField {...field("limit")} label={w("limit")} presets={[1, 2, 5]} />
          <NumberField {...field("duration_s")} label={w("duration")} suffix={w("seconds")} presets={[30, 60, 180, 300]} seconds />
          <NumberField {...field("hold_s")} label={w("hold_time")} suffix={w("seconds")} presets={[60, 120, 300]} seconds />
          <NumberField {...field("countdown_s")} label={w("countdown")} suffix={w("seconds")} presets={[5, 10, 30]} seconds />
          <NumberField {...field("extend_s")} label={w("extension")} suffix={w("seconds")} presets={[0, 30, 60]} seconds />
          <div class="number-field">
            <span class="field-label">{w("rule")}</span>
            <span class="rule-fixed">{w("rule_first_come")}</span>
          </div>
        </div>
      </div>
      <div class="controls">
        <FailureLine runner={desk.runner} place={place} />
        <div class="controls-row">
          <p class="controls-note">{w("form_note")}</p>
          {(editing || desk.formSource()) && (
            <button type="button" class="button button-quiet" onClick={() => (onDone ? onDone() : desk.leaveForm(product.product_id))}>
              {w("form_cancel")}
            </button>
          )}
          <button type="submit" class="button button-strong danger-slot" disabled={waiting !== null || isLocked} aria-busy={waiting !== null} data-testid="make-sale">
            {editing ? w(waiting ? "saving" : "save_changes") : w(waiting ? "making_sale" : "make_sale")}
          </button>
        </div>
      </div>
    </form>
  );
}

function startingForm(product: Product, variant: Variant | undefined, source: Sale | null, editing: Sale | undefined): Form {
  if (editing) return formOf(editing);
  if (source && variant) return nextRoundForm(source, variant.stock);
  return variant
    ? defaultForm(variant, product.currency)
    : { price: "", quota: "", limit: "1", hold_s: "120", duration_s: "60", countdown_s: "10", extend_s: "0" };
}

function unitPresets(stock: number): number[] {
  return [10, 20, 50, 100].filter((n) => n < stock).slice(0, 3).concat(stock > 0 ? [stock] : []);
}

interface NumberFieldProps {
  name: SaleField;
  label: string;
  value: string;
  onInput: (value: string) => void;
  problem: FormProblem | undefined;
  prefix?: string;
  suffix?: string;
  hint?: string;
  presets?: readonly number[];
  seconds?: boolean;
  mode?: "numeric" | "decimal";
}

function NumberField({ name, label, value, onInput, problem, prefix, suffix, hint, presets = [], seconds = false, mode = "numeric" }: NumberFieldProps) {
  const id = `sale-${name}`;
  return (
    <div class={`number-field number-field-${name}`}>
      <label class="field-label" for={id}>
        {label}
      </label>
      <div class="number-line">
        <span class="number-box">
          {prefix && <span class="number-fix">{prefix}</span>}
          <input
            id={id}
            class="num"
            inputMode={mode}
            autocomplete="off"
            value={value}
            aria-invalid={problem !== undefined}
            aria-describedby={problem || hint ? `${id}-line` : undefined}
            onInput={(event) => onInput(event.currentTarget.value)}
          />
          {suffix && <span class="number-fix">{suffix}</span>}
        </span>
        {presets.length > 0 && (
          <span class="presets">
            {presets.map((preset) => (
              <button key={preset} type="button" class="preset num" aria-pressed={value === String(preset)} onClick={() => onInput(String(preset))}>
                {presetText(preset, seconds)}
              </button>
            ))}
          </span>
        )}
      </div>
      {problem ? (
        <em class="field-problem" id={`${id}-line`} role="alert">
          {w(problem.word, problem.vars)}
        </em>
      ) : (
        hint && (
          <span class="field-hint num" id={`${id}-line`}>
            {hint}
          </span>
        )
      )}
    </div>
  );
}

function presetText(preset: number, seconds: boolean): string {
  if (!seconds) return String(preset);
  if (preset === 0) return w("extension_no");
  return preset >= 60 && preset % 60 === 0 ? w("preset_min", { n: preset / 60 }) : w("preset_s", { n: preset });
}
