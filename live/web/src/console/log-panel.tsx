import { useEffect, useState } from "preact/hooks";
import { formatDateTime, formatTime } from "../shared/clock";
import { SearchIcon } from "../shared/icons";
import { type AuditEntry, SOURCES } from "./audit";
import { changeText } from "./audit-text";
import { language, localised } from "../shared/words";
import { useDesk } from "./context";
import type { RoomDesk } from "./room-desk";
import { logWords } from "./log-words";
import { Empty, ProblemLine } from "./parts";
import { w, words } from "./words";

const SEARCH_AFTER_MS = 300;
const t = logWords.t;

/** Who did what to what, and what it changed. */
export function LogPanel() {
  const desk = useDesk();
  const { audit } = desk;
  const entries = audit.entries.value;
  const isFiltered = audit.query.value !== "" || audit.source.value !== null;
  return (
    <div class="log">
      <LogTools />
      {audit.problem.value && <ProblemLine text={audit.problem.value} />}
      <div class="log-rows" data-testid="audit" tabIndex={0} role="region" aria-label={w("log")}>
        {entries === null ? (
          <p class="panel-wait" aria-busy="true">
            {w("loading_more")}
          </p>
        ) : entries.length === 0 ? (
          <Empty title={t(isFiltered ? "none_found" : "empty")} {...(isFiltered ? {} : { hint: t("empty_hint") })} />
        ) : (
          <ol>
            {entries.map((entry) => (
              <Entry key={entry.audit_id} entry={entry} />
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

function LogTools() {
  const desk = useDesk();
  const { audit } = desk;
  const [typed, setTyped] = useState(audit.query.peek());
  useEffect(() => {
    const timer = setTimeout(() => audit.search(typed.trim(), audit.source.peek()), SEARCH_AFTER_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <div class="log-tools">
      <label class="search">
        <SearchIcon size={16} />
        <input type="search" placeholder={t("search")} aria-label={t("search")} maxLength={80} value={typed} data-testid="log-search" onInput={(event) => setTyped(event.currentTarget.value)} />
      </label>
      <select
        class="select"
        aria-label={t("by")}
        value={audit.source.value ?? ""}
        data-testid="log-source"
        onChange={(event) => audit.search(typed.trim(), SOURCES.find((one) => one === event.currentTarget.value) ?? null)}
      >
        <option value="">{t("source_any")}</option>
        {SOURCES.map((one) => (
          <option key={one} value={one}>
            {t(`source_${one}`)}
          </option>
        ))}
      </select>
      <a href={desk.path("/audit.csv")} download aria-label={`${t("take")}: CSV`} data-testid="log-csv">
        CSV
      </a>
      <a href={desk.path("/audit.jsonl")} download aria-label={`${t("take")}: JSON`} data-testid="log-json">
        JSON
      </a>
    </div>
  );
}

function Entry({ entry }: { entry: AuditEntry }) {
  const desk = useDesk();
  const change = changeText(entry.before, entry.after, {
    lang: language.value,
    currency: desk.products.value[0]?.currency ?? "CNY",
    nameOf: (id) => localised(desk.product(id)?.title ?? desk.variant(id)?.title) || null,
  });
  return (
    <li class="entry" data-testid="audit-entry">
      <span class="entry-when">
        <time class="num">{formatTime(entry.at_ms, language.value)}</time>
        {entry.source && (
          <small data-testid="entry-source" data-source={entry.source}>
            <span class="visually-hidden">{t("by")} </span>
            {t(`source_${entry.source}`)}
          </small>
        )}
      </span>
      <p>
        <b>{entry.actor_name}</b> <span class="entry-action">{actionWord(entry.action)}</span>{" "}
        <span class="entry-target">{targetName(desk, entry)}</span>
        {change && <span class="entry-change num">{change}</span>}
      </p>
      {desk.may("moderate") && (entry.action === "mute" || entry.action === "ban") && <Release entry={entry} />}
    </li>
  );
}

/** Lifts a mute or a ban, long after its five seconds of undo. */
function Release({ entry }: { entry: AuditEntry }) {
  const desk = useDesk();
  const busy = desk.runner.isBusy(`viewer:${entry.target}`);
  const isBan = entry.action === "ban";
  return (
    <button
      type="button"
      class="entry-undo"
      disabled={busy}
      data-testid="release"
      onClick={() => void (isBan ? desk.moderation.unban(entry.target) : desk.moderation.unmute(entry.target))}
    >
      {w(isBan ? "unban" : "unmute")}
    </button>
  );
}

function actionWord(action: string): string {
  const word = `did_${action}`;
  return words.has(word) ? w(word) : action.replace(/_/g, " ");
}

/** A sale by its product and round, a product by its name, a comment's author or a viewer as far as we know them. */
function targetName(desk: RoomDesk, entry: AuditEntry): string {
  const { target } = entry;
  if (target === desk.roomId || target === "none") return "";
  if (entry.action === "replay_edit") return formatDateTime(Number(target), language.value);
  const sale = desk.sales.value.get(target);
  const product = desk.product(sale?.product_id ?? target);
  if (product) return sale ? `${localised(product.title)} · ${w("round", { n: sale.round }).replace(/ /g, "\u00a0")}` : localised(product.title);
  const line = desk.store.comments.value.find((one) => one.id === target || one.viewer_id === target);
  if (line) return line.id === target ? `${line.name}: “${line.text}”` : line.name;
  return target;
}
