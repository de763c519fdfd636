/** The room's video by HLS: with hls.js where the browser has Media Source Extensions, by the browser itself on older iPhones. */

import Hls, { type ErrorData, ErrorTypes, Events } from "hls.js/light";
import type { Playback } from "./video";

const MEND_AGAIN_AFTER_MS = 5_000;

/** Begin to play; `serverNow` is the clock that the playlist's times were taken from. */
export async function playHls(video: HTMLVideoElement, playlist: string, serverNow: () => number): Promise<Playback> {
  video.srcObject = null;
  if (!Hls.isSupported()) return playNatively(video, playlist, serverNow);
  let alive = true;
  let mendedMs = -Infinity;
  const hls = new Hls({
    lowLatencyMode: true,
    enableWorker: false, // nothing is transmuxed, and the page's policy allows no worker from a blob
    backBufferLength: 10,
  });
  hls.on(Events.ERROR, (_: string, data: ErrorData) => {
    if (!data.fatal) return;
    const nowMs = performance.now();
    if (data.type === ErrorTypes.MEDIA_ERROR && nowMs - mendedMs > MEND_AGAIN_AFTER_MS) {
      mendedMs = nowMs;
      hls.recoverMediaError();
    } else {
      alive = false;
    }
  });
  hls.on(Events.MANIFEST_PARSED, () => {
    video.play().catch(() => undefined); // a browser that wants a tap first
  });
  hls.loadSource(playlist);
  hls.attachMedia(video);
  return {
    isAlive: () => alive,
    delayMs: () => {
      const shown = hls.playingDate;
      return shown === null ? null : Math.max(0, serverNow() - shown.getTime());
    },
    stop: () => {
      alive = false;
      hls.destroy();
    },
  };
}

function playNatively(video: HTMLVideoElement, playlist: string, serverNow: () => number): Playback {
  if (!video.canPlayType("application/vnd.apple.mpegurl")) throw new Error("this browser plays no HLS");
  let alive = true;
  const fail = (): void => {
    alive = false;
  };
  video.addEventListener("error", fail);
  video.src = playlist;
  video.play().catch(() => undefined);
  return {
    isAlive: () => alive,
    delayMs: () => {
      // Safari only: the date of the playlist's beginning.
      const began = (video as HTMLVideoElement & { getStartDate?: () => Date }).getStartDate?.().getTime();
      return began === undefined || Number.isNaN(began) ? null : Math.max(0, serverNow() - began - video.currentTime * 1000);
    },
    stop: () => {
      alive = false;
      video.removeEventListener("error", fail);
      video.removeAttribute("src");
      video.load();
    },
  };
}
