import { currentSale } from "../shared/room-store";
import { PinIcon } from "../shared/icons";
import { localised } from "../shared/words";
import { useDesk } from "./context";
import { Empty } from "./parts";
import { PlotPanel } from "./plot-panel";
import { ViewerCard } from "./viewer-card";
import { w } from "./words";

/** What viewers see now, and how the sale in hand is moving. */
export function Stage() {
  const desk = useDesk();
  const pinned = desk.product(desk.store.pin.value.product_id);
  const chosen = desk.product(desk.productId.value);
  const sale = pinned && currentSale(desk.sales.value.values(), pinned.product_id);
  return (
    <section class="panel stage" aria-label={w("stage")} data-panel="desk">
      <div class="stage-view">
        <header class="panel-head">
          <h2>{w("stage")}</h2>
          <span class="panel-note">{w("stage_hint")}</span>
        </header>
        {pinned ? (
          <ViewerCard product={pinned} sale={sale} stock={sale && desk.stock(sale.sale_id)} />
        ) : (
          <Empty title={w("stage_empty")} hint={w("stage_empty_hint")}>
            {chosen && desk.may("sell") && (
              <button type="button" class="button" onClick={() => void desk.pin(chosen.product_id)}>
                <PinIcon size={16} />
                {w("stage_pin_this", { name: localised(chosen.title) })}
              </button>
            )}
          </Empty>
        )}
      </div>
      <PlotPanel />
    </section>
  );
}
