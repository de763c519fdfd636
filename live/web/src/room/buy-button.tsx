import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { formatRemaining, formatTime } from "../shared/clock";
import { BellIcon, BoltIcon, CheckIcon } from "../shared/icons";
import type { SaleValue } from "../shared/types";
import { language } from "../shared/words";
import type { BuyState } from "./buy-state";
import { useSession } from "./context";
import type { RoomSession } from "./session";
import { w } from "./words";

/** The Buy button with its one label, and the line under it that says why. */
export function BuyButton({ productId, sale }: { productId: string; sale: SaleValue | null }) {
  const session = useSession();
  // Only when the label changes is there something to render, not at each beat of the clock.
  const view = useMemo(
    () =>
      computed(() => {
        const state = session.buyStateOf(productId, sale);
        const why = line(session, productId, sale, state);
        return JSON.stringify([state.kind, state.isEnabled, label(session, sale, state), why]);
      }),
    [session, productId, sale],
  );
  const [kind, isEnabled, text, why] = JSON.parse(view.value) as [BuyState["kind"], boolean, string, string | null];
  const isFlash = kind === "buy" || kind === "buy_more" || kind === "held";
  return (
    <div class="buy">
      <button
        type="button"
        class={`button button-primary buy-button buy-${kind}`}
        disabled={!isEnabled}
        data-testid="buy"
        data-state={kind}
        aria-keyshortcuts="B"
        onClick={() => void session.buy(productId)}
      >
        {isFlash && <BoltIcon size={18} />}
        {kind === "remind" && <BellIcon size={18} />}
        {(kind === "bought" || kind === "reminded") && <CheckIcon size={18} />}
        {kind === "checking" && <i class="dots" aria-hidden="true" />}
        <span class="num">{text}</span>
      </button>
      {why && (
        <p class="buy-why" data-testid="buy-reason">
          {why}
        </p>
      )}
      {kind === "in_line" && sale && (
        <button
          type="button"
          class="button button-quiet buy-leave"
          data-testid="leave-line"
          onClick={() => void session.things.leaveLine(sale.sale_id).catch(() => undefined)}
        >
          {w("leave_line")}
        </button>
      )}
    </div>
  );
}

function isBuyable(state: BuyState): boolean {
  return state.kind === "buy" || state.kind === "buy_more";
}

function label(session: RoomSession, sale: SaleValue | null, state: BuyState): string {
  const time = state.untilMs === null ? "" : formatRemaining(state.untilMs - session.store.serverNow());
  const place = (sale && session.things.places.value.get(sale.sale_id)) ?? 0;
  return w(`buy_${state.kind}`, { time, place });
}

function line(session: RoomSession, productId: string, sale: SaleValue | null, state: BuyState): string | null {
  if (state.kind === "remind" || state.kind === "reminded") {
    return session.reminders.problem(productId) ?? (state.kind === "reminded" ? w("line_reminded") : sale && w("line_soon"));
  }
  if (!sale) return null;
  if (state.kind === "offline") {
    return w(session.things.openHoldOf(sale.sale_id) ? "line_offline_hold" : "line_offline");
  }
  if (state.kind === "checking") return session.isAnswerLate(sale.sale_id) ? w("line_checking_long") : null;
  if (state.kind === "held" || state.kind === "paying" || state.kind === "confirming" || state.kind === "bought") return null;
  // What the sale does now is the better reason, once it no longer takes taps.
  const refusal = state.kind === "paused" || state.kind === "in_line" || state.kind === "opens_in" ? null : session.lastRefusal(sale.sale_id);
  if (refusal) return isBuyable(state) && session.wasOutOfStock(sale.sale_id) ? w("line_came_back") : refusal;
  const stock = session.store.stock.value.get(sale.sale_id);
  if (state.kind === "in_line") {
    return stock?.next_hold_ends_at_ms
      ? w("line_in_line", { time: formatTime(stock.next_hold_ends_at_ms, language.value) })
      : w("line_in_line_plain");
  }
  switch (state.kind) {
    case "all_held":
      return stock?.next_hold_ends_at_ms
        ? w("line_all_held", { time: formatTime(stock.next_hold_ends_at_ms, language.value) })
        : w("line_all_held_plain");
    case "limit_reached":
      return w("line_limit", { n: sale.limit_per_buyer });
    case "paused":
      return sale.state_reason === "payment_outage" || sale.state_reason === "stream_lost"
        ? w(`line_paused_${sale.state_reason}`)
        : w("line_paused_host");
    case "sold_out":
      return w("line_sold_out", { n: stock?.sold ?? sale.quota });
    default:
      return null;
  }
}
