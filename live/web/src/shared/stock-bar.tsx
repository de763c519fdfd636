import { language, shared } from "./words";
import { formatCount } from "./money";
import type { StockValue } from "./types";

type Numbers = Pick<StockValue, "available" | "held" | "sold" | "quota">;

/** The three-part stock bar: each part has its own pattern and its number, so colour never speaks alone. */
export function StockBar({ stock, legend = true, thin = false }: { stock: Numbers; legend?: boolean; thin?: boolean }) {
  const lang = language.value;
  const parts = ["available", "held", "sold"] as const;
  const sentence = shared.t("stock_sentence", {
    available: stock.available,
    held: stock.held,
    sold: stock.sold,
    quota: stock.quota,
  });
  return (
    <div class={`stock ${thin ? "stock-thin" : ""}`} data-testid="stock" data-available={stock.available} data-held={stock.held} data-sold={stock.sold} data-quota={stock.quota}>
      <div class="stock-bar" role="img" aria-label={sentence}>
        {parts.map((part) => (
          <span key={part} class={`stock-part stock-${part}`} hidden={!stock[part]} style={{ flexGrow: String(stock[part]) }} />
        ))}
      </div>
      {legend && (
        <div class="stock-legend" aria-hidden="true">
          {parts.map((part) => (
            <span key={part} class="stock-key">
              <i class={`stock-dot stock-${part}`} />
              <b class="num">{formatCount(stock[part], lang)}</b> {shared.t(part)}
            </span>
          ))}
        </div>
      )}
    </div>
  );
}
