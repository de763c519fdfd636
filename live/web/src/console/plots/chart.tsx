import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { PlotSpec, Series, Tone } from "./spec";

const TIME_STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
/** Units, people, minor units of money: nothing here comes in halves. */
const WHOLE_STEPS = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9].flatMap((step) => [step, 2 * step, 5 * step]);
const VARIABLES: Record<Tone, string> = {
  available: "--stock-available",
  held: "--stock-held",
  sold: "--stock-sold-2",
  good: "--good",
  warn: "--warn",
  bad: "--bad",
  info: "--info",
  quiet: "--text-3",
};
const MAX_LABEL = 18;

interface Paints {
  colour: (tone: Tone) => string;
  text: string;
  grid: string;
  font: string;
}

/** Draws a spec with uPlot, and keeps the numbers under the pointer (else the last ones) in the legend. */
export function Chart({ spec }: { spec: PlotSpec }) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(spec);
  latest.current = spec;
  const [at, setAt] = useState<number | null>(null);

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const size = (): { width: number; height: number } => ({ width: Math.max(120, element.clientWidth), height: Math.max(90, element.clientHeight) });
    const made = new uPlot(options(latest, paints(element), size(), setAt), dataOf(latest.current), element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize(size()));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [spec.id]);
  useEffect(() => plot.current?.setData(dataOf(spec)), [spec]);

  return (
    <figure class="plot-figure">
      <div class="plot-host" ref={host} role="img" aria-label={spec.sentence} data-testid="plot" data-points={spec.xs.length} />
      <figcaption class="plot-legend num">
        {at !== null && spec.xs[at] !== undefined && <span class="plot-at">{spec.x.say(spec.xs[at] as number)}</span>}
        {spec.series.map((one) => (
          <span key={one.name} class="plot-key">
            <i class={`plot-swatch plot-swatch-${one.tone} ${one.isDashed ? "is-dashed" : ""} ${one.isHatched ? "is-hatched" : ""}`} aria-hidden="true" />
            {one.name}
            {valueText(spec, one, at) && <b>{valueText(spec, one, at)}</b>}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

function valueText(spec: PlotSpec, series: Series, at: number | null): string {
  if (at === null && series.idle !== undefined) return series.idle === null ? "" : spec.y.say(series.idle);
  const values = series.said ?? series.values;
  const value = at === null ? values.findLast((one) => one !== null) : values[at];
  return value === null || value === undefined ? "" : spec.y.say(value);
}

function dataOf(spec: PlotSpec): uPlot.AlignedData {
  return [spec.xs, ...spec.series.map((one) => one.values)] as uPlot.AlignedData;
}

function paints(element: HTMLElement): Paints {
  const style = getComputedStyle(element);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  return { colour: (tone) => read(VARIABLES[tone]), text: read("--text-3"), grid: read("--line"), font: `11px ${style.fontFamily}` };
}

function options(spec: { current: PlotSpec }, paint: Paints, size: { width: number; height: number }, onPoint: (at: number | null) => void): uPlot.Options {
  const first = spec.current;
  const steps = uPlot.paths.stepped?.({ align: 1 });
  const bars = uPlot.paths.bars?.({ size: [0.86, 64], align: first.x.ticks ? 0 : 1 });
  const bottom: uPlot.Axis = {
    stroke: paint.text,
    font: paint.font,
    size: first.x.lines === 2 ? 40 : 26,
    gap: 4,
    space: 76,
    grid: { show: false },
    ticks: { show: false },
    values: (_, splits) => splits.map((x) => spec.current.x.say(x)),
  };
  if (first.x.isTime) bottom.incrs = TIME_STEPS_S;
  if (first.x.ticks) bottom.splits = () => spec.current.x.ticks ?? [];
  return {
    ...size,
    padding: [14, first.x.isTime ? 26 : 14, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    scales: {
      x: { time: false, range: () => [spec.current.x.from, spec.current.x.to] },
      y: first.y.isLog
        ? { distr: 3, range: (_, low, high) => [Math.max(0.5, low * 0.8 || 0.5), Math.max(10, high * 1.25 || 10)] }
        : { range: (_, _low, high) => [0, Math.max(spec.current.y.atLeast ?? 1, (high ?? 0) * 1.06)] },
    },
    axes: [
      bottom,
      {
        stroke: paint.text,
        font: paint.font,
        size: 52,
        gap: 6,
        space: 34,
        grid: { stroke: paint.grid, width: 1 },
        ticks: { show: false },
        ...(first.y.isLog ? {} : { incrs: WHOLE_STEPS }),
        values: (_, splits) => splits.map((y) => (y === null ? "" : spec.current.y.say(y))),
      },
    ],
    series: [
      {},
      ...first.series.map((one): uPlot.Series => {
        const colour = paint.colour(one.tone);
        const drawn: uPlot.Series = { label: one.name, stroke: colour, width: one.shape === "bars" ? 0 : 1.75, points: { show: false }, spanGaps: one.shape === "line" };
        if (one.shape === "step" || one.shape === "area") drawn.paths = steps as uPlot.Series.PathBuilder;
        if (one.shape === "bars") drawn.paths = bars as uPlot.Series.PathBuilder;
        if (one.isDashed) drawn.dash = [5, 4];
        if (one.shape === "area" || one.shape === "bars") drawn.fill = one.isHatched ? hatch(colour) : one.shape === "bars" ? colour : `${opaque(colour)}`;
        return drawn;
      }),
    ],
    hooks: {
      draw: [(plot) => drawMarks(plot, spec.current, paint), (plot) => drawProjection(plot, spec.current, paint)],
      setCursor: [(plot) => onPoint(plot.cursor.idx ?? null)],
    },
  };
}

/** A stack's areas cover one another, so each is mixed with the ground instead of let through. */
function opaque(colour: string): string {
  return `color-mix(in srgb, ${colour} 46%, #14141c)`;
}

function hatch(colour: string): CanvasRenderingContext2D["fillStyle"] {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const pen = tile.getContext("2d");
  if (!pen) return colour;
  pen.fillStyle = opaque(colour);
  pen.fillRect(0, 0, 8, 8);
  pen.strokeStyle = colour;
  pen.lineWidth = 2;
  pen.beginPath();
  for (const from of [-8, 0, 8]) {
    pen.moveTo(from, 8);
    pen.lineTo(from + 8, 0);
  }
  pen.stroke();
  return pen.createPattern(tile, "repeat") ?? colour;
}

function drawMarks(plot: uPlot, spec: PlotSpec, paint: Paints): void {
  const { ctx, bbox } = plot;
  const scale = devicePixelRatio || 1;
  let freeFrom = Number.NEGATIVE_INFINITY;
  ctx.save();
  ctx.font = paint.font.replace("11px", `${Math.round(10.5 * scale)}px`);
  ctx.textAlign = "left";
  ctx.textBaseline = "bottom";
  for (const mark of [...spec.marks].sort((a, b) => a.x - b.x)) {
    if (mark.x < spec.x.from || mark.x > spec.x.to) continue;
    const x = Math.round(plot.valToPos(mark.x, "x", true));
    ctx.strokeStyle = paint.colour(mark.tone);
    ctx.lineWidth = scale;
    ctx.setLineDash([2 * scale, 3 * scale]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const text = mark.label.length > MAX_LABEL ? `${mark.label.slice(0, MAX_LABEL - 1)}…` : mark.label;
    const width = ctx.measureText(text).width;
    // Labels that would run into one another are left out; the line stays.
    const left = Math.min(x, bbox.left + bbox.width - width);
    if (left < freeFrom) continue;
    ctx.fillStyle = paint.colour(mark.tone);
    ctx.fillText(text, left, bbox.top - scale);
    freeFrom = left + width + 8 * scale;
  }
  ctx.restore();
}

function drawProjection(plot: uPlot, spec: PlotSpec, paint: Paints): void {
  if (!spec.projection) return;
  const { ctx } = plot;
  const scale = devicePixelRatio || 1;
  const [from, to] = [spec.projection.from, spec.projection.to].map(([x, y]) => [plot.valToPos(x, "x", true), plot.valToPos(y, "y", true)] as const);
  if (!from || !to) return;
  ctx.save();
  ctx.strokeStyle = paint.colour("warn");
  ctx.lineWidth = 1.5 * scale;
  ctx.setLineDash([4 * scale, 4 * scale]);
  ctx.beginPath();
  ctx.moveTo(...from);
  ctx.lineTo(...to);
  ctx.stroke();
  ctx.restore();
}
