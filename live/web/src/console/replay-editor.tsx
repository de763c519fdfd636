/** A show's replay as its viewers will get it: chapters, beginning and end, and whether it is shown. Nothing is sent until it is saved. */

import type { RefObject } from "preact";
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import { api } from "../shared/api";
import { formatDateTime, formatElapsed } from "../shared/clock";
import { type Chapter, chaptersOfPins, type Film, type Happened, MAX_CHAPTERS, mediaAddress, mediaJson, type ReplayEdit } from "../shared/film";
import { icon } from "../shared/icons";
import type { MediaAccess } from "../shared/media-session";
import { Sheet } from "../shared/sheet";
import { language, shared } from "../shared/words";
import { useDesk } from "./context";
import { Empty, ProblemLine } from "./parts";
import type { Recording } from "./recordings";
import { added, bodyOf, changed, differs, type Draft, type DraftChapter, draftOf, isFull, isSeen, MAX_TITLE, type Moment, momentAt, nudged, problemsOf, removed, restored, typed, type Wrong } from "./replay-draft";
import { t, words } from "./replay-words";
import "./replay-editor.css";

const PLACE = "replay";
const NUDGE_MS = 1_000;

const BinIcon = icon(<path d="M5 7h14M10 7V4.8h4V7M7 7l.8 12.2h8.4L17 7M10.2 10.5v5.5M13.8 10.5v5.5" />);
const ClockIcon = icon(<path d="M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 7.8V12l3 2" />);
const SeekIcon = icon(<path d="M8 5.5v13l10-6.5z" />);

interface Props {
  access: MediaAccess;
  recording: Recording;
  onClose: () => void;
}

interface Loaded {
  edit: ReplayEdit;
  pins: Chapter[];
}

/** What is known of the replay, once it is. */
export function ReplayEditor({ access, recording, onClose }: Props) {
  const desk = useDesk();
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [hasFailed, setFailed] = useState(false);
  const film = recording.files[0];
  const path = desk.path(`/replays/${recording.recording_id}`);
  const load = async (): Promise<void> => {
    if (!film) return;
    setFailed(false);
    try {
      const [edit, { events }] = await Promise.all([api.get<ReplayEdit>(path), mediaJson<{ events: Happened[] }>(access, `/${recording.recording_id}/events.json`)]);
      setLoaded({ edit, pins: named(chaptersOfPins(film, events, (id) => desk.product(id)?.title)) });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      setFailed(true);
    }
  };
  useEffect(() => void load(), []);
  const title = `${t("title")} · ${formatDateTime(recording.started_at_ms, language.value)}`;
  if (film && loaded) return <Editing title={title} path={path} access={access} film={film} films={recording.files.length} loaded={loaded} onClose={onClose} />;
  return (
    <Sheet title={title} kind="dialog" theme="dark" class="sheet-wide" onClose={onClose} testid="replay-editor">
      {hasFailed ? (
        <>
          <ProblemLine text={t("load_failed")} />
          <button type="button" class="button" onClick={() => void load()}>
            {shared.t("retry")}
          </button>
        </>
      ) : (
        <p class="panel-wait" aria-busy="true">
          {t("loading")}
        </p>
      )}
    </Sheet>
  );
}

/** An item that is in the run of show no more has no name left: its chapter is told by its number. */
function named(chapters: readonly Chapter[]): Chapter[] {
  const numbered = (text: string, index: number): string => text.replace("{n}", String(index + 1));
  return chapters.map((one, index) =>
    one.title.en || one.title.zh ? one : { ...one, title: { en: numbered(words.en.chapter_n, index), zh: numbered(words.zh.chapter_n, index) } },
  );
}

interface EditingProps {
  title: string;
  path: string;
  access: MediaAccess;
  film: Film;
  films: number;
  loaded: Loaded;
  onClose: () => void;
}

function Editing({ title, path, access, film, films, loaded, onClose }: EditingProps) {
  const { runner } = useDesk();
  const filmMs = Math.round(film.duration_s * 1000);
  const { pins } = loaded;
  const [saved, setSaved] = useState(loaded.edit);
  const [theirs, setTheirs] = useState<ReplayEdit | null>(null);
  const base = useMemo(() => draftOf(saved, pins, filmMs), [saved]);
  const [draft, setDraft] = useState<Draft>(base);
  const [playerMs, setPlayerMs] = useState(saved.from_film_ms);
  const video = useRef<HTMLVideoElement>(null);
  const list = useRef<HTMLOListElement>(null);
  const addButton = useRef<HTMLButtonElement>(null);
  const newKey = useRef<number | null>(null);
  const hasChanged = differs(draft, base);
  const problems = problemsOf(draft, filmMs);
  const isSaving = runner.isBusy(PLACE);
  const failure = runner.failure(PLACE);
  const src = useMemo(() => mediaAddress(access, film.url).href, [access, film]);

  // A tab that is closed by mistake must not take an hour's work along.
  useEffect(() => {
    if (!hasChanged) return;
    const warn = (event: BeforeUnloadEvent): void => event.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [hasChanged]);
  useEffect(() => {
    if (newKey.current !== null) list.current?.querySelector<HTMLElement>(`[data-key="${newKey.current}"] [name=title]`)?.focus();
    newKey.current = null;
  }, [draft]);

  const close = (): void => {
    if (hasChanged && !confirm(t("discard_sure"))) return;
    runner.dismiss(PLACE);
    onClose();
  };
  const take = (edit: ReplayEdit): void => {
    setSaved(edit);
    setDraft(draftOf(edit, pins, filmMs));
    setTheirs(null);
  };
  const save = async (version: number): Promise<void> => {
    if (problems.size) {
      document.querySelector<HTMLElement>(".replay-editor [aria-invalid=true]")?.focus();
      return;
    }
    const sent = await runner.send<ReplayEdit>(PLACE, "save", "put", path, { version, ...bodyOf(draft, pins, filmMs) });
    if (sent.ok) {
      setSaved(sent.answer);
      setTheirs(null);
      // What was typed meanwhile stays, and is a change of what is saved now.
      setDraft((now) => (now === draft ? draftOf(sent.answer, pins, filmMs) : now));
      return;
    }
    const refused = runner.failure(PLACE);
    if (refused?.code !== "replay_changed") return;
    runner.dismiss(PLACE);
    setTheirs(refused.facts as unknown as ReplayEdit);
  };
  const add = (): void => {
    const [more, key] = added(draft, playerMs);
    newKey.current = key;
    setDraft(more);
  };
  const remove = (key: number): void => {
    setDraft(removed(draft, key));
    addButton.current?.focus(); // what had the focus is gone
  };
  const seek = (ms: number): void => {
    if (video.current) video.current.currentTime = ms / 1000;
  };
  const wrongText = (wrong: Wrong | undefined): string | null => (wrong ? t(`wrong_${wrong}`, { time: formatElapsed(filmMs), most: MAX_TITLE }) : null);
  const time = { filmMs, playerMs };
  const state = problems.size ? t(problems.size === 1 ? "wrong_1" : "wrong_n", { n: problems.size }) : t(isSaving ? "saving" : hasChanged ? "is_changed" : "is_saved");

  return (
    <Sheet
      title={title}
      kind="dialog"
      theme="dark"
      class="sheet-widest replay-editor"
      onClose={close}
      testid="replay-editor"
      footer={
        <div class="replay-foot">
          <p role="status" data-testid="replay-state" data-state={problems.size ? "wrong" : hasChanged ? "changed" : "saved"}>
            {state}
          </p>
          <button type="button" class="button" disabled={!hasChanged || isSaving} data-testid="replay-discard" onClick={() => confirm(t("discard_sure")) && setDraft(base)}>
            {t("discard")}
          </button>
          <button type="submit" form="replay-form" class="button button-strong" disabled={!hasChanged || isSaving || theirs !== null} data-testid="replay-save">
            {t(isSaving ? "saving" : "save")}
          </button>
        </div>
      }
    >
      {theirs && (
        <section class="script-theirs" role="alert" data-testid="replay-theirs">
          <p>{t("theirs")}</p>
          <div class="sheet-pair">
            <button type="button" class="button" data-testid="replay-take-theirs" onClick={() => take(theirs)}>
              {t("theirs_take")}
            </button>
            <button type="button" class="button button-strong" disabled={isSaving} data-testid="replay-keep-mine" onClick={() => void save(theirs.version)}>
              {t("theirs_over")}
            </button>
          </div>
        </section>
      )}
      {failure && <ProblemLine text={failureText(failure.code, failure.text)} onDismiss={() => runner.dismiss(PLACE)} />}
      <form
        id="replay-form"
        class="replay-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          if (hasChanged && !isSaving && !theirs) void save(saved.version);
        }}
      >
        <div class="replay-side">
          <FilmView video={video} src={src} beginMs={saved.from_film_ms} onTime={setPlayerMs} />
          {films > 1 && <p class="replay-hint">{t("films_more", { n: films })}</p>}
          <label class="replay-visible">
            <input type="checkbox" role="switch" name="shown" checked={!draft.hidden} aria-describedby="replay-visible-hint" onChange={(event) => setDraft({ ...draft, hidden: !event.currentTarget.checked })} />
            <span>{t("show")}</span>
          </label>
          <p class="replay-hint" id="replay-visible-hint">
            {t("show_hint")}
          </p>
          <fieldset class="replay-cut">
            <legend class="small-head">{t("cut")}</legend>
            <p class="replay-hint">{t("cut_hint")}</p>
            <TimeField name="from" label={t("begins")} what={t("begins")} moment={draft.from} wrong={wrongText(problems.get("from"))} onChange={(from) => setDraft({ ...draft, from })} {...time} />
            <TimeField name="until" label={t("ends")} what={t("ends")} moment={draft.until} wrong={wrongText(problems.get("until"))} onChange={(until) => setDraft({ ...draft, until })} {...time} />
          </fieldset>
        </div>
        <section class="replay-main" aria-labelledby="replay-chapters-head">
          <header class="replay-head">
            <h3 class="small-head" id="replay-chapters-head">
              {t("chapters")} <span class="num">{t("chapters_n", { n: draft.chapters.length, most: MAX_CHAPTERS })}</span>
            </h3>
            <button type="button" class="button" title={t("restore_hint")} disabled={!pins.length} data-testid="replay-restore" onClick={() => setDraft(restored(draft, pins))}>
              {t("restore")}
            </button>
            <button ref={addButton} type="button" class="button" disabled={isFull(draft) || playerMs >= filmMs} data-testid="replay-add" onClick={add}>
              {t("add", { time: formatElapsed(playerMs) })}
            </button>
          </header>
          {isFull(draft) && <p class="replay-hint">{t("full")}</p>}
          {draft.chapters.length === 0 && (
            <Empty title={t("empty")} hint={t("empty_hint")}>
              {!pins.length && <p>{t("empty_pins")}</p>}
            </Empty>
          )}
          <ol ref={list} class="replay-list">
            {draft.chapters.map((chapter, index) => (
              <ChapterRow
                key={chapter.key}
                chapter={chapter}
                number={index + 1}
                timeWrong={wrongText(problems.get(`time:${chapter.key}`))}
                titleWrong={wrongText(problems.get(`title:${chapter.key}`))}
                isSeen={problems.has(`time:${chapter.key}`) || isSeen(draft, chapter, filmMs)}
                onChange={(values) => setDraft(changed(draft, chapter.key, values))}
                onRemove={() => remove(chapter.key)}
                onSeek={seek}
                {...time}
              />
            ))}
          </ol>
        </section>
      </form>
    </Sheet>
  );
}

function failureText(code: string, text: string): string {
  const word = `problem_${code}`;
  return words.has(word) ? t(word) : text;
}

interface FilmViewProps {
  video: RefObject<HTMLVideoElement | null>;
  src: string;
  beginMs: number;
  onTime: (ms: number) => void;
}

function FilmView({ video, src, beginMs, onTime }: FilmViewProps) {
  const tell = (event: { currentTarget: HTMLVideoElement }): void => onTime(Math.floor(event.currentTarget.currentTime * 1000));
  return (
    <video
      ref={video}
      class="replay-film"
      src={src}
      controls
      playsInline
      preload="metadata"
      aria-label={t("preview")}
      data-testid="replay-film"
      onLoadedMetadata={(event) => (event.currentTarget.currentTime = beginMs / 1000)}
      onTimeUpdate={tell}
      onSeeking={tell}
    />
  );
}

interface FilmTime {
  filmMs: number;
  playerMs: number;
}

interface TimeFieldProps extends FilmTime {
  name: string;
  label: string;
  /** Which time, for those who hear the buttons and don't see where they stand. */
  what: string;
  moment: Moment;
  wrong: string | null;
  onChange: (moment: Moment) => void;
}

/** A time to type, to move by a second, or to take from the player. */
function TimeField({ name, label, what, moment, wrong, filmMs, playerMs, onChange }: TimeFieldProps) {
  const id = useId();
  const nudge = (byMs: number): void => onChange(nudged(moment, byMs, filmMs));
  const of = (button: "back_1" | "on_1" | "player"): string => t("of_what", { button: t(button), what });
  return (
    <div class="replay-time">
      <label class="field-label" for={id}>
        {label}
      </label>
      <div class="replay-time-row">
        <input
          id={id}
          class="input num"
          name={name}
          inputMode="numeric"
          autocomplete="off"
          maxLength={8}
          title={t("time_hint")}
          value={moment.text}
          aria-invalid={wrong !== null}
          aria-describedby={wrong ? `${id}-wrong` : undefined}
          onInput={(event) => onChange(typed(event.currentTarget.value))}
        />
        <button type="button" class="button" aria-label={of("back_1")} disabled={moment.ms === null} data-testid={`${name}-back`} onClick={() => nudge(-NUDGE_MS)}>
          {t("back_1")}
        </button>
        <button type="button" class="button" aria-label={of("on_1")} disabled={moment.ms === null} data-testid={`${name}-on`} onClick={() => nudge(NUDGE_MS)}>
          {t("on_1")}
        </button>
        <button type="button" class="button" aria-label={of("player")} title={t("player_at", { time: formatElapsed(playerMs) })} data-testid={`${name}-player`} onClick={() => onChange(momentAt(playerMs))}>
          <ClockIcon size={18} />
          {t("player")}
        </button>
      </div>
      {wrong && (
        <em class="field-problem" id={`${id}-wrong`} role="alert">
          {wrong}
        </em>
      )}
    </div>
  );
}

interface ChapterRowProps extends FilmTime {
  chapter: DraftChapter;
  number: number;
  timeWrong: string | null;
  titleWrong: string | null;
  isSeen: boolean;
  onChange: (values: Partial<DraftChapter>) => void;
  onRemove: () => void;
  onSeek: (ms: number) => void;
}

function ChapterRow({ chapter, number, timeWrong, titleWrong, isSeen, onChange, onRemove, onSeek, ...time }: ChapterRowProps) {
  const id = useId();
  const { starts } = chapter;
  const what = t("chapter_n", { n: number });
  const title = (lang: "en" | "zh", name: string) => (
    <label class="field">
      <span>{t(`name_${lang}`)}</span>
      <input
        class="input"
        name={name}
        lang={lang === "zh" ? "zh-CN" : "en"}
        maxLength={MAX_TITLE * 2}
        value={chapter[lang]}
        aria-invalid={titleWrong !== null}
        aria-describedby={titleWrong ? `${id}-title` : undefined}
        onInput={(event) => onChange({ [lang]: event.currentTarget.value })}
      />
    </label>
  );
  return (
    <li class={`replay-chapter ${isSeen ? "" : "is-cut"}`} data-testid="replay-chapter" data-key={chapter.key} aria-label={what}>
      <div class="replay-chapter-head">
        <TimeField name="starts" label={`${what} · ${t("starts")}`} what={what} moment={starts} wrong={timeWrong} onChange={(moment) => onChange({ starts: moment })} {...time} />
        <span class="replay-chapter-tools">
          <button type="button" class="icon-button" aria-label={t("seek", { what })} title={t("seek", { what })} disabled={starts.ms === null} onClick={() => starts.ms !== null && onSeek(starts.ms)}>
            <SeekIcon size={20} />
          </button>
          <button type="button" class="icon-button" aria-label={t("remove", { what })} title={t("remove", { what })} data-testid="replay-remove" onClick={onRemove}>
            <BinIcon size={20} />
          </button>
        </span>
      </div>
      <div class="sheet-pair replay-names">
        {title("en", "title")}
        {title("zh", "title_zh")}
      </div>
      {titleWrong && (
        <em class="field-problem" id={`${id}-title`} role="alert">
          {titleWrong}
        </em>
      )}
      {!isSeen && <p class="replay-hint">{t("not_seen")}</p>}
    </li>
  );
}
