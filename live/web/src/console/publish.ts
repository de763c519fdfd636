/** Publishes camera or screen by WHIP from the host's browser. It comes back by itself after a drop, within the same show. */

import { endSession, type MediaAccess, MediaRefused, openSession, pause } from "../shared/media-session";

export type PublishState = "connecting" | "live" | "reconnecting" | "taken" | "stopped";

export interface Publishing {
  /** Go on with another picture or sound without a new connection. */
  replace(stream: MediaStream): Promise<void>;
  stop(): void;
}

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8_000;
const CONNECT_TIMEOUT_MS = 10_000;
const LOOK_MS = 500;
const LOST_AFTER_MS = 4_000;
const VIDEO_BITS_PER_S = 2_500_000;
const AUDIO_BITS_PER_S = 96_000;

class Taken extends Error {}

/** The camera and microphone, upright where the device can. Throws what `getUserMedia` throws (NotAllowedError, NotFoundError). */
export function openCamera(deviceId?: string): Promise<MediaStream> {
  return navigator.mediaDevices.getUserMedia({
    video: {
      ...(deviceId === undefined ? { facingMode: "user" } : { deviceId: { exact: deviceId } }),
      width: { ideal: 720 },
      height: { ideal: 1280 },
      frameRate: { ideal: 30, max: 30 },
    },
    audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
  });
}

/** The screen, with its sound where the browser can. */
export function openScreen(): Promise<MediaStream> {
  return navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 30, max: 30 } }, audio: true });
}

/** Publish until `stop()`. `taken` is an end too: somebody else publishes, or another device of this host took over. */
export function publish(
  stream: MediaStream,
  access: () => Promise<MediaAccess>,
  onState: (state: PublishState) => void = () => undefined,
): Publishing {
  const ending = new AbortController();
  const current = { stream, peer: null as RTCPeerConnection | null };
  let state: PublishState | null = null;
  const say = (next: PublishState): void => {
    if (state === next || state === "taken" || (ending.signal.aborted && next !== "stopped")) return;
    state = next;
    onState(next);
  };
  void keepPublishing(current, access, say, ending.signal).finally(() => say("stopped"));
  return {
    async replace(next) {
      current.stream = next;
      for (const sender of current.peer?.getSenders() ?? []) {
        const kind = sender.track?.kind;
        const track = next.getTracks().find((one) => one.kind === kind);
        if (track) await sender.replaceTrack(track);
      }
    },
    stop: () => ending.abort(),
  };
}

interface Current {
  stream: MediaStream;
  peer: RTCPeerConnection | null;
}

async function keepPublishing(
  current: Current,
  access: () => Promise<MediaAccess>,
  say: (state: PublishState) => void,
  stop: AbortSignal,
): Promise<void> {
  let delayMs = FIRST_RETRY_MS;
  say("connecting");
  while (!stop.aborted) {
    try {
      const given = await access();
      if (stop.aborted) return;
      await publishOnce(current, given, say, stop, () => (delayMs = FIRST_RETRY_MS));
    } catch (error) {
      if (error instanceof Taken) {
        say("taken");
        return;
      }
    }
    if (stop.aborted) return;
    say("reconnecting");
    await pause(delayMs * (0.5 + Math.random() / 2), stop);
    delayMs = Math.min(LAST_RETRY_MS, delayMs * 2);
  }
}

async function publishOnce(
  current: Current,
  given: MediaAccess,
  say: (state: PublishState) => void,
  stop: AbortSignal,
  onGood: () => void,
): Promise<void> {
  const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  current.peer = peer;
  let session: string | null = null;
  try {
    for (const track of current.stream.getTracks()) {
      const isVideo = track.kind === "video";
      peer.addTransceiver(track, {
        direction: "sendonly",
        streams: [current.stream],
        sendEncodings: [{ maxBitrate: isVideo ? VIDEO_BITS_PER_S : AUDIO_BITS_PER_S }],
      });
    }
    session = await openSession(peer, given, stop).catch((error: unknown) => {
      if (error instanceof MediaRefused && error.status === 409) throw new Taken();
      throw error;
    });
    await untilLost(peer, session, given, say, stop, onGood);
  } finally {
    current.peer = null;
    peer.close();
    if (session !== null) endSession(session, given);
  }
}

async function untilLost(
  peer: RTCPeerConnection,
  session: string,
  given: MediaAccess,
  say: (state: PublishState) => void,
  stop: AbortSignal,
  onGood: () => void,
): Promise<void> {
  let goodMs = performance.now();
  let wasLive = false;
  while (!stop.aborted) {
    const nowMs = performance.now();
    const state = peer.connectionState;
    if (state === "connected") {
      goodMs = nowMs;
      wasLive = true;
      say("live");
      onGood();
    }
    const patienceMs = wasLive ? LOST_AFTER_MS : CONNECT_TIMEOUT_MS;
    if (state === "failed" || state === "closed" || nowMs - goodMs > patienceMs) {
      if (wasLive && (await wasTakenOver(session, given))) throw new Taken();
      return;
    }
    await pause(LOOK_MS, stop);
  }
}

/** A session that the server ended while we were connected was taken over by another device: don't fight for it. */
async function wasTakenOver(session: string, given: MediaAccess): Promise<boolean> {
  try {
    const response = await fetch(session, {
      method: "PATCH",
      headers: {
        "Content-Type": "application/trickle-ice-sdpfrag",
        Authorization: `Bearer ${given.token}`,
        "If-Match": '"still there?"',
      },
      body: "a=end-of-candidates\r\n",
    });
    return response.status === 410;
  } catch {
    return false;
  }
}
