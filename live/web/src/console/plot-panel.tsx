import { useEffect, useState } from "preact/hooks";
import { useDesk } from "./context";
import { Empty } from "./parts";
import type { Plot as PlotOf, PlotKind } from "./plots/plots";
import { w } from "./words";

const KINDS: readonly PlotKind[] = ["stock", "rush", "watching", "funnel", "latency", "money"];

/** On a phone the plots are a tab of their own, and cost nothing until it is opened. */
const wide = matchMedia("(min-width: 700px)");
let loaded: typeof PlotOf | null = null;

/** The plots, one at a time. uPlot and all that draws comes only when this is on the page. */
export function PlotPanel() {
  const desk = useDesk();
  const kind = desk.plot.value;
  const [Plot, setPlot] = useState<typeof PlotOf | null>(() => loaded);
  const [failed, setFailed] = useState(false);
  const load = (): void => {
    setFailed(false);
    import("./plots/plots").then(
      (module) => {
        loaded = module.Plot;
        setPlot(() => module.Plot);
      },
      () => setFailed(true),
    );
  };
  const isShown = wide.matches || desk.tab.value === "plots";
  useEffect(() => {
    if (!Plot && isShown) load();
  }, [isShown]);
  return (
    <section class="plots" aria-label={w("plots")} data-testid="plots" data-kind={kind}>
      <div class="plot-tabs" role="tablist" aria-label={w("plots")}>
        {KINDS.map((one, index) => (
          <button
            key={one}
            type="button"
            role="tab"
            id={`plot-tab-${one}`}
            aria-selected={kind === one}
            aria-controls="plot-body"
            tabIndex={kind === one ? 0 : -1}
            title={w(`plot_${one}_asks`)}
            data-testid={`plot-${one}`}
            onClick={() => (desk.plot.value = one)}
            onKeyDown={(event) => {
              const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
              const next = by && KINDS[(index + by + KINDS.length) % KINDS.length];
              if (!next) return;
              desk.plot.value = next;
              document.getElementById(`plot-tab-${next}`)?.focus();
            }}
          >
            {w(`plot_${one}`)}
          </button>
        ))}
      </div>
      <div class="plot-body" role="tabpanel" id="plot-body" aria-labelledby={`plot-tab-${kind}`}>
        {Plot ? (
          <Plot key={kind} kind={kind} />
        ) : failed ? (
          <Empty title={w("plots_failed")}>
            <button type="button" class="button" onClick={load}>
              {w("rooms_reload")}
            </button>
          </Empty>
        ) : (
          <p class="panel-wait" aria-busy="true">
            {w("loading_more")}
          </p>
        )}
      </div>
    </section>
  );
}
