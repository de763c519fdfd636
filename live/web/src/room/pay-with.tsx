/** Whom to pay through, and where a provider's own page or QR code is. */

import { useEffect, useState } from "preact/hooks";
import { api } from "../shared/api";
import type { NextAction, PaymentProvider } from "../shared/types";
import { w } from "./words";

const SANDBOX: PaymentProvider = { name: "sandbox", method: "card", currencies: null };
let known: Promise<PaymentProvider[]> | null = null;

/** The providers that take a currency; until the answer comes, and when none does, what was there before. */
export function useProviders(currency: string, roomId: string): readonly PaymentProvider[] {
  const [providers, setProviders] = useState<readonly PaymentProvider[]>([SANDBOX]);
  useEffect(() => {
    known ??= api
      .get<{ providers: PaymentProvider[] }>(`/api/payment-providers?room_id=${encodeURIComponent(roomId)}`)
      .then((answer) => answer.providers)
      .catch(() => {
        known = null;
        return [SANDBOX];
      });
    let isHere = true;
    void known.then((found) => {
      if (isHere) setProviders(found.filter((one) => one.currencies === null || one.currencies.includes(currency)));
    });
    return () => {
      isHere = false;
    };
  }, [currency, roomId]);
  return providers;
}

export function isPhone(): boolean {
  return matchMedia("(pointer: coarse)").matches && matchMedia("(max-width: 820px)").matches;
}

export function PayWith({
  providers,
  chosen,
  choose,
}: {
  providers: readonly PaymentProvider[];
  chosen: PaymentProvider["name"] | undefined;
  choose: (name: PaymentProvider["name"]) => void;
}) {
  if (providers.length === 0) return <p class="notice notice-bad">{w("pay_no_provider")}</p>;
  if (providers.length === 1 && providers[0]?.method === "card") return null;
  return (
    <fieldset class="fields pay-with">
      <legend class="field-label">{w("pay_with")}</legend>
      {providers.map((provider) => (
        <label key={provider.name} class={`pay-option ${provider.name === chosen ? "is-chosen" : ""}`}>
          <input
            type="radio"
            name="provider"
            value={provider.name}
            checked={provider.name === chosen}
            onChange={() => choose(provider.name)}
          />
          <span>{w(`provider_${provider.name}`)}</span>
        </label>
      ))}
    </fieldset>
  );
}

/** The way to the provider: a link that was followed already, and can be again, or a code to scan. */
export function PayAction({ action }: { action: NextAction }) {
  if (action.type === "qr" && action.picture) {
    return (
      <figure class="pay-code">
        <img src={action.picture} alt={w("pay_scan")} width={220} height={220} />
        <figcaption>{w("pay_scan")}</figcaption>
      </figure>
    );
  }
  return (
    <a class="button button-primary pay-link" href={action.url} rel="noreferrer" data-testid="pay-link">
      {w("pay_continue")}
    </a>
  );
}
