/** Small parts of the console. */

import type { ComponentChildren } from "preact";
import { WarningIcon } from "../shared/icons";
import type { SaleState } from "../shared/types";
import { shared } from "../shared/words";
import type { ActionRunner } from "./runner";
import { w } from "./words";

/** The state of a sale as a word on its colour; the word carries the meaning, the colour only helps. */
export function StatePill({ state, lock = false, big = false }: { state: SaleState; lock?: boolean; big?: boolean }) {
  return (
    <span class={`pill pill-${lock ? "inconsistent" : state} ${big ? "pill-big" : ""}`} data-state={state}>
      <i aria-hidden="true" />
      {shared.t(`state_${state}`)}
    </span>
  );
}

/** What a simulated viewer said or did is marked wherever it stands. */
export function GhostMark() {
  return (
    <span class="ghost-mark" title={shared.t("ghost")}>
      {w("ghost_short")}
    </span>
  );
}

/** Why a panel is empty, and the one thing to do about it. */
export function Empty({ title, hint, children }: { title: string; hint?: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <b>{title}</b>
      {hint && <p>{hint}</p>}
      {children}
    </div>
  );
}

/** The last failure at a place, where the action was. */
export function FailureLine({ runner, place }: { runner: ActionRunner; place: string }) {
  const failure = runner.failure(place);
  return failure ? <ProblemLine text={failure.text} onDismiss={() => runner.dismiss(place)} /> : null;
}

export function ProblemLine({ text, onDismiss }: { text: string; onDismiss?: () => void }) {
  return (
    <div class="problem" role="alert" data-testid="problem">
      <WarningIcon size={16} />
      <span>{text}</span>
      {onDismiss && (
        <button type="button" class="problem-close" aria-label={shared.t("close")} onClick={onDismiss}>
          ×
        </button>
      )}
    </div>
  );
}

/** "2 min", "45 s" for terms. */
export function span(ms: number, word: (key: "preset_s" | "preset_min", vars: { n: number }) => string): string {
  const seconds = Math.round(ms / 1000);
  return seconds >= 60 && seconds % 60 === 0 ? word("preset_min", { n: seconds / 60 }) : word("preset_s", { n: seconds });
}
