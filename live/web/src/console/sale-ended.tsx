import { formatCount, formatMoney } from "../shared/money";
import { StockBar } from "../shared/stock-bar";
import type { Product, Sale } from "../shared/types";
import { language } from "../shared/words";
import { useDesk } from "./context";
import { Terms } from "./sale-terms";
import { w } from "./words";

/** A finished round: what came of it, and the way to the next one. The same offer again is a visible new round. */
export function SaleEnded({ sale, product }: { sale: Sale; product: Product }) {
  const desk = useDesk();
  const lang = language.value;
  const stock = desk.stock(sale.sale_id);
  const sold = stock?.sold ?? 0;
  // What settling gave back to the shelf has left the sale's stock; what was on offer we saw ourselves, or it is the terms' quota.
  const seen = (desk.samples.value.get(sale.sale_id) ?? []).map((one) => one.available + one.held + one.sold);
  const offered = Math.max(sold, ...(seen.length ? seen.slice(-1) : [sale.quota]));
  const result = { sale_id: sale.sale_id, quota: offered, available: offered - sold, held: 0, sold };
  return (
    <>
      <div class="desk-body desk-split" tabIndex={0} role="region" aria-label={w("desk_body")}>
        <Terms sale={sale} />
        <div class="split-side result" data-testid="result">
          <h3 class="small-head">{w("result")}</h3>
          <p class="result-big num">{w("sold_of", { sold: formatCount(sold, lang), quota: formatCount(offered, lang) })}</p>
          <StockBar stock={result} legend={false} />
          <dl class="facts num">
            <div>
              <dt>{w("revenue")}</dt>
              <dd>{formatMoney(sold * sale.price_minor, sale.currency, lang)}</dd>
            </div>
            <div>
              <dt>{w("leftover")}</dt>
              <dd>{formatCount(offered - sold, lang)}</dd>
            </div>
          </dl>
        </div>
      </div>
      <div class="controls">
        <div class="controls-row">
          <p class="controls-note">{w(sale.state === "published" ? "published_line" : "ended_line")}</p>
          {desk.may("sell") && (
            <button type="button" class="button button-arm danger-slot" data-testid="new-round" onClick={() => desk.startForm(product.product_id, sale)}>
              {w("new_round")}
            </button>
          )}
        </div>
      </div>
    </>
  );
}
