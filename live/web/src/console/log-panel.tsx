import { formatTime } from "../shared/clock";
import { language } from "../shared/words";
import type { AuditEntry } from "./audit";
import { changeText, nameOf, targetText } from "./audit-text";
import { useDesk } from "./context";
import { Empty, ProblemLine } from "./parts";
import { w } from "./words";

/** Who did what to what, and what it changed. */
export function LogPanel() {
  const desk = useDesk();
  const { audit } = desk;
  const entries = audit.entries.value;
  return (
    <div class="log">
      {audit.problem.value && <ProblemLine text={audit.problem.value} />}
      <div class="log-rows" data-testid="audit" tabIndex={0} role="region" aria-label={w("log")}>
        {entries === null ? (
          <p class="panel-wait" aria-busy="true">
            {w("loading_more")}
          </p>
        ) : entries.length === 0 ? (
          <Empty title={w("log_empty")} hint={w("log_empty_hint")} />
        ) : (
          <ol>
            {entries.map((entry, index) => (
              <Entry key={`${entry.at_ms}/${entry.action}/${index}`} entry={entry} />
            ))}
          </ol>
        )}
        {audit.nextCursor.value && entries && (
          <button type="button" class="button button-quiet button-wide" disabled={audit.isLoadingMore.value} onClick={() => void audit.more()}>
            {w(audit.isLoadingMore.value ? "loading_more" : "more")}
          </button>
        )}
      </div>
    </div>
  );
}

function Entry({ entry }: { entry: AuditEntry }) {
  const change = changeText(entry.before, entry.after);
  return (
    <li class="entry" data-testid="audit-entry">
      <time class="num">{formatTime(entry.at_ms, language.value)}</time>
      <p>
        <b>{nameOf(entry.actor)}</b> <span class="entry-action">{entry.action.replace(/[._]/g, " ")}</span>{" "}
        <span class="entry-target mono">{targetText(entry.target)}</span>
        {change && <span class="entry-change num">{change}</span>}
      </p>
    </li>
  );
}
