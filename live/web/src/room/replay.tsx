/** The show again: its film, with what was said and how stock stood in step, and a chapter for each thing that was shown. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api, Problem } from "../shared/api";
import { formatElapsed, formatTime } from "../shared/clock";
import { type Chapter, chaptersOfPins, type Film, type Happened, mediaAddress, mediaJson, type ReplayEdit, wallAt } from "../shared/film";
import type { MediaAccess } from "../shared/media-session";
import { formatMoney } from "../shared/money";
import { StockBar } from "../shared/stock-bar";
import { language, localised } from "../shared/words";
import { BuyButton } from "./buy-button";
import { areOn } from "./captions";
import { useSession } from "./context";
import { CutControls } from "./cut-controls";
import { burnDown, isShown, momentOf, type Shown, shownOf, stepsPath, stockThen, type StockThen, type StockTrack } from "./replay-sync";
import { w } from "./words";

const LINES_SHOWN = 8;
/** The API gives no more at once. */
const MAX_SPAN_MS = 48 * 3_600_000;
/** A film's own pictures stand a few hundredths beside what was asked for. */
const NEAR_S = 0.3;

interface Show {
  film: Film;
  src: string;
  captionsSrc: string | null;
  events: Happened[];
  tracks: { from_ms: number; sales: StockTrack[] };
  edit: ReplayEdit;
}

interface ReplayProps {
  /** Begin where this product is shown first. */
  productId: string | undefined;
}

export function Replay({ productId }: ReplayProps) {
  const session = useSession();
  const video = useRef<HTMLVideoElement>(null);
  const [show, setShow] = useState<Show | null>(null);
  const [trouble, setTrouble] = useState<"none" | "hidden" | "failed" | null>(null);
  const [filmS, setFilmS] = useState(0);
  useEffect(() => {
    let isGone = false;
    newestShow(session.roomId).then(
      (found) => {
        if (isGone) return;
        if (typeof found === "string") setTrouble(found);
        else setShow(found);
      },
      () => !isGone && setTrouble("failed"),
    );
    return () => {
      isGone = true;
    };
  }, [session]);
  const hasCaptions = areOn.value;
  useEffect(() => {
    const track = video.current?.textTracks[0];
    if (track) track.mode = hasCaptions ? "showing" : "disabled";
  }, [show, hasCaptions]);
  const wallMs = show ? wallAt(show.film.spans, filmS) : 0;
  const lines = useMemo(
    () => show?.events.filter((one) => one.type === "comment" && one.at_ms <= wallMs).slice(-LINES_SHOWN) ?? [],
    [show, Math.floor(wallMs / 500)],
  );
  const pinnedId = show?.events.findLast((one) => one.type === "pin" && one.at_ms <= wallMs)?.data.product_id ?? null;
  const stock = show && stockThen(show.tracks.sales, show.tracks.from_ms, pinnedId, wallMs);
  if (trouble) return <p role={trouble === "failed" ? "alert" : "status"}>{w(`replay_${trouble}`)}</p>;
  if (!show) return <p aria-busy="true">{w("loading")}</p>;
  const { film, edit } = show;
  const shown = shownOf(edit, film.duration_s);
  const isCut = shown.fromS > 0 || shown.untilS < film.duration_s;
  const chapters = (edit.chapters ?? chaptersOfPins(film, show.events, (id) => session.product(id)?.title)).filter((one) => isShown(shown, one.film_ms));
  const moment = productId === undefined ? null : momentOf(productId, chapters, film, show.events, shown);
  /** Also what the browser's own full-screen controls do stays between the cuts. */
  const follow = (element: HTMLVideoElement): void => {
    if (element.currentTime < shown.fromS - NEAR_S) element.currentTime = shown.fromS;
    if (shown.untilS < film.duration_s && element.currentTime >= shown.untilS) {
      element.pause();
      if (element.currentTime > shown.untilS + NEAR_S) element.currentTime = shown.untilS;
    }
    setFilmS(Math.min(Math.max(element.currentTime, shown.fromS), shown.untilS));
  };
  return (
    <div class="replay" data-testid="replay">
      {productId !== undefined && moment === null && <p role="status">{w("replay_not_shown")}</p>}
      <video
        ref={video}
        class="replay-video"
        // The browser itself begins and stops there, to the picture; we hear of the time only four times a second.
        src={isCut ? `${show.src}#t=${shown.fromS},${shown.untilS}` : show.src}
        crossOrigin="anonymous"
        controls={!isCut}
        playsInline
        autoPlay
        data-testid="replay-video"
        onLoadedMetadata={(event) => {
          const beginS = moment ?? shown.fromS;
          if (beginS > 0) event.currentTarget.currentTime = beginS;
          setFilmS(beginS);
        }}
        onTimeUpdate={(event) => follow(event.currentTarget)}
        onError={() => setTrouble("failed")}
      >
        {show.captionsSrc !== null && <track kind="captions" label={w("captions")} src={show.captionsSrc} data-testid="replay-captions" />}
      </video>
      {isCut && <CutControls video={video} shown={shown} filmS={filmS} />}
      {stock && <BurnDown steps={burnDown(stock.track, show.tracks.from_ms, film, shown)} at={(filmS - shown.fromS) / (shown.untilS - shown.fromS)} />}
      {stock && <Stock stock={stock} wallMs={wallMs} />}
      <ol class="replay-lines" aria-label={w("replay_chat")}>
        {lines.map((line) => (
          <li key={line.data.id} data-testid="replay-comment">
            <b>{line.data.name}</b> {line.data.text}
          </li>
        ))}
      </ol>
      {chapters.length > 0 && <Chapters chapters={chapters} shown={shown} filmS={filmS} onSeek={(atS) => video.current && (video.current.currentTime = atS)} />}
    </div>
  );
}

/** Each with its time in what is shown; the one that plays is marked. */
function Chapters({ chapters, shown, filmS, onSeek }: { chapters: readonly Chapter[]; shown: Shown; filmS: number; onSeek: (atS: number) => void }) {
  const playing = chapters.findLast((one) => one.film_ms <= (filmS + NEAR_S) * 1000);
  return (
    <nav aria-label={w("replay_chapters")} class="replay-chapters">
      {chapters.map((chapter) => (
        <button
          key={chapter.film_ms}
          type="button"
          class="button"
          aria-current={chapter === playing ? "true" : undefined}
          data-testid="chapter"
          onClick={() => onSeek(chapter.film_ms / 1000)}
        >
          {formatElapsed(chapter.film_ms - shown.fromS * 1000)} {localised(chapter.title)}
        </button>
      ))}
    </nav>
  );
}

const WIDTH = 1000;
const HEIGHT = 48;

/** The sale over the whole of what is shown; a line where the film is. The bar below says which part is which. */
function BurnDown({ steps, at }: { steps: ReturnType<typeof burnDown>; at: number }) {
  const x = Math.min(1, at) * WIDTH;
  return (
    <svg class="replay-burn" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={w("replay_burn")} data-testid="replay-burn">
      <defs>
        <pattern id="burn-held" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
          <rect class="burn-held" width="6" height="6" />
          <rect class="burn-held-2" width="2" height="6" />
        </pattern>
      </defs>
      <path class="burn-available" d={stepsPath(steps, "all", WIDTH, HEIGHT)} />
      <path fill="url(#burn-held)" d={stepsPath(steps, "taken", WIDTH, HEIGHT)} />
      <path class="burn-sold" d={stepsPath(steps, "sold", WIDTH, HEIGHT)} />
      <line class="burn-at" x1={x} x2={x} y1="0" y2={HEIGHT} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}

const BUYABLE: readonly string[] = ["open", "paused"];

/** What there was at that moment of the film, and at what price; to buy, and at today's price, only what is still on sale. */
function Stock({ stock, wallMs }: { stock: StockThen; wallMs: number }) {
  const session = useSession();
  const { track } = stock;
  const now = session.saleOf(track.product_id);
  const price = formatMoney(track.price_minor, track.currency, language.value);
  return (
    <section class="replay-stock" aria-label={w("replay_stock")} data-testid="replay-stock" data-sale={track.sale_id}>
      <p>
        <b>{localised(session.product(track.product_id)?.title)}</b>{" "}
        <span class="num">{w("replay_was", { price, time: formatTime(wallMs, language.value, false) })}</span>
        {stock.isClosed && <span class="badge">{w("replay_closed")}</span>}
      </p>
      <StockBar stock={stock} />
      {now && BUYABLE.includes(now.state) && (
        <p class="replay-now" data-testid="replay-now">
          <span>
            {w("replay_still")} <b class="num">{formatMoney(now.price_minor, track.currency, language.value)}</b>
          </span>
          <BuyButton productId={track.product_id} sale={now} />
        </p>
      )}
    </section>
  );
}

/** The newest show of the room that has a film; "none" when there is none, "hidden" when the host doesn't show it. */
async function newestShow(roomId: string): Promise<Show | "none" | "hidden"> {
  const room = `/api/rooms/${encodeURIComponent(roomId)}`;
  const access = await api.post<MediaAccess>(`${room}/media-tokens`, { purpose: "replay" });
  const { recordings } = await mediaJson<{ recordings: { recording_id: string; state: string; files: Film[] }[] }>(access);
  const [newest] = recordings;
  if (newest?.state === "hidden") return "hidden";
  const film = newest?.files[0];
  if (!newest || !film) return "none";
  // Without the host's cuts it isn't played: they may be there for a reason.
  const edit = await api.get<ReplayEdit>(`${room}/replays/${newest.recording_id}`);
  if (edit.hidden) return "hidden";
  const { events } = await mediaJson<{ events: Happened[] }>(access, `/${newest.recording_id}/events.json`);
  const captionsSrc = film.captions_url ? mediaAddress(access, film.captions_url).href : null;
  return { film, src: mediaAddress(access, film.url).href, captionsSrc, events, tracks: await stockOf(roomId, film), edit };
}

/** The stock while the film was made; the film plays without it where it can't be had. */
async function stockOf(roomId: string, film: Film): Promise<Show["tracks"]> {
  const [first, last] = [film.spans[0], film.spans.at(-1)];
  if (!first || !last) return { from_ms: 0, sales: [] };
  const untilMs = Math.min(first.wall_ms + MAX_SPAN_MS, Math.ceil(last.wall_ms + (film.duration_s - last.at_s) * 1000));
  try {
    return await api.get(`/api/rooms/${encodeURIComponent(roomId)}/replay/stock?from_ms=${Math.floor(first.wall_ms)}&until_ms=${untilMs}`);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { from_ms: 0, sales: [] };
  }
}
