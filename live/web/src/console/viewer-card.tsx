import { formatRemaining, heartbeat } from "../shared/clock";
import { BoltIcon } from "../shared/icons";
import { formatMoney, percentOff } from "../shared/money";
import { Picture } from "../room/picture";
import { buyState } from "../room/buy-state";
import { w as roomWord } from "../room/words";
import { StockBar } from "../shared/stock-bar";
import type { Product, SaleValue, StockValue } from "../shared/types";
import { language, localised } from "../shared/words";
import { useDesk, useTicking } from "./context";
import { w } from "./words";

interface Props {
  product: Product;
  sale: SaleValue | null;
  stock: StockValue | null;
  /** What viewers would see if this sale were in another state: the card of the opening, shown before it. */
  as?: SaleValue["state"];
}

/** The card as viewers get it, with their own words on the button; the state comes from the viewer room's own rule. */
export function ViewerCard({ product, sale, stock, as }: Props) {
  const desk = useDesk();
  const lang = language.value;
  const shown = sale && as ? { ...sale, state: as, opens_at_ms: 0 } : sale;
  const variant = sale && product.variants.find((one) => one.variant_id === sale.variant_id);
  const off = sale ? percentOff(sale.price_minor, sale.list_price_minor) : 0;
  const lowest = Math.min(...product.variants.map((one) => one.price_minor));
  const button = useTicking(() => {
    void heartbeat.value;
    const nowMs = desk.store.serverNow();
    const state = buyState({
      sale: shown,
      stock,
      isLive: true,
      isReminded: false,
      nowMs,
      isAsking: false,
      heldUntilMs: null,
      payment: null,
      place: null,
      unitsHeld: 0,
      unitsBought: 0,
    });
    const time = state.untilMs === null ? "" : formatRemaining(state.untilMs - nowMs);
    const closesAtMs = shown?.state === "open" && !as ? shown.closes_at_ms : null;
    return {
      kind: state.kind,
      isEnabled: state.isEnabled,
      label: roomWord(`buy_${state.kind}`, { time }),
      ends: closesAtMs === null ? "" : formatRemaining(closesAtMs - nowMs),
    };
  }, [desk, shown, stock, language.value]);
  return (
    <article class="card" data-theme="light" data-testid="viewer-card" data-button={button.kind}>
      <div class="card-top">
        <Picture product={product} class="card-picture" eager />
        <div class="card-text">
          <b class="card-title">{localised(product.title)}</b>
          <span class="card-variant">
            {sale && variant ? localised(variant.title) : localised(product.description)}
            {sale && ` · ${w("per_buyer", { n: sale.limit_per_buyer })}`}
          </span>
          <span class="card-price num">
            <b class={sale ? "is-sale" : ""}>{formatMoney(sale ? sale.price_minor : lowest, product.currency, lang)}</b>
            {sale && off > 0 && <s>{formatMoney(sale.list_price_minor, sale.currency, lang)}</s>}
            {off > 0 && !button.ends && <em>{w("percent_off", { n: off })}</em>}
          </span>
        </div>
        {button.ends && (
          <span class="card-clock num">
            {w("ends_in")} <b>{button.ends}</b>
          </span>
        )}
      </div>
      {sale && stock && <StockBar stock={stock} />}
      <span class={`card-buy ${button.isEnabled ? "is-on" : ""}`} data-testid="card-button">
        {button.kind === "buy" && <BoltIcon size={16} />}
        <span class="num">{button.label}</span>
      </span>
    </article>
  );
}
