import { useEffect, useState } from "preact/hooks";
import { api, Problem } from "../shared/api";
import { formatDateTime, formatElapsed } from "../shared/clock";
import { formatCount, formatMoney } from "../shared/money";
import { Sheet } from "../shared/sheet";
import type { Localised } from "../shared/types";
import { language, localised, shared } from "../shared/words";
import { changeOf } from "./change";
import { useDesk } from "./context";
import { explain } from "./explain";
import { Empty, ProblemLine } from "./parts";
import type { Buyers } from "./plots/data";
import { Recordings } from "./recordings";
import { type ConsoleWord, w } from "./words";

interface ProductSummary {
  product_id: string;
  title: Localised;
  currency: string;
  rounds: number;
  units: number;
  sold: number;
  watching: number;
  people: Buyers;
  ghosts: Buyers;
}

interface ShowNumbers {
  room_id: string;
  title: Localised;
  started_at_ms: number;
  ended_at_ms: number | null;
  views: number | null;
  watching_peak: number | null;
  buyers: number;
  placed: number;
  paid: number;
  units_paid: number;
  paid_minor: number;
  refunded_minor: number;
  average_minor: number | null;
  gpm_minor: number | null;
}

interface ShowSummary {
  room_id: string;
  status: string;
  rehearsal: boolean;
  started_at_ms: number | null;
  ended_at_ms: number | null;
  watching_peak: number;
  comments: number;
  likes: number;
  orders: Record<string, number>;
  unpaid: number;
  published_logs: number;
  open_sales: number;
  this_show: ShowNumbers | null;
  last_show: ShowNumbers | null;
  products: ProductSummary[];
}

/** The show in numbers: altogether, then per product. What a number means stands with it. */
export function SummarySheet() {
  const desk = useDesk();
  const lang = language.value;
  const [summary, setSummary] = useState<ShowSummary | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    api.get<ShowSummary>(desk.path("/summary")).then(setSummary, (error: unknown) => {
      if (!(error instanceof Problem)) throw error;
      setProblem(explain(error));
    });
  }, [desk]);
  const withGhosts = summary?.rehearsal ?? false;
  return (
    <Sheet title={w("summary")} kind="dialog" theme="dark" class="sheet-widest" onClose={() => (desk.isSummaryOpen.value = false)} testid="summary">
      {problem && <ProblemLine text={problem} />}
      {!summary && !problem && (
        <p class="panel-wait" aria-busy="true">
          {w("loading_more")}
        </p>
      )}
      {summary && (
        <>
          <p class="sheet-text num">{spanText(summary, lang)}</p>
          <Tiles summary={summary} currency={desk.products.value[0]?.currency ?? "CNY"} />
          <Comparison summary={summary} currency={desk.products.value[0]?.currency ?? "CNY"} host={desk.store.room.value?.host_name ?? ""} />
          {summary.open_sales > 0 && <p class="summary-note is-warning">{w("summary_open", { n: summary.open_sales })}</p>}
          {withGhosts && <p class="summary-note">{w("summary_rehearsal")}</p>}
          {summary.products.length === 0 ? <Empty title={w("summary_empty")} hint={w("summary_empty_hint")} /> : <Products products={summary.products} withGhosts={withGhosts} />}
          <div class="summary-files">
            <a class="button" href={desk.path("/summary.csv")} download data-testid="summary-csv">
              CSV
            </a>
            <a class="button" href={desk.path("/summary")} download={`summary-${desk.roomId}.json`} data-testid="summary-json">
              JSON
            </a>
            {desk.may("sell") && (
              <a class="button" href={desk.path("/orders.csv")} download>
                {w("summary_orders")}
              </a>
            )}
            <a class="button" href={desk.path("/audit.csv")} download>
              {w("summary_log")}
            </a>
          </div>
          {desk.role === "owner" && <Recordings />}
        </>
      )}
    </Sheet>
  );
}

function spanText(summary: ShowSummary, lang: "en" | "zh"): string {
  if (summary.started_at_ms === null) return w("summary_never");
  const from = formatDateTime(summary.started_at_ms, lang);
  if (summary.ended_at_ms === null) return w("summary_since", { from });
  return w("summary_span", { from, to: formatDateTime(summary.ended_at_ms, lang), time: formatElapsed(summary.ended_at_ms - summary.started_at_ms) });
}

function Tiles({ summary, currency }: { summary: ShowSummary; currency: string }) {
  const lang = language.value;
  const desk = useDesk();
  const { orders } = summary;
  const showUnpaid = (): void => {
    desk.orders.show("unpaid", "");
    desk.sideTab.value = "orders";
    desk.tab.value = "orders";
    desk.isSummaryOpen.value = false;
  };
  const money = (name: string): string => formatMoney(orders[name] ?? 0, currency, lang);
  const count = (n: number | undefined): string => formatCount(n ?? 0, lang);
  const kept = (orders.paid_minor ?? 0) - (orders.refunded_minor ?? 0);
  const tiles: [ConsoleWord, string, string][] = [
    ["placed", money("placed_minor"), w("orders_n", { n: count(orders.placed) })],
    ["paid", money("paid_minor"), w("orders_n", { n: count(orders.paid) })],
    ["summary_refunded", money("refunded_minor"), w("orders_n", { n: count(orders.refunded) })],
    ["summary_kept", formatMoney(kept, currency, lang), w("summary_kept_means")],
    ["summary_unpaid", count(summary.unpaid), w("summary_unpaid_means")],
    ["summary_peak", count(summary.watching_peak), w("summary_peak_means")],
    ["comments", count(summary.comments), `${w("likes")} ${count(summary.likes)}`],
    ["summary_logs", count(summary.published_logs), w("summary_logs_means")],
  ];
  return (
    <dl class="tiles">
      {tiles.map(([name, value, note]) => (
        <div key={name} class={`tile tile-${name}`}>
          <dt>{w(name)}</dt>
          <dd class="num">{value}</dd>
          <dd class="tile-note num">{note}</dd>
          {name === "summary_unpaid" && summary.unpaid > 0 && (
            <dd>
              <button type="button" class="link" data-testid="show-unpaid" onClick={showUnpaid}>
                {w("filter_unpaid")}
              </button>
            </dd>
          )}
        </div>
      ))}
    </dl>
  );
}

const COMPARED: readonly (readonly [keyof ShowNumbers & ConsoleNumber, ConsoleWord])[] = [
  ["views", "compare_views"],
  ["watching_peak", "summary_peak"],
  ["placed", "compare_placed"],
  ["paid", "compare_paid"],
  ["buyers", "compare_buyers"],
  ["paid_minor", "compare_money"],
  ["refunded_minor", "summary_refunded"],
  ["average_minor", "compare_average"],
  ["gpm_minor", "compare_gpm"],
];
type ConsoleNumber = { [K in keyof ShowNumbers]: ShowNumbers[K] extends number | null ? K : never }[keyof ShowNumbers];

/** This show beside the same host's last one. Three shows are no statistics: the two numbers stand first, the change after them. */
function Comparison({ summary, currency, host }: { summary: ShowSummary; currency: string; host: string }) {
  const lang = language.value;
  const { this_show: now, last_show: last } = summary;
  if (!now) return null;
  if (!last) {
    return (
      <p class="summary-note" data-testid="compare-none">
        {w("compare_none", { host })}
      </p>
    );
  }
  const text = (name: ConsoleNumber, value: number | null): string =>
    value === null ? "–" : name.endsWith("_minor") ? formatMoney(value, currency, lang) : formatCount(value, lang);
  return (
    <div class="summary-table compare" tabIndex={0} role="region" aria-label={w("compare")} data-testid="compare">
      <table class="num">
        <thead>
          <tr>
            <th scope="col">{w("compare")}</th>
            <th scope="col">{w("compare_this")}</th>
            <th scope="col">
              {w("compare_last")} <span class="compare-when">{formatDateTime(last.started_at_ms, lang)}</span>
            </th>
            <th scope="col">{w("compare_change")}</th>
          </tr>
        </thead>
        <tbody>
          {COMPARED.map(([name, word]) => (
            <tr key={name}>
              <th scope="row">{w(word)}</th>
              <td>{text(name, now[name])}</td>
              <td>{text(name, last[name])}</td>
              <td>{changeOf(now[name], last[name], lang)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Products({ products, withGhosts }: { products: readonly ProductSummary[]; withGhosts: boolean }) {
  const lang = language.value;
  const both = (one: ProductSummary, name: keyof Buyers): string => formatCount(one.people[name] + (withGhosts ? one.ghosts[name] : 0), lang);
  return (
    <div class="summary-table" tabIndex={0} role="region" aria-label={w("summary_products")}>
      <table class="num">
        <thead>
          <tr>
            <th scope="col">{w("summary_products")}</th>
            <th scope="col">{w("summary_rounds")}</th>
            <th scope="col">{w("units")}</th>
            <th scope="col">{shared.t("sold")}</th>
            <th scope="col">{w("summary_tapped")}</th>
            <th scope="col">{shared.t("held")}</th>
            <th scope="col">{w("placed")}</th>
            <th scope="col">{w("paid")}</th>
            <th scope="col">{w("summary_money")}</th>
          </tr>
        </thead>
        <tbody>
          {products.map((one) => (
            <tr key={one.product_id} data-testid="summary-product">
              <th scope="row">{localised(one.title)}</th>
              <td>{one.rounds}</td>
              <td>{formatCount(one.units, lang)}</td>
              <td>{formatCount(one.sold, lang)}</td>
              <td>{both(one, "tapped")}</td>
              <td>{both(one, "held")}</td>
              <td>{both(one, "placed")}</td>
              <td>{both(one, "paid")}</td>
              <td>{formatMoney(one.people.paid_minor - one.people.refunded_minor + (withGhosts ? one.ghosts.paid_minor - one.ghosts.refunded_minor : 0), one.currency, lang)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
