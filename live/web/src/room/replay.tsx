/** The show again: its film, with what was said and how stock stood in step, and a chapter for each thing that was shown. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api, Problem } from "../shared/api";
import { formatElapsed, formatTime } from "../shared/clock";
import type { MediaAccess } from "../shared/media-session";
import { formatMoney } from "../shared/money";
import { StockBar } from "../shared/stock-bar";
import { language, localised } from "../shared/words";
import { BuyButton } from "./buy-button";
import { areOn } from "./captions";
import { useSession } from "./context";
import { burnDown, filmAt, type Span, stepsPath, stockThen, type StockThen, type StockTrack, wallAt } from "./replay-sync";
import { w } from "./words";

const LINES_SHOWN = 8;
/** The API gives no more at once. */
const MAX_SPAN_MS = 48 * 3_600_000;

interface Film {
  url: string;
  /** What was said, as WebVTT; null when nobody wrote it down. */
  captions_url: string | null;
  duration_s: number;
  spans: Span[];
}

interface Happened {
  type: string;
  at_ms: number;
  data: { id?: string; name?: string; text?: string; product_id?: string | null };
}

interface Show {
  film: Film;
  src: string;
  captionsSrc: string | null;
  events: Happened[];
  tracks: { from_ms: number; sales: StockTrack[] };
}

interface ReplayProps {
  /** Begin where this product is shown first. */
  productId: string | undefined;
}

export function Replay({ productId }: ReplayProps) {
  const session = useSession();
  const video = useRef<HTMLVideoElement>(null);
  const [show, setShow] = useState<Show | null>(null);
  const [trouble, setTrouble] = useState<"none" | "failed" | null>(null);
  const [filmS, setFilmS] = useState(0);
  useEffect(() => {
    let isGone = false;
    newestShow(session.roomId).then(
      (found) => {
        if (isGone) return;
        setShow(found);
        if (found === null) setTrouble("none");
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
  if (trouble) return <p role="alert">{w(`replay_${trouble}`)}</p>;
  if (!show) return <p aria-busy="true">{w("loading")}</p>;
  const { film } = show;
  const chapters = show.events.filter((one) => one.type === "pin" && one.data.product_id);
  const moment = productId === undefined ? undefined : chapters.find((one) => one.data.product_id === productId);
  return (
    <div class="replay" data-testid="replay">
      {productId !== undefined && !moment && <p role="status">{w("replay_not_shown")}</p>}
      <video
        ref={video}
        class="replay-video"
        src={show.src}
        crossOrigin="anonymous"
        controls
        playsInline
        autoPlay
        data-testid="replay-video"
        onLoadedMetadata={(event) => {
          if (moment) event.currentTarget.currentTime = filmAt(film.spans, moment.at_ms, film.duration_s);
        }}
        onTimeUpdate={(event) => setFilmS(event.currentTarget.currentTime)}
        onError={() => setTrouble("failed")}
      >
        {show.captionsSrc !== null && <track kind="captions" label={w("captions")} src={show.captionsSrc} data-testid="replay-captions" />}
      </video>
      {stock && <BurnDown steps={burnDown(stock.track, show.tracks.from_ms, film.spans, film.duration_s)} at={filmS / film.duration_s} />}
      {stock && <Stock stock={stock} wallMs={wallMs} />}
      <ol class="replay-lines" aria-label={w("replay_chat")}>
        {lines.map((line) => (
          <li key={line.data.id} data-testid="replay-comment">
            <b>{line.data.name}</b> {line.data.text}
          </li>
        ))}
      </ol>
      {chapters.length > 0 && (
        <nav aria-label={w("replay_chapters")} class="replay-chapters">
          {chapters.map((chapter) => {
            const at = filmAt(film.spans, chapter.at_ms, film.duration_s);
            const product = session.product(chapter.data.product_id);
            return (
              <button
                key={chapter.at_ms}
                type="button"
                class="button"
                data-testid="chapter"
                onClick={() => {
                  if (video.current) video.current.currentTime = at;
                }}
              >
                {formatElapsed(at * 1000)} {product ? localised(product.title) : ""}
              </button>
            );
          })}
        </nav>
      )}
    </div>
  );
}

const WIDTH = 1000;
const HEIGHT = 48;

/** The sale over the film's whole length; a line where the film is. The bar below says which part is which. */
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

/** The newest show of the room that has a film; null when there is none. */
async function newestShow(roomId: string): Promise<Show | null> {
  const path = `/api/rooms/${encodeURIComponent(roomId)}/media-tokens`;
  const access = await api.post<MediaAccess>(path, { purpose: "replay" });
  const get = async (address: string): Promise<unknown> => {
    const response = await fetch(address, { headers: { Authorization: `Bearer ${access.token}` } });
    if (!response.ok) throw new Error(`the media server answered ${response.status}`);
    return response.json();
  };
  const { recordings } = (await get(access.url)) as { recordings: { recording_id: string; files: Film[] }[] };
  const [newest] = recordings;
  const film = newest?.files[0];
  if (!newest || !film) return null;
  const { events } = (await get(`${access.url}/${newest.recording_id}/events.json`)) as { events: Happened[] };
  const open = (url: string): string => {
    const address = new URL(url, access.url);
    address.searchParams.set("token", access.token);
    return address.href;
  };
  const captionsSrc = film.captions_url ? open(film.captions_url) : null;
  return { film, src: open(film.url), captionsSrc, events, tracks: await stockOf(roomId, film) };
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
