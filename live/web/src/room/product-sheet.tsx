import { MinusIcon, PlusIcon } from "../shared/icons";
import { formatMoney } from "../shared/money";
import { Sheet } from "../shared/sheet";
import { StockBar } from "../shared/stock-bar";
import type { Product, SaleValue } from "../shared/types";
import { language, localised } from "../shared/words";
import { AskButton } from "./ask-button";
import { BuyButton } from "./buy-button";
import { maxQuantity } from "./buy-state";
import { useSession } from "./context";
import { PriceLine, SaleClock } from "./hero-card";
import { Picture } from "./picture";
import { w } from "./words";

/** An item of the bag: what it is, its variants, how many to take, and the same Buy button as the card's. */
export function ProductSheet({ productId }: { productId: string }) {
  const session = useSession();
  const product = session.product(productId);
  const close = (): void => {
    session.panel.value = null;
  };
  if (!product) return null;
  const sale = session.saleOf(productId);
  const stock = sale && session.store.stock.value.get(sale.sale_id);
  return (
    <Sheet title={w("sheet_product")} onClose={close} testid="product-sheet" focus="[data-testid=buy]:enabled" footer={<BuyButton productId={productId} sale={sale} />}>
      <div class="product">
        <Picture product={product} class="product-picture" eager />
        <div class="product-text">
          <h3 class="product-title">{localised(product.title)}</h3>
          <div class="product-price">
            <PriceLine product={product} sale={sale} />
            {sale && <SaleClock sale={sale} />}
          </div>
          {sale && stock && <StockBar stock={stock} />}
          <p class="product-about">{localised(product.description)}</p>
          <AskButton productId={productId} title={localised(product.title)} />
          <Variants product={product} sale={sale} />
          {sale && sale.limit_per_buyer > 1 && <Quantity sale={sale} />}
        </div>
      </div>
    </Sheet>
  );
}

function Variants({ product, sale }: { product: Product; sale: SaleValue | null }) {
  if (product.variants.length < 2 && !sale) return null;
  return (
    <div class="variants">
      <span class="field-label">{w("variant")}</span>
      <ul>
        {product.variants.map((variant) => {
          const isInSale = sale?.variant_id === variant.variant_id;
          return (
            <li key={variant.variant_id} class={`variant ${isInSale ? "is-chosen" : ""}`} aria-current={isInSale ? "true" : undefined}>
              <b>{localised(variant.title)}</b>
              <span class="num">
                {formatMoney(isInSale ? sale.price_minor : variant.price_minor, product.currency, language.value)}
              </span>
              {sale && !isInSale && <em>{w("variant_not_in_sale")}</em>}
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function Quantity({ sale }: { sale: SaleValue }) {
  const session = useSession();
  const units = session.things.unitsOf(sale.sale_id);
  const most = maxQuantity(sale, session.store.stock.value.get(sale.sale_id) ?? null, units.held + units.bought);
  const quantity = Math.min(session.quantityOf(sale.sale_id), most);
  return (
    <div class="quantity">
      <span class="field-label">
        {w("quantity")} · {w("per_buyer", { n: sale.limit_per_buyer })}
      </span>
      <div class="stepper">
        <button
          type="button"
          class="icon-button"
          aria-label={w("quantity_less")}
          disabled={quantity <= 1}
          onClick={() => session.setQuantity(sale.sale_id, quantity - 1)}
        >
          <MinusIcon size={18} />
        </button>
        <output class="num" aria-live="polite">
          {quantity}
        </output>
        <button
          type="button"
          class="icon-button"
          aria-label={w("quantity_more")}
          disabled={quantity >= most}
          onClick={() => session.setQuantity(sale.sale_id, quantity + 1)}
        >
          <PlusIcon size={18} />
        </button>
      </div>
    </div>
  );
}
