import { formatTime } from "../shared/clock";
import type { Sale } from "../shared/types";
import { language, shared } from "../shared/words";
import { useDesk } from "./context";
import { GhostMark } from "./parts";
import { reasonWord } from "./reason";
import { w } from "./words";

const MAX_LINES = 8;

/** Who took what just now, and what was done to this sale: newest first, as many as fit. */
export function Happened({ sale }: { sale: Sale }) {
  const desk = useDesk();
  const lang = language.value;
  const orders = desk.store.orderTicks.value.filter((tick) => tick.product_id === sale.product_id);
  const marks = desk.marks.value.get(sale.sale_id) ?? [];
  return (
    <div class="happened">
      <section>
        <h3 class="small-head">{w("latest_orders")}</h3>
        {orders.length === 0 && <p class="happened-none">{w("latest_none")}</p>}
        <ol data-testid="latest-orders">
          {orders
            .slice(-MAX_LINES)
            .reverse()
            .map((tick, index) => (
              <li key={`${tick.at_ms}/${index}`}>
                <time class="num">{formatTime(tick.at_ms, lang)}</time>
                <span>
                  {w("ticker_line", { name: tick.name, n: tick.quantity })}
                  {tick.ghost && <GhostMark />}
                </span>
              </li>
            ))}
        </ol>
      </section>
      <section>
        <h3 class="small-head">{w("this_round")}</h3>
        {marks.length === 0 && <p class="happened-none">{w("round_none")}</p>}
        <ol>
          {marks
            .slice(-MAX_LINES)
            .reverse()
            .map((mark, index, shown) => (
              <li key={`${mark.at_ms}/${mark.state}`}>
                <time class="num">{formatTime(mark.at_ms, lang)}</time>
                <span>
                  {shown[index + 1]?.state === mark.state ? w("mark_changed") : shared.t(`state_${mark.state}`)}
                  {mark.reason && <em> {reasonWord(mark.reason)}</em>}
                </span>
              </li>
            ))}
        </ol>
      </section>
    </div>
  );
}
