import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { Countdown } from "../shared/countdown";
import { ChevronIcon } from "../shared/icons";
import { StockBar } from "../shared/stock-bar";
import type { Product, SaleValue } from "../shared/types";
import { localised } from "../shared/words";
import { AskButton } from "./ask-button";
import { useSession } from "./context";
import { PriceLine } from "./hero-card";
import { Picture } from "./picture";
import { w } from "./words";

/** All items of the show: what is on sale first, then the order of the catalogue. */
export function Bag() {
  const session = useSession();
  const products = session.products.value;
  if (!products.length) return <p class="empty">{w("bag_empty")}</p>;
  const pinnedId = session.shownId.value;
  const withSales = products.map((product) => ({ product, sale: session.saleOf(product.product_id) }));
  const urgency = ({ product, sale }: { product: Product; sale: SaleValue | null }): number =>
    (sale && (sale.state === "open" || sale.state === "countdown" || sale.state === "paused") ? 4 : 0) +
    (product.product_id === pinnedId ? 2 : 0) +
    (sale?.state === "armed" ? 1 : 0);
  const sorted = withSales.toSorted((a, b) => urgency(b) - urgency(a));
  return (
    <ul class="bag">
      {sorted.map(({ product, sale }) => (
        <li key={product.product_id}>
          <button
            type="button"
            class={`bag-item ${product.product_id === pinnedId ? "bag-pinned" : ""}`}
            data-testid="bag-item"
            data-product={product.product_id}
            onClick={() => (session.panel.value = { kind: "product", productId: product.product_id })}
          >
            <Picture product={product} class="bag-picture" />
            <span class="bag-text">
              <span class="bag-title">{localised(product.title)}</span>
              <PriceLine product={product} sale={sale} />
              <BagState product={product} sale={sale} />
            </span>
            <ChevronIcon size={18} class="bag-chevron" />
          </button>
          <AskButton productId={product.product_id} title={localised(product.title)} small />
        </li>
      ))}
    </ul>
  );
}

function BagState({ product, sale }: { product: Product; sale: SaleValue | null }) {
  const session = useSession();
  const kind = useMemo(() => computed(() => session.buyStateOf(product.product_id, sale).kind), [session, product.product_id, sale]);
  const isPinned = session.shownId.value === product.product_id;
  const stock = sale && session.store.stock.value.get(sale.sale_id);
  const isRunning = sale && (sale.state === "open" || sale.state === "paused");
  return (
    <span class="bag-state">
      {isPinned && <span class="badge badge-live">{w("now_showing")}</span>}
      {sale?.state === "countdown" && sale.opens_at_ms !== null && (
        <span class="badge badge-rehearsal">
          {w("opens_in")} <Countdown untilMs={sale.opens_at_ms} clock={session.store.clock} unconfirmed={!session.isLive.value} />
        </span>
      )}
      {isRunning && <span class="badge badge-good">{w("on_sale")}</span>}
      {sale?.state === "armed" && <span class="badge">{w("up_next")}</span>}
      {kind.value !== "buy" && kind.value !== "remind" && kind.value !== "opens_in" && kind.value !== "offline" && (
        <span class="badge">{kind.value === "in_line" ? w("things_places") : w(`buy_${kind.value}`, { time: "" })}</span>
      )}
      {isRunning && stock && <StockBar stock={stock} legend={false} thin />}
    </span>
  );
}
