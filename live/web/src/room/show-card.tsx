import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { formatDateTime, heartbeat } from "../shared/clock";
import { CalendarIcon, ReceiptIcon, ShareIcon } from "../shared/icons";
import { formatMoney } from "../shared/money";
import { language, localised } from "../shared/words";
import { useSession } from "./context";
import { w } from "./words";

/** Before the show: when it begins, and a reminder. After it: what I have bought, and what anybody may check. */
export function ShowCard() {
  const status = useSession().store.room.value?.status;
  if (status === "preshow") return <BeforeTheShow />;
  return status === "ended" ? <AfterTheShow /> : null;
}

/** "2 d 03:04:05", "03:04:05"; empty when the time has come: then only the host's going live counts. */
export function timeUntil(ms: number): string {
  if (ms <= 0) return "";
  const seconds = Math.ceil(ms / 1000);
  const two = (n: number): string => String(n).padStart(2, "0");
  const clock = `${two(Math.floor(seconds / 3600) % 24)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  const days = Math.floor(seconds / 86_400);
  return days > 0 ? w("days_and", { days, clock }) : clock;
}

function BeforeTheShow() {
  const session = useSession();
  const { store } = session;
  const startsAtMs = store.room.value?.starts_at_ms ?? null;
  const left = useMemo(
    () =>
      computed(() => {
        void heartbeat.value;
        return startsAtMs === null ? "" : timeUntil(startsAtMs - store.serverNow());
      }),
    [startsAtMs, store],
  );
  return (
    <section class="show-card" aria-label={w("before_show")} data-testid="before-show">
      <p class="show-card-head">{w("before_show")}</p>
      {startsAtMs === null ? (
        <p class="show-card-sub">{w("before_soon")}</p>
      ) : (
        <>
          <time class="show-card-clock num" role="timer" aria-live="off">
            {left.value || w("any_moment")}
          </time>
          <p class="show-card-sub">{formatDateTime(startsAtMs, language.value)}</p>
        </>
      )}
      <p class="show-card-actions">
        {startsAtMs !== null && left.value && (
          <a class="button" data-testid="remind" href={`${location.pathname}/show.ics`} download="show.ics">
            <CalendarIcon size={18} /> {w("remind_me")}
          </a>
        )}
        <button type="button" class="button" onClick={() => (session.panel.value = { kind: "share" })}>
          <ShareIcon size={18} /> {w("share")}
        </button>
      </p>
    </section>
  );
}

const COUNTED: readonly string[] = ["paid", "fulfilled"];

function AfterTheShow() {
  const session = useSession();
  const mine = [...session.things.orders.value.values()].filter((order) => COUNTED.includes(order.state));
  const totals = new Map<string, number>();
  for (const order of mine) totals.set(order.currency, (totals.get(order.currency) ?? 0) + order.total_minor);
  const total = [...totals].map(([currency, minor]) => formatMoney(minor, currency, language.value)).join(" + ");
  const rounds = [...session.store.sales.value.values()].filter((sale) => sale.state === "published");
  return (
    <section class="show-card" aria-label={w("after_show")} data-testid="after-show">
      <p class="show-card-head">{w("after_show")}</p>
      <p class="show-card-sub">
        {mine.length ? w("after_bought", { n: mine.length, total }) : w("after_nothing")}
      </p>
      <p class="show-card-actions">
        {mine.length > 0 && (
          <button type="button" class="button" onClick={() => (session.panel.value = { kind: "things" })}>
            <ReceiptIcon size={18} /> {w("my_things")}
          </button>
        )}
      </p>
      {rounds.length > 0 && (
        <details class="show-card-logs">
          <summary>{w("after_logs", { n: rounds.length })}</summary>
          <ul>
            {rounds.map((sale) => (
              <li key={sale.sale_id}>
                <a href={`/api/sales/${encodeURIComponent(sale.sale_id)}/log`} download>
                  {localised(session.product(sale.product_id)?.title)} · {w("round", { n: sale.round })}
                </a>
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

