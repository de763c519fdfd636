import { formatRemaining, formatTime, heartbeat } from "../shared/clock";
import { formatCount } from "../shared/money";
import { language } from "../shared/words";
import { emptyInMs, type Sample, shapes, takenPerSecond } from "./burn-down";
import { useDesk, useTicking } from "./context";
import { Empty } from "./parts";
import { w } from "./words";

const WIDTH = 400;
const HEIGHT = 120;
/** Redrawn this often while the sale runs; between two values only the right edge moves. */
const DRAW_EVERY_MS = 500;
/** How much of the flat beginning is shown before the first unit moves. */
const LEAD_MS = 3_000;

/** Answers: when will it run out, and how much of it is stuck in holds? */
export function BurnDown() {
  const desk = useDesk();
  const lang = language.value;
  const sale = desk.sale();
  const samples: readonly Sample[] = (sale && desk.samples.value.get(sale.sale_id)) ?? [];
  const runs = sale?.state === "open" || sale?.state === "paused" || sale?.state === "draining";
  const nowMs = useTicking(() => {
    if (!runs) return samples.at(-1)?.at_ms ?? 0;
    void heartbeat.value;
    return Math.floor(desk.store.serverNow() / DRAW_EVERY_MS) * DRAW_EVERY_MS;
  }, [desk, runs, samples]);
  const first = samples[0];
  const last = samples.at(-1);
  const isFlat = samples.length < 2 && !runs;
  return (
    <div class="burn">
      <header class="panel-head">
        <h2>{w("burn_down")}</h2>
        {first && last && !isFlat && <span class="panel-note num">{rateLine(samples, nowMs, sale?.state === "open")}</span>}
      </header>
      {!first || !last || isFlat ? (
        <Empty title={w("burn_empty")} hint={w("burn_empty_hint")} />
      ) : (
        <Plot samples={samples} fromMs={Math.max(first.at_ms, (samples[1]?.at_ms ?? 0) - LEAD_MS)} toMs={Math.max(nowMs, last.at_ms + 1000)} first={first} last={last} lang={lang} />
      )}
    </div>
  );
}

function rateLine(samples: readonly Sample[], nowMs: number, isOpen: boolean): string {
  if (!isOpen) return "";
  const rate = takenPerSecond(samples, nowMs) * 60;
  if (rate < 0.5) return w("burn_quiet");
  const emptyMs = emptyInMs(samples, nowMs);
  const parts = [w("burn_rate", { n: Math.round(rate) })];
  if (emptyMs !== null && emptyMs > 0) parts.push(w("burn_zero", { time: formatRemaining(emptyMs) }));
  return parts.join(" · ");
}

interface PlotProps {
  samples: readonly Sample[];
  fromMs: number;
  toMs: number;
  first: Sample;
  last: Sample;
  lang: "en" | "zh";
}

function Plot({ samples, fromMs, toMs, first, last, lang }: PlotProps) {
  const drawn = shapes(samples, fromMs, toMs, WIDTH, HEIGHT);
  const sentence = w("burn_sentence", {
    from: formatTime(first.at_ms, lang),
    available: last.available,
    held: last.held,
    sold: last.sold,
  });
  return (
    <figure class="burn-figure">
      <span class="burn-axis num" aria-hidden="true">
        <span>{formatCount(drawn.top, lang)}</span>
        <span>0</span>
      </span>
      <svg class="burn-svg" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={sentence}>
        <defs>
          <pattern id="burn-held" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
            <rect width="6" height="6" class="burn-held-ground" />
            <rect width="2" height="6" class="burn-held-line" />
          </pattern>
        </defs>
        {[0.25, 0.5, 0.75].map((at) => (
          <line key={at} x1="0" x2={WIDTH} y1={HEIGHT * at} y2={HEIGHT * at} class="burn-grid" />
        ))}
        <path d={drawn.available} class="burn-available" />
        <path d={drawn.held} fill="url(#burn-held)" />
        <path d={drawn.sold} class="burn-sold" />
      </svg>
      <figcaption class="burn-times num">
        <span>{formatTime(fromMs, lang)}</span>
        <span>{formatTime(toMs, lang)}</span>
      </figcaption>
    </figure>
  );
}
