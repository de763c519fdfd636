/** Watches a room's video by WHEP: one small module, no library. It reconnects by itself until it is told to stop. */

export interface MediaAccess {
  /** Absolute address of the endpoint. */
  url: string;
  token: string;
}

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
    await peer.setLocalDescription(await peer.createOffer());
    // The server answers whoever checks it and needs no candidates, so there is nothing to wait for.
    const response = await fetch(given.url, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${given.token}` },
      body: peer.localDescription?.sdp ?? "",
      signal: AbortSignal.any([stop, AbortSignal.timeout(CONNECT_TIMEOUT_MS)]),
    });
    if (response.status === 409) throw new NotOnAir();
    if (response.status !== 201) throw new Error(`WHEP answered ${response.status}`);
    session = new URL(response.headers.get("Location") ?? "", given.url).href;
    await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
    await untilLost(peer, video, say, stop, onGood);
  } finally {
    peer.close();
    if (session !== null) {
      void fetch(session, {
        method: "DELETE",
        headers: { Authorization: `Bearer ${given.token}` },
        keepalive: true,
      }).catch(() => undefined);
    }
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

function pause(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      stop.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    stop.addEventListener("abort", done);
    if (stop.aborted) done();
  });
}
