/** The show again: its film, with what was said in step, and a chapter for each thing that was shown. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { api } from "../shared/api";
import { formatElapsed } from "../shared/clock";
import type { MediaAccess } from "../shared/media-session";
import { localised } from "../shared/words";
import { useSession } from "./context";
import { filmAt, type Span, wallAt } from "./replay-sync";
import { w } from "./words";

const LINES_SHOWN = 8;

interface Film {
  url: string;
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
  events: Happened[];
}

export function Replay() {
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
  const wallMs = show ? wallAt(show.film.spans, filmS) : 0;
  const lines = useMemo(
    () => show?.events.filter((one) => one.type === "comment" && one.at_ms <= wallMs).slice(-LINES_SHOWN) ?? [],
    [show, Math.floor(wallMs / 500)],
  );
  if (trouble) return <p role="alert">{w(`replay_${trouble}`)}</p>;
  if (!show) return <p aria-busy="true">{w("loading")}</p>;
  const chapters = show.events.filter((one) => one.type === "pin" && one.data.product_id);
  return (
    <div class="replay" data-testid="replay">
      <video
        ref={video}
        class="replay-video"
        src={show.src}
        controls
        playsInline
        autoPlay
        data-testid="replay-video"
        onTimeUpdate={(event) => setFilmS(event.currentTarget.currentTime)}
        onError={() => setTrouble("failed")}
      />
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
            const at = filmAt(show.film.spans, chapter.at_ms, show.film.duration_s);
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
  const src = new URL(film.url, access.url);
  src.searchParams.set("token", access.token);
  return { film, src: src.href, events };
}
