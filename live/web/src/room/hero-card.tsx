import { Countdown } from "../shared/countdown";
import { ClockIcon } from "../shared/icons";
import { formatMoney, percentOff } from "../shared/money";
import { StockBar } from "../shared/stock-bar";
import type { Product, SaleValue } from "../shared/types";
import { language, localised } from "../shared/words";
import { BuyButton } from "./buy-button";
import { isOver } from "./buy-state";
import { useIsPast, useSession } from "./context";
import { Picture } from "./picture";
import { w } from "./words";

/** The pinned product: what it is, what it costs, how much is left, how long, and one button. */
export function HeroCard() {
  const session = useSession();
  const product = session.pinned.value;
  if (!session.store.isJoined.value && !product) return <HeroSkeleton />;
  if (!product) {
    return (
      <section class="hero hero-empty" data-theme="light" aria-label={w("now_showing")}>
        <b>{w("no_pin")}</b>
        <p>{w("no_pin_hint")}</p>
      </section>
    );
  }
  const sale = session.saleOf(product.product_id);
  const stock = sale && session.store.stock.value.get(sale.sale_id);
  const title = localised(product.title);
  const off = sale && !isOver(sale) ? percentOff(sale.price_minor, sale.list_price_minor) : 0;
  return (
    <section class={`hero hero-${sale?.state ?? "none"}`} data-theme="light" data-testid="hero" aria-label={`${w("now_showing")}: ${title}`}>
      <div class="hero-top">
        <button
          type="button"
          class="hero-picture"
          aria-label={`${w("open_details", { name: title })}${off > 0 ? ` ${w("percent_off", { n: off })}` : ""}`}
          onClick={() => (session.panel.value = { kind: "product", productId: product.product_id })}
        >
          <Picture product={product} eager />
          {off > 0 && <span class="hero-off num">{w("percent_off", { n: off })}</span>}
        </button>
        <div class="hero-text">
          <h2 class="hero-title">{title}</h2>
          <p class="hero-variant">
            {sale ? session.variantTitle(product, sale.variant_id) : localised(product.description)}
            {sale && sale.limit_per_buyer > 0 && <span> · {w("per_buyer", { n: sale.limit_per_buyer })}</span>}
          </p>
          <PriceLine product={product} sale={sale} />
        </div>
        {sale && <SaleClock sale={sale} />}
      </div>
      {sale && stock && <StockBar stock={stock} />}
      <BuyButton productId={product.product_id} sale={sale} />
    </section>
  );
}

export function PriceLine({ product, sale }: { product: Product; sale: SaleValue | null }) {
  const session = useSession();
  const lang = language.value;
  if (!sale || isOver(sale)) {
    // A price that can't be had any more is told as what it was.
    return (
      <p class="price">
        <b class="price-now num">{sale ? formatMoney(sale.list_price_minor, sale.currency, lang) : session.priceOf(product)}</b>
        {sale && (
          <span class="price-past num">{w("price_in_sale", { price: formatMoney(sale.price_minor, sale.currency, lang) })}</span>
        )}
      </p>
    );
  }
  const off = percentOff(sale.price_minor, sale.list_price_minor);
  return (
    <p class="price">
      <b class="price-now price-sale num" data-testid="price">
        {formatMoney(sale.price_minor, sale.currency, lang)}
      </b>
      {off > 0 && (
        <s class="price-was num">
          <span class="visually-hidden">{w("price_was", { price: "" })}</span>
          {formatMoney(sale.list_price_minor, sale.currency, lang)}
        </s>
      )}
      {off > 0 && <span class="price-off num">{w("percent_off", { n: off })}</span>}
    </p>
  );
}

/** The sale's own clock. At zero it says "last moments": that it has ended only the server says. */
export function SaleClock({ sale }: { sale: SaleValue }) {
  const session = useSession();
  const isUnconfirmed = !session.isLive.value;
  const isPast = useIsPast(sale.closes_at_ms);
  if (sale.state === "paused") {
    return (
      <div class="sale-clock">
        <ClockIcon size={15} />
        <span>{w("paused_clock")}</span>
      </div>
    );
  }
  const isBefore = sale.state === "countdown";
  const untilMs = isBefore ? sale.opens_at_ms : sale.closes_at_ms;
  if (untilMs === null || (sale.state !== "open" && !isBefore)) return null;
  return (
    <div class={`sale-clock ${isBefore ? "" : "sale-clock-open"}`} data-testid="sale-clock">
      <span>{w(isBefore ? "opens_in" : isPast ? "closing" : "ends_in")}</span>
      <Countdown untilMs={untilMs} clock={session.store.clock} unconfirmed={isUnconfirmed} />
    </div>
  );
}

function HeroSkeleton() {
  return (
    <section class="hero hero-skeleton" data-theme="light" aria-busy="true" aria-label={w("loading")}>
      <div class="hero-top">
        <span class="bone bone-picture" />
        <div class="hero-text">
          <span class="bone bone-line" />
          <span class="bone bone-line bone-short" />
          <span class="bone bone-line bone-price" />
        </div>
      </div>
      <span class="bone bone-button" />
    </section>
  );
}
