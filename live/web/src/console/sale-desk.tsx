import { formatTime, heartbeat } from "../shared/clock";
import { PlusIcon, WarningIcon } from "../shared/icons";
import type { Product, Sale } from "../shared/types";
import { language, localised, shared } from "../shared/words";
import { useControls, useDesk, useTicking } from "./context";
import { sumHolds } from "./desk-state";
import { DeskStrip } from "./desk-strip";
import { Empty, StatePill } from "./parts";
import { reasonWord } from "./reason";
import { SaleEnded } from "./sale-ended";
import { SaleForm } from "./sale-form-panel";
import { SaleRunning } from "./sale-running";
import { SaleTerms } from "./sale-terms";
import { w } from "./words";

/** The sale desk: one sale in hand, its state, its sums, and every control in one fixed place. */
export function SaleDesk() {
  const desk = useDesk();
  const product = desk.product(desk.productId.value);
  const sale = product ? desk.sale() : null;
  return (
    <section class="panel desk" aria-label={w("sale_desk")} data-panel="desk" data-testid="desk" data-state={sale?.state ?? "none"}>
      <DeskStrip />
      <Elsewhere />
      {product ? (
        <>
          <Head product={product} sale={sale} />
          {sale ? <Hand key={sale.sale_id} sale={sale} product={product} /> : <SaleForm key={`${product.product_id}/${desk.formSource()?.sale_id}`} product={product} />}
        </>
      ) : (
        <Empty title={w("desk_empty")} hint={w("desk_empty_hint")} />
      )}
    </section>
  );
}

/** A running sale is never out of sight, whatever product is in hand. */
function Elsewhere() {
  const desk = useDesk();
  return (
    <>
      {desk.runningElsewhere().map((sale) => (
        <button key={sale.sale_id} type="button" class="elsewhere" onClick={() => desk.selectSale(sale)}>
          <StatePill state={sale.state} />
          <b>{w("running_elsewhere", { name: localised(desk.product(sale.product_id)?.title) })}</b>
          <span>{w("go_there")}</span>
        </button>
      ))}
    </>
  );
}

function Head({ product, sale }: { product: Product; sale: Sale | null }) {
  const desk = useDesk();
  const sales = desk.salesOf(product.product_id).sort((a, b) => a.round - b.round);
  const variant = sale && desk.variant(sale.variant_id);
  return (
    <header class="desk-head">
      <div class="desk-name">
        <h2>{localised(product.title)}</h2>
        <span>
          {sale ? `${variant ? `${localised(variant.title)} · ` : ""}${w("round", { n: sale.round })}` : w("new_sale")}
        </span>
      </div>
      {sales.length > 0 && (
        <div class="desk-sales" role="group" aria-label={w("sale_desk")}>
          {sales.slice(-4).map((one) => (
            <button
              key={one.sale_id}
              type="button"
              class="sale-chip num"
              aria-pressed={one.sale_id === sale?.sale_id}
              data-state={one.state}
              title={`${localised(desk.variant(one.variant_id)?.title)} · ${shared.t(`state_${one.state}`)}`}
              onClick={() => desk.selectSale(one)}
            >
              <i aria-hidden="true" />
              {sales.length > 1 && product.variants.length > 1 ? `${localised(desk.variant(one.variant_id)?.title)} ` : ""}
              {one.round}
            </button>
          ))}
          {desk.may("sell") && !desk.hold.isOthers && (
            <button type="button" class="sale-chip" aria-pressed={sale === null} aria-label={w("new_sale")} title={w("new_sale")} onClick={() => desk.startForm(product.product_id)}>
              <PlusIcon size={15} />
            </button>
          )}
        </div>
      )}
      {sale && <State sale={sale} />}
    </header>
  );
}

function State({ sale }: { sale: Sale }) {
  const desk = useDesk();
  const stock = desk.stock(sale.sale_id);
  const reason = sale.state_reason ? reasonWord(sale.state_reason) : "";
  return (
    <div class="desk-state" data-testid="sale-state" data-state={sale.state}>
      {reason && sale.state !== "open" && <span class="desk-reason">{reason}</span>}
      <StatePill state={sale.state} lock={stock !== null && !sumHolds(stock)} big />
    </div>
  );
}

function Hand({ sale, product }: { sale: Sale; product: Product }) {
  switch (sale.state) {
    case "draft":
    case "ready":
    case "armed":
      return (
        <>
          <LockBanner sale={sale} />
          <SaleTerms sale={sale} product={product} />
        </>
      );
    case "countdown":
    case "open":
    case "paused":
    case "draining":
      return (
        <>
          <LockBanner sale={sale} />
          <SaleRunning sale={sale} />
        </>
      );
    case "settled":
    case "published":
      return <SaleEnded sale={sale} product={product} />;
  }
}

/** Why nothing can be pressed. */
function LockBanner({ sale }: { sale: Sale }) {
  const desk = useDesk();
  const { lock, waiting } = useControls(desk, sale);
  const stock = desk.stock(sale.sale_id);
  const age = useTicking(() => {
    void heartbeat.value;
    const ageMs = desk.truth.ageMs.value;
    return Number.isFinite(ageMs) ? ageAsText(ageMs) : null;
  }, [desk]);
  if (lock === "stale") {
    return (
      <div class="lock lock-stale" role="alert" data-testid="lock" data-lock="stale">
        <WarningIcon size={18} />
        <span>
          {age === null ? w("stale_never") : w("stale", { age })} <span data-testid="stale-phone">{w("stale_phone", { url: location.href })}</span>
        </span>
      </div>
    );
  }
  if (lock === "inconsistent" && stock) {
    const sum = stock.available + stock.held + stock.sold;
    return (
      <div class="lock lock-inconsistent" role="alert" data-testid="lock" data-lock="inconsistent">
        <WarningIcon size={18} />
        <span>
          <b>{w("inconsistent")}</b> {w("inconsistent_sum", { available: stock.available, held: stock.held, sold: stock.sold, quota: stock.quota, epoch: stock.epoch, seq: stock.seq, sum })}
        </span>
        <button type="button" class="button" disabled={waiting !== null} onClick={() => void desk.act(sale, "reconcile")}>
          {w(waiting === "reconcile" ? "reconciling" : "reconcile")}
        </button>
      </div>
    );
  }
  if (lock === "role") {
    return (
      <div class="lock lock-role" data-testid="lock" data-lock="role">
        <span>{w("locked_role", { role: desk.role ? shared.t(`role_${desk.role}`) : "–" })}</span>
      </div>
    );
  }
  return null;
}

function ageAsText(ageMs: number): string {
  return ageMs < 60_000 ? `${(ageMs / 1000).toFixed(1)} s` : formatTime(Date.now() - ageMs, language.value);
}
