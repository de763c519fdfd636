import { localeOf } from "../shared/money";
import { language } from "../shared/words";
import { type BuyerProblem, cardDigits, COUNTRIES, type RememberedBuyer, spacedCard, TEST_CARDS } from "./buyer";
import { w } from "./words";

export interface FieldsProps {
  buyer: RememberedBuyer;
  problems: BuyerProblem;
  change: (field: keyof RememberedBuyer, value: string) => void;
}

const FIELDS = [
  { field: "name", word: "name", autocomplete: "name", width: "full" },
  { field: "contact", word: "contact", autocomplete: "email", width: "full" },
  { field: "line1", word: "address_line1", autocomplete: "address-line1", width: "full" },
  { field: "line2", word: "address_line2", autocomplete: "address-line2", width: "half" },
  { field: "city", word: "city", autocomplete: "address-level2", width: "half" },
  { field: "postcode", word: "postcode", autocomplete: "postal-code", width: "half" },
] as const;

export function AddressFields({ buyer, problems, change }: FieldsProps) {
  const countryNames = new Intl.DisplayNames([localeOf(language.value)], { type: "region" });
  return (
    <fieldset class="fields">
      <legend class="field-label">{w("your_details")}</legend>
      {FIELDS.map(({ field, word, autocomplete, width }) => (
        <label key={field} class={`field field-${width}`}>
          <span>{w(word)}</span>
          <input
            id={`buyer-${field}`}
            class="input"
            name={field}
            value={buyer[field]}
            maxLength={120}
            autocomplete={autocomplete}
            aria-invalid={problems[field] ? "true" : undefined}
            aria-describedby={problems[field] ? `problem-${field}` : undefined}
            onInput={(event) => change(field, event.currentTarget.value)}
          />
          {problems[field] && (
            <em class="field-problem" id={`problem-${field}`}>
              {w(problems[field])}
            </em>
          )}
        </label>
      ))}
      <label class="field field-half">
        <span>{w("country")}</span>
        <select
          id="buyer-country"
          class="input"
          name="country"
          autocomplete="country"
          value={buyer.country}
          onChange={(event) => change("country", event.currentTarget.value)}
        >
          {COUNTRIES.map((code) => (
            <option key={code} value={code}>
              {countryNames.of(code) ?? code}
            </option>
          ))}
        </select>
      </label>
      <p class="fields-hint">{w("remembered")}</p>
    </fieldset>
  );
}

export function CardFields({
  buyer,
  problem,
  change,
}: {
  buyer: RememberedBuyer;
  problem: BuyerProblem["card"];
  change: FieldsProps["change"];
}) {
  return (
    <fieldset class="fields">
      <legend class="field-label">{w("card")}</legend>
      <label class="field field-full">
        <span class="visually-hidden">{w("card_number")}</span>
        <input
          id="buyer-card"
          class="input num card-input"
          name="card"
          data-testid="card"
          inputMode="numeric"
          autocomplete="off"
          placeholder="0000 0000 0000 0000"
          aria-label={w("card_number")}
          value={spacedCard(buyer.card)}
          aria-invalid={problem ? "true" : undefined}
          aria-describedby="card-hint"
          onInput={(event) => change("card", cardDigits(event.currentTarget.value))}
        />
        {problem && <em class="field-problem">{w(problem)}</em>}
      </label>
      <p class="fields-hint" id="card-hint">
        {w("card_sandbox")}
      </p>
      <div class="test-cards">
        {TEST_CARDS.map(({ number, word }) => (
          <button
            key={number}
            type="button"
            class={`test-card ${cardDigits(buyer.card) === number ? "is-chosen" : ""}`}
            aria-pressed={cardDigits(buyer.card) === number}
            onClick={() => change("card", number)}
          >
            <b class="num">··{number.slice(-4)}</b> {w(word)}
          </button>
        ))}
      </div>
    </fieldset>
  );
}
