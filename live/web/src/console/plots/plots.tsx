/** The console's plots. Loaded when one is looked at; each answers one question. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { formatRemaining, formatTime, heartbeat } from "../../shared/clock";
import { formatCount, formatMoney } from "../../shared/money";
import { language, localised, shared } from "../../shared/words";
import { emptyInMs, type Sample, takenPerSecond } from "../burn-down";
import { useDesk, useTicking } from "../context";
import { Empty, ProblemLine } from "../parts";
import type { RoomDesk } from "../room-desk";
import { Chart } from "./chart";
import type { Delays, HistoryMark, LatencyHistory, MoneyHistory, Rush, SaleFunnel, StockHistory, WatchingHistory } from "./data";
import { delayBars, funnel, HUMAN_MS, joinedSamples, moneyLines, rushBars, stack } from "./figures";
import { useHistory } from "./history";
import "./plots.css";
import type { Mark, PlotSpec, Tone } from "./spec";
import { plotWords } from "./words";

export type PlotKind = "stock" | "rush" | "watching" | "funnel" | "latency" | "money";

const p = plotWords.t;
const DRAW_EVERY_MS = 500;
const HISTORY_EVERY_MS = 5_000;
const RUSH_EVERY_MS = 2_000;
/** How much of the flat beginning is shown before the first unit moves. */
const LEAD_MS = 3_000;
/** No projection reaches further ahead than this part of what has been. */
const MAX_AHEAD = 0.6;
/** As many bounds of classes as can be read beside each other. */
const MAX_DELAY_LABELS = 7;

export function Plot({ kind }: { kind: PlotKind }) {
  switch (kind) {
    case "stock":
      return <StockPlot />;
    case "rush":
      return <RushPlot />;
    case "watching":
      return <WatchingPlot />;
    case "funnel":
      return <FunnelPlot />;
    case "latency":
      return <LatencyPlot />;
    case "money":
      return <MoneyPlot />;
  }
}

interface FrameProps {
  note?: ComponentChildren;
  problem?: string | null;
  spec: PlotSpec | null;
  isLoading?: boolean;
  empty: [title: string, hint: string];
}

function Frame({ note, problem, spec, isLoading = false, empty }: FrameProps) {
  return (
    <div class="plot">
      {problem && !spec && <ProblemLine text={problem} />}
      {spec ? (
        <>
          <Chart spec={spec} />
          {note && <p class="plot-note num">{note}</p>}
        </>
      ) : isLoading && !problem ? (
        <p class="panel-wait" aria-busy="true">
          {p("loading")}
        </p>
      ) : (
        <Empty title={empty[0]} hint={empty[1]} />
      )}
    </div>
  );
}

const time = (seconds: number): string => formatTime(seconds * 1000, language.value);
const count = (n: number): string => formatCount(Math.round(n), language.value);

/** The server's time in steps, so that a plot is drawn twice a second and not at every heartbeat. */
function useNowMs(desk: RoomDesk, runs: boolean): number {
  return useTicking(() => {
    if (!runs) return 0;
    void heartbeat.value;
    return Math.floor(desk.store.serverNow() / DRAW_EVERY_MS) * DRAW_EVERY_MS;
  }, [desk, runs]);
}

const TONES: Record<string, Tone> = { sale_pause: "warn", sale_abort: "bad", sale_end: "bad", sale_stock: "info", pin: "quiet", status: "quiet", announce: "quiet", desk_take_over: "quiet" };

function marksOf(desk: RoomDesk, marks: readonly HistoryMark[]): Mark[] {
  return marks
    .filter((mark) => mark.action !== "pin" || mark.target !== "none")
    .map((mark) => {
      const word = `mark_${mark.action}`;
      const name = mark.action === "pin" ? localised(desk.product(mark.target)?.title) : "";
      return { x: mark.at_ms / 1000, label: name || (plotWords.has(word) ? p(word) : mark.action), tone: TONES[mark.action] ?? "good" };
    });
}

// --- stock ------------------------------------------------------------------------------------------------------

/** When will it run out, and what is stuck in holds? */
function StockPlot() {
  const desk = useDesk();
  const lang = language.value;
  const sale = desk.sale();
  const isPlanned = !sale || sale.state === "draft" || sale.state === "ready";
  const history = useHistory<StockHistory>(isPlanned ? null : `/api/sales/${encodeURIComponent(sale.sale_id)}/charts/stock`, HISTORY_EVERY_MS);
  const own: readonly Sample[] = (sale && desk.samples.value.get(sale.sale_id)) ?? [];
  const runs = sale?.state === "open" || sale?.state === "paused" || sale?.state === "draining";
  const samples = joinedSamples(history.data?.points ?? [], own);
  const tickMs = useNowMs(desk, runs);
  const first = samples[0];
  const last = samples.at(-1);
  const empty: [string, string] = [p("stock_empty"), p("stock_empty_hint")];
  if (!first || !last || (samples.length < 2 && !runs)) {
    return <Frame spec={null} empty={empty} problem={history.problem} isLoading={!isPlanned && history.data === null} />;
  }
  const untilMs = Math.max(tickMs, last.at_ms + 1000);
  const fromMs = Math.max(first.at_ms, (samples[1]?.at_ms ?? 0) - LEAD_MS);
  const drawn = stack([{ ...first, at_ms: fromMs }, ...samples.slice(1)], untilMs);
  const isOpen = sale?.state === "open";
  const rate = isOpen ? takenPerSecond(samples, untilMs) * 60 : 0;
  const emptyMs = isOpen && rate >= 0.5 ? emptyInMs(samples, untilMs) : null;
  const aheadMs = (untilMs - fromMs) * MAX_AHEAD;
  const reaches = emptyMs !== null && emptyMs > 0 && emptyMs <= aheadMs;
  const quota = last.available + last.held + last.sold;
  const marks = marksOf(desk, history.data?.marks ?? []);
  if (history.data?.closed_at_ms) marks.push({ x: history.data.closed_at_ms / 1000, label: p("mark_closed"), tone: "quiet" });
  const spec: PlotSpec = {
    id: `stock/${lang}/${sale?.sale_id}`,
    sentence: p("stock_says", { from: formatTime(fromMs, lang), available: last.available, held: last.held, sold: last.sold }),
    xs: drawn.xs,
    series: [
      { name: shared.t("available"), tone: "available", shape: "area", values: drawn.top, said: drawn.available },
      { name: shared.t("held"), tone: "held", shape: "area", values: drawn.heldTop, said: drawn.held, isHatched: true },
      { name: shared.t("sold"), tone: "sold", shape: "area", values: drawn.sold },
    ],
    marks,
    x: { from: fromMs / 1000, to: (untilMs + (reaches ? emptyMs : 0)) / 1000, isTime: true, say: time },
    y: { say: count, atLeast: 2 },
    ...(reaches ? { projection: { from: [untilMs / 1000, last.sold + last.held], to: [(untilMs + emptyMs) / 1000, quota] } } : {}),
  };
  const note = !isOpen ? "" : rate < 0.5 ? p("quiet") : [p("rate", { n: Math.round(rate) }), emptyMs !== null && emptyMs > 0 ? p("zero_in", { time: formatRemaining(emptyMs) }) : ""].filter(Boolean).join(" · ");
  return <Frame spec={spec} note={note} empty={empty} />;
}

// --- rush -------------------------------------------------------------------------------------------------------

/** Was it fair? Were there machines? */
function RushPlot() {
  const desk = useDesk();
  const lang = language.value;
  const sale = desk.sale();
  const isPlanned = !sale || sale.state === "draft" || sale.state === "ready";
  const { data, problem } = useHistory<Rush>(isPlanned ? null : `/api/sales/${encodeURIComponent(sale.sale_id)}/rush?bucket_ms=50`, RUSH_EVERY_MS);
  const empty: [string, string] = [p("rush_empty"), p("rush_empty_hint")];
  const bars = data && rushBars(data);
  if (!data || !bars?.total) return <Frame spec={null} empty={empty} problem={problem} isLoading={!isPlanned && data === null} />;
  const marks: Mark[] = [{ x: HUMAN_MS / 1000, label: "150 ms", tone: "quiet" }];
  if (data.last_unit_t_ms !== null) marks.push({ x: data.last_unit_t_ms / 1000, label: p("last_unit"), tone: "bad" });
  const spec: PlotSpec = {
    id: `rush/${lang}/${sale?.sale_id}`,
    sentence: p("rush_says", { granted: data.granted, refused: data.refused }),
    xs: bars.xs,
    series: [
      { name: p("refused"), tone: "quiet", shape: "bars", values: bars.both, said: bars.refused, idle: data.refused, isHatched: true },
      { name: p("granted"), tone: "good", shape: "bars", values: bars.granted, idle: data.granted },
    ],
    marks,
    x: { from: 0, to: (bars.xs.at(-1) ?? 1) + data.bucket_ms / 1000, isTime: false, say: (x) => `${Number(x.toFixed(2))} s` },
    y: { say: count, atLeast: 4 },
  };
  return <Frame spec={spec} note={p("too_fast", { n: bars.tooFastPercent })} empty={empty} />;
}

// --- watching ---------------------------------------------------------------------------------------------------

/** What moved the audience? */
function WatchingPlot() {
  const desk = useDesk();
  const lang = language.value;
  const { data, problem } = useHistory<WatchingHistory>(desk.path("/charts/watching"), HISTORY_EVERY_MS);
  const nowMs = useNowMs(desk, true);
  const empty: [string, string] = [p("watching_empty"), p("watching_empty_hint")];
  if (!data?.points.length) return <Frame spec={null} empty={empty} problem={problem} isLoading={data === null} />;
  const ghosts = desk.numbers.stats.value?.ghosts ?? data.points.at(-1)?.ghosts ?? 0;
  const now = { at_ms: Math.max(nowMs, (data.points.at(-1)?.at_ms ?? 0) + 1), people: desk.store.watching.value?.count ?? data.points.at(-1)?.people ?? 0, ghosts };
  const points = [...data.points, now];
  const most = Math.max(...points.map((one) => one.people));
  const hasGhosts = points.some((one) => one.ghosts > 0);
  const spec: PlotSpec = {
    id: `watching/${lang}/${hasGhosts}`,
    sentence: p("watching_says", { n: now.people, most }),
    xs: points.map((one) => one.at_ms / 1000),
    series: [
      { name: p("people"), tone: "info", shape: "step", values: points.map((one) => one.people) },
      ...(hasGhosts ? [{ name: p("simulated"), tone: "quiet", shape: "step", values: points.map((one) => one.ghosts), isDashed: true } as const] : []),
    ],
    marks: marksOf(desk, data.marks),
    x: { from: (points[0]?.at_ms ?? 0) / 1000, to: now.at_ms / 1000, isTime: true, say: time },
    y: { say: count, atLeast: 4 },
  };
  return <Frame spec={spec} empty={empty} />;
}

// --- funnel -----------------------------------------------------------------------------------------------------

/** Where do buyers fall out? */
function FunnelPlot() {
  const desk = useDesk();
  const lang = language.value;
  const [isWhole, setWhole] = useState(false);
  const withGhosts = desk.store.room.value?.rehearsal ?? false;
  const { data, problem } = useHistory<{ sales: SaleFunnel[] }>(desk.path("/charts/funnel"), HISTORY_EVERY_MS);
  const empty: [string, string] = [p("funnel_empty"), p("funnel_empty_hint")];
  const mine = data?.sales.filter((sale) => sale.sale_id === desk.sale()?.sale_id) ?? [];
  const shown = isWhole || !mine.length ? (data?.sales ?? []) : mine;
  if (!shown.length) return <Frame spec={null} empty={empty} problem={problem} isLoading={data === null} />;
  const { steps, lost } = funnel(shown, withGhosts);
  const label = (index: number, between = " "): string => {
    const step = steps[index];
    return step ? `${p(`funnel_${step.name}`)}${between}${step.count}${step.percentOfBefore === null ? "" : ` · ${step.percentOfBefore}%`}` : "";
  };
  const spec: PlotSpec = {
    id: `funnel/${lang}/${withGhosts}`,
    sentence: steps.map((_, index) => label(index)).join(", "),
    xs: steps.map((_, index) => index),
    series: [{ name: withGhosts ? p("with_simulated") : p("buyers"), tone: "info", shape: "bars", values: steps.map((one) => one.count), idle: null }],
    marks: [],
    x: { from: -0.5, to: steps.length - 0.5, isTime: false, say: (x) => label(x, "\n"), ticks: steps.map((_, index) => index), lines: 2 },
    y: { say: count, atLeast: 4 },
  };
  return (
    <>
      {mine.length > 0 && (data?.sales.length ?? 0) > 1 && (
        <div class="plot-choice" role="group" aria-label={p("buyers")}>
          {[false, true].map((whole) => (
            <button key={String(whole)} type="button" class="filter" aria-pressed={isWhole === whole} onClick={() => setWhole(whole)}>
              {p(whole ? "whole_show" : "this_sale")}
            </button>
          ))}
        </div>
      )}
      <Frame spec={spec} note={p("funnel_lost", { ...lost })} empty={empty} />
    </>
  );
}

// --- latency ----------------------------------------------------------------------------------------------------

/** Is the machine late, or the picture? */
function LatencyPlot() {
  const [ofPictures, setOfPictures] = useState(false);
  return (
    <>
      <div class="plot-choice" role="group" aria-label={p("late_what")}>
        {[false, true].map((one) => (
          <button key={String(one)} type="button" class="filter" aria-pressed={ofPictures === one} data-testid={one ? "latency-pictures" : "latency-decisions"} onClick={() => setOfPictures(one)}>
            {p(one ? "late_pictures" : "late_decisions")}
          </button>
        ))}
      </div>
      {ofPictures ? <DelaysPlot /> : <DecisionsPlot />}
    </>
  );
}

/** How late do viewers see it? */
function DelaysPlot() {
  const desk = useDesk();
  const lang = language.value;
  const { data, problem } = useHistory<Delays>(desk.path("/charts/delays"), HISTORY_EVERY_MS);
  const empty: [string, string] = [p("delays_empty"), p("delays_empty_hint")];
  const bars = data && delayBars(data);
  if (!data || !bars?.total) return <Frame spec={null} empty={empty} problem={problem} isLoading={data === null} />;
  const s = (ms: number | null): string => (ms === null ? "–" : `${Number((ms / 1000).toFixed(ms < 1000 ? 2 : 1))} s`);
  const label = (index: number): string => {
    const bar = bars.bounds[index];
    return !bar ? "" : bar.toMs === null ? `> ${s(bar.fromMs)}` : `≤ ${s(bar.toMs)}`;
  };
  const says = (way: "webrtc" | "hls"): string => (data[way].pages ? p("delays_way", { way: p(way), n: data[way].pages, p50: s(data[way].p50_ms), p95: s(data[way].p95_ms) }) : "");
  const said = [says("webrtc"), says("hls")].filter(Boolean);
  const everyNth = Math.ceil(bars.xs.length / MAX_DELAY_LABELS);
  const spec: PlotSpec = {
    id: `delays/${lang}`,
    sentence: said.join(" "),
    xs: bars.xs,
    series: [
      { name: p("hls"), tone: "warn", shape: "bars", values: bars.both, said: bars.hls, idle: data.hls.pages, isHatched: true },
      { name: p("webrtc"), tone: "good", shape: "bars", values: bars.webrtc, idle: data.webrtc.pages },
    ],
    marks: [],
    x: { from: -0.5, to: bars.xs.length - 0.5, isTime: false, say: label, ticks: bars.xs.filter((n) => n % everyNth === 0) },
    y: { say: count, atLeast: 4 },
  };
  return <Frame spec={spec} note={<span data-testid="delays-note">{said.join(" · ")}</span>} empty={empty} />;
}

function DecisionsPlot() {
  const desk = useDesk();
  const lang = language.value;
  const { data, problem } = useHistory<LatencyHistory>(desk.path("/charts/latency"), HISTORY_EVERY_MS);
  const empty: [string, string] = [p("latency_empty"), p("latency_empty_hint")];
  const points = data?.points ?? [];
  const last = points.at(-1);
  if (!last) return <Frame spec={null} empty={empty} problem={problem} isLoading={data === null} />;
  const ms = (value: number): string => `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} ms`;
  const drawn = points.length === 1 ? [{ ...last, at_ms: last.at_ms - (data?.window_ms ?? 0) }, last] : points;
  const spec: PlotSpec = {
    id: `latency/${lang}`,
    sentence: p("latency_says", { p50: ms(last.p50_ms), p99: ms(last.p99_ms) }),
    xs: drawn.map((one) => one.at_ms / 1000),
    series: [
      { name: p("p99"), tone: "bad", shape: "line", values: drawn.map((one) => one.p99_ms) },
      { name: p("p95"), tone: "warn", shape: "line", values: drawn.map((one) => one.p95_ms), isDashed: true },
      { name: p("p50"), tone: "good", shape: "line", values: drawn.map((one) => one.p50_ms) },
    ],
    marks: [],
    x: { from: (drawn[0]?.at_ms ?? 0) / 1000, to: last.at_ms / 1000, isTime: true, say: time },
    y: { say: ms, isLog: true },
  };
  const hub = desk.truth.roundTripMs.value;
  const shop = desk.numbers.roundTripMs.value;
  const note = [p("decisions_n", { n: formatCount(points.reduce((sum, one) => sum + one.count, 0), lang) }), hub !== null && shop !== null ? p("from_here", { hub: Math.round(hub), shop: Math.round(shop) }) : ""].filter(Boolean).join(" · ");
  return <Frame spec={spec} note={note} empty={empty} />;
}

// --- money ------------------------------------------------------------------------------------------------------

/** What is really earned? */
function MoneyPlot() {
  const desk = useDesk();
  const lang = language.value;
  const withGhosts = desk.store.room.value?.rehearsal ?? false;
  const currency = desk.products.value[0]?.currency ?? "CNY";
  const { data, problem } = useHistory<MoneyHistory>(desk.path("/charts/money"), HISTORY_EVERY_MS);
  const empty: [string, string] = [p("money_empty"), p("money_empty_hint")];
  const lines = data && moneyLines(data.steps, data.since_ms, data.now_ms, withGhosts);
  if (!lines || !lines.placed.at(-1)) return <Frame spec={null} empty={empty} problem={problem} isLoading={data === null} />;
  const money = (minor: number): string => formatMoney(minor, currency, lang);
  const end = (line: number[]): string => money(line.at(-1) ?? 0);
  const firstAt = lines.xs[lines.placed.findIndex((one) => one > 0)] ?? 0;
  const spec: PlotSpec = {
    id: `money/${lang}`,
    sentence: p("money_says", { placed: end(lines.placed), paid: end(lines.paid), refunded: end(lines.refunded) }),
    xs: lines.xs,
    series: [
      { name: p("placed"), tone: "quiet", shape: "step", values: lines.placed, isDashed: true },
      { name: p("paid"), tone: "good", shape: "area", values: lines.paid },
      { name: p("refunded"), tone: "bad", shape: "step", values: lines.refunded },
    ],
    marks: [],
    // A long quiet beginning says nothing about money.
    x: { from: Math.max(lines.xs[0] ?? 0, firstAt - Math.max(10, ((lines.xs.at(-1) ?? 0) - firstAt) * 0.15)), to: lines.xs.at(-1) ?? 1, isTime: true, say: time },
    y: { say: money, atLeast: 100 },
  };
  return <Frame spec={spec} note={withGhosts ? p("with_simulated") : ""} empty={empty} />;
}
