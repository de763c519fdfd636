/** Watches a room's video by WHEP: one small module, no library. It reconnects by itself until it is told to stop. */

import { endSession, type MediaAccess, MediaRefused, openSession, pause } from "../shared/media-session";

/** `away`: nobody publishes now; `waiting`: connected, no picture yet or it stands still. */
export type VideoState = "connecting" | "waiting" | "playing" | "away" | "reconnecting" | "stopped";

export interface Watching {
  stop(): void;
}

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;
const AWAY_RETRY_MS = 2_000;
const CONNECT_TIMEOUT_MS = 10_000;
const STILL_AFTER_MS = 3_000;
const LOOK_MS = 1_000;
const DISCONNECTED_FOR_MS = 4_000;

class NotOnAir extends Error {}

/**
 * Play into `video` (muted first, as browsers want it; the page offers to turn the sound on). `access` is asked before each connection, so
 * that a token is fresh. `onState` hears every change. Nothing is thrown: trouble is a state.
 */
export function watch(
  video: HTMLVideoElement,
  access: () => Promise<MediaAccess>,
  onState: (state: VideoState) => void = () => undefined,
): Watching {
  const ending = new AbortController();
  let state: VideoState | null = null;
  const say = (next: VideoState): void => {
    if (state === next || (ending.signal.aborted && next !== "stopped")) return;
    state = next;
    onState(next);
  };
  void keepWatching(video, access, say, ending.signal).finally(() => say("stopped"));
  return { stop: () => ending.abort() };
}

async function keepWatching(
  video: HTMLVideoElement,
  access: () => Promise<MediaAccess>,
  say: (state: VideoState) => void,
  stop: AbortSignal,
): Promise<void> {
  let delayMs = FIRST_RETRY_MS;
  say("connecting");
  while (!stop.aborted) {
    try {
      const given = await access();
      if (stop.aborted) return;
      await watchOnce(video, given, say, stop, () => (delayMs = FIRST_RETRY_MS));
      say("reconnecting");
    } catch (error) {
      if (stop.aborted) return;
      if (error instanceof NotOnAir) {
        say("away");
        await pause(AWAY_RETRY_MS, stop);
        continue;
      }
      say("reconnecting");
    }
    await pause(delayMs * (0.5 + Math.random() / 2), stop);
    delayMs = Math.min(LAST_RETRY_MS, delayMs * 2);
  }
}

/** One session from its offer to its end; gives back when the connection is lost or `stop` is said. */
async function watchOnce(
  video: HTMLVideoElement,
  given: MediaAccess,
  say: (state: VideoState) => void,
  stop: AbortSignal,
  onGood: () => void,
): Promise<void> {
  const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  let session: string | null = null;
  try {
    const stream = new MediaStream();
    peer.ontrack = (event) => {
      stream.addTrack(event.track);
      if (video.srcObject !== stream) video.srcObject = stream;
      video.play().catch(() => undefined); // a browser that wants a tap first: the page's control plays it
    };
    peer.addTransceiver("video", { direction: "recvonly" });
    peer.addTransceiver("audio", { direction: "recvonly" });
    session = await openSession(peer, given, stop).catch((error: unknown) => {
      if (error instanceof MediaRefused && error.status === 409) throw new NotOnAir();
      throw error;
    });
    await untilLost(peer, video, say, stop, onGood);
  } finally {
    peer.close();
    if (session !== null) endSession(session, given);
  }
}

async function untilLost(
  peer: RTCPeerConnection,
  video: HTMLVideoElement,
  say: (state: VideoState) => void,
  stop: AbortSignal,
  onGood: () => void,
): Promise<void> {
  const beganMs = performance.now();
  let goodMs = beganMs;
  let movedMs = -Infinity;
  let shown = -1;
  while (!stop.aborted) {
    const nowMs = performance.now();
    const decoded = video.getVideoPlaybackQuality().totalVideoFrames;
    if (decoded !== shown && decoded > 0) {
      movedMs = nowMs;
      onGood();
    }
    shown = decoded;
    say(nowMs - movedMs < STILL_AFTER_MS ? "playing" : "waiting");
    const state = peer.connectionState;
    if (state === "connected") goodMs = nowMs;
    if (state === "failed" || state === "closed") return;
    if (nowMs - goodMs > (state === "disconnected" ? DISCONNECTED_FOR_MS : CONNECT_TIMEOUT_MS)) return;
    await pause(LOOK_MS, stop);
  }
}
