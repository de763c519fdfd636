/** Controls of a film that the host has cut: a browser's own always show the whole of it. */

import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";
import { formatElapsed } from "../shared/clock";
import { icon } from "../shared/icons";
import type { Shown } from "./replay-sync";
import { w } from "./words";

const PlayIcon = icon(<path d="M7 4.5v15l12-7.5z" />, true);
const PauseIcon = icon(<path d="M6.5 5h3.6v14H6.5zM13.9 5h3.6v14h-3.6z" />, true);
const SoundIcon = icon(<path d="M4 9.5v5h3.4L12 18.5v-13L7.4 9.5zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a7.8 7.8 0 0 1 0 11" />);
const SilentIcon = icon(<path d="M4 9.5v5h3.4L12 18.5v-13L7.4 9.5zM16 9.5l5 5M21 9.5l-5 5" />);
const FullIcon = icon(<path d="M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5" />);

interface Props {
  video: RefObject<HTMLVideoElement | null>;
  shown: Shown;
  filmS: number;
}

export function CutControls({ video, shown, filmS }: Props) {
  const { fromS, untilS } = shown;
  const [isPaused, setPaused] = useState(true);
  const [isMuted, setMuted] = useState(false);
  useEffect(() => {
    const element = video.current;
    if (!element) return;
    const read = (): void => {
      setPaused(element.paused);
      setMuted(element.muted);
    };
    read();
    const names = ["play", "pause", "ended", "volumechange"];
    for (const name of names) element.addEventListener(name, read);
    return () => {
      for (const name of names) element.removeEventListener(name, read);
    };
  }, [video]);
  const turn = (element: HTMLVideoElement): void => {
    if (!element.paused) return element.pause();
    // From its end it begins again, as with any player.
    if (element.currentTime >= untilS - 0.1) element.currentTime = fromS;
    void element.play().catch(() => undefined); // it says by its events that it does not play
  };
  /** The film is there once somebody can press, not yet when this is drawn first. */
  const withFilm = (act: (element: HTMLVideoElement) => void) => (): void => void (video.current && act(video.current));
  const time = `${formatElapsed((filmS - fromS) * 1000)} / ${formatElapsed((untilS - fromS) * 1000)}`;
  return (
    <div class="cut-controls" data-testid="cut-controls">
      <button type="button" class="icon-button" aria-label={w(isPaused ? "replay_play" : "replay_pause")} data-testid="cut-play" onClick={withFilm(turn)}>
        {isPaused ? <PlayIcon /> : <PauseIcon />}
      </button>
      <input
        type="range"
        min={fromS}
        max={untilS}
        step="any"
        value={filmS}
        aria-label={w("replay_position")}
        aria-valuetext={time}
        data-testid="cut-position"
        onInput={(event) => video.current && (video.current.currentTime = Number(event.currentTarget.value))}
      />
      <span class="num" data-testid="cut-time">
        {time}
      </span>
      <button type="button" class="icon-button" aria-label={w(isMuted ? "replay_sound_on" : "replay_sound_off")} onClick={withFilm((element) => (element.muted = !element.muted))}>
        {isMuted ? <SilentIcon /> : <SoundIcon />}
      </button>
      {"requestFullscreen" in Element.prototype && (
        <button type="button" class="icon-button" aria-label={w("replay_full")} onClick={withFilm((element) => void element.requestFullscreen().catch(() => undefined))}>
          <FullIcon />
        </button>
      )}
    </div>
  );
}
