import { chatFilter, FILTER_KINDS, newOutside, type Wanted } from "./chat-filter";
import { chatHeadWords } from "./chat-head-words";
import { useConsole, useDesk } from "./context";
import { Menu } from "./menu";
import { Empty } from "./parts";

const t = chatHeadWords.t;
const MAX_TEXT = 80;

/** Above the messages: which of them are shown, and which moderators' consoles are open. */
export function ChatHead() {
  const desk = useDesk();
  const me = useConsole().user.value?.name ?? "";
  const { moderation } = desk;
  const filter = moderation.filter.value;
  const chosen = moderation.chosen.value;
  const viewer = filter?.kind === "viewer" ? filter.viewer : chosen && { id: chosen.viewer_id, name: chosen.name };
  const wanted: Wanted = filter ?? { kind: "all", text: "", viewer, me };
  const show = (change: Partial<Wanted>): void => {
    moderation.filter.value = chatFilter({ ...wanted, viewer, ...change }, desk.store.comments.peek().at(-1)?.id ?? null);
  };
  return (
    <>
      <div class="chat-head">
        <label class="setting">
          <span>{t("filter")}</span>
          <select class="select" value={wanted.kind} data-testid="chat-filter" onChange={(event) => show({ kind: FILTER_KINDS.find((one) => one === event.currentTarget.value) ?? "all" })}>
            {FILTER_KINDS.map((kind) => (
              <option key={kind} value={kind} disabled={kind === "viewer" && !viewer}>
                {kind === "viewer" && viewer ? t("viewer_named", { name: viewer.name }) : t(kind)}
              </option>
            ))}
          </select>
        </label>
        <Followers />
        <Moderators />
      </div>
      {filter?.kind === "text" && (
        <input
          class="input chat-filter-text"
          type="search"
          maxLength={MAX_TEXT}
          placeholder={t("text_hint")}
          aria-label={t("text_hint")}
          value={filter.text}
          data-testid="chat-filter-text"
          onInput={(event) => show({ text: event.currentTarget.value })}
        />
      )}
      <FilterState />
    </>
  );
}

/** "Filtered: 12 of 200, 3 new are hidden": nobody may take a part of the chat for all of it. */
function FilterState() {
  const { moderation, store } = useDesk();
  const filter = moderation.filter.value;
  if (!filter) return null;
  const lines = store.comments.value;
  const shown = moderation.lines.value;
  const outside = newOutside(filter, lines, shown);
  return (
    <p class="chat-filtered num" data-testid="chat-filtered">
      <span>
        {t("filtered", { n: shown.length, of: lines.length })}
        {outside > 0 && ` · ${t("outside", { n: outside })}`}
      </span>
      <button type="button" class="link" data-testid="chat-filter-clear" onClick={() => (moderation.filter.value = null)}>
        {t("clear")}
      </button>
    </p>
  );
}

export function NoneMatches() {
  return <Empty title={t("none")} hint={t("none_hint")} />;
}

/** How many follow the room, and how many since the show began. */
function Followers() {
  const stats = useDesk().numbers.stats.value;
  if (!stats) return null;
  const { followers, new_followers } = stats;
  return (
    <span class="followers num" title={t("followers_mean")} data-testid="followers">
      {t("followers", { n: followers })} {new_followers > 0 && <b>{t("new_followers", { n: new_followers })}</b>}
    </span>
  );
}

/** How many moderate now, and who; nothing while that can't be said. */
function Moderators() {
  const names = useDesk().numbers.stats.value?.moderators;
  if (!names) return null;
  const n = names.length;
  return (
    <Menu class="mods" align="right" testid="mods" name={n ? t("mods_here", { n, names: names.join(", ") }) : t("mods_none")} label={<span class="num">{t("mods", { n })}</span>}>
      {() => (n ? <ul class="mods-list">{names.map((name, index) => <li key={index}>{name}</li>)}</ul> : <p class="mods-list">{t("mods_alone")}</p>)}
    </Menu>
  );
}
