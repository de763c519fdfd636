/**
 * Watches a room's video: by WebRTC (WHEP) where it works, else by HLS, and back again. It reconnects by itself until it is told to stop.
 */

import { endSession, type MediaAccess, MediaRefused, openSession, pause } from "../shared/media-session";

/** `away`: nobody publishes now; `waiting`: connected, no picture yet or it stands still. */
export type VideoState = "connecting" | "waiting" | "playing" | "away" | "reconnecting" | "stopped";
export type VideoWay = "webrtc" | "hls";

/** How the picture comes, and how long after its making it is shown (ms; null while not known). */
export interface VideoDelay {
  way: VideoWay;
  ms: number | null;
}

export interface Watching {
  stop(): void;
}

/** What a way of watching tells the loop that looks at it each second. */
export interface Playback {
  /** False once it has ended by itself. */
  isAlive(): boolean;
  delayMs(): number | null | Promise<number | null>;
  stop(): void;
}

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;
const AWAY_RETRY_MS = 2_000;
const CONNECT_TIMEOUT_MS = 8_000;
const STILL_AFTER_MS = 3_000;
const LOOK_MS = 1_000;
const DISCONNECTED_FOR_MS = 4_000;
const FIRST_RETURN_MS = 15_000;
const LAST_RETURN_MS = 120_000;

class NotOnAir extends Error {}

export interface WatchOptions {
  onState?: (state: VideoState) => void;
  onDelay?: (delay: VideoDelay | null) => void;
  /** The server's clock, against which HLS says when a picture was received. */
  serverNow?: () => number;
}

/**
 * Play into `video` (muted first, as browsers want it; the page offers to turn the sound on). `access` is asked before each connection, so
 * that a token is fresh. Nothing is thrown: trouble is a state.
 */
export function watch(video: HTMLVideoElement, access: () => Promise<MediaAccess>, options: WatchOptions = {}): Watching {
  const ending = new AbortController();
  const watcher = new Watcher(video, access, options, ending.signal);
  void watcher.run();
  return { stop: () => ending.abort() };
}

class Watcher {
  private state: VideoState | null = null;
  private retryMs = FIRST_RETRY_MS;
  private returnMs = FIRST_RETURN_MS;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly access: () => Promise<MediaAccess>,
    private readonly options: WatchOptions,
    private readonly stopped: AbortSignal,
  ) {}

  async run(): Promise<void> {
    this.say("connecting");
    while (!this.stopped.aborted) {
      try {
        await this.once();
        this.say("reconnecting");
      } catch (error) {
        if (this.stopped.aborted) break;
        if (error instanceof NotOnAir) {
          this.say("away");
          await pause(AWAY_RETRY_MS, this.stopped);
          continue;
        }
        this.say("reconnecting");
      }
      await pause(this.retryMs * (0.5 + Math.random() / 2), this.stopped);
      this.retryMs = Math.min(LAST_RETRY_MS, this.retryMs * 2);
    }
    this.options.onDelay?.(null);
    this.say("stopped");
  }

  private say(next: VideoState): void {
    if (this.state === next || (this.stopped.aborted && next !== "stopped")) return;
    this.state = next;
    this.options.onState?.(next);
  }

  /** One way of watching from its beginning to its end. */
  private async once(): Promise<void> {
    const given = await this.access();
    if (this.stopped.aborted) return;
    let peer: PeerPlayback;
    try {
      peer = await PeerPlayback.connect(given, this.stopped);
    } catch (error) {
      if (error instanceof NotOnAir || given.hls == null || this.stopped.aborted) throw error;
      return this.byHls(given.hls);
    }
    this.returnMs = FIRST_RETURN_MS;
    peer.playInto(this.video);
    await this.untilOver(peer, "webrtc", this.stopped);
  }

  /** HLS, while WebRTC is tried again now and then beside it; over when one of the two is. */
  private async byHls(playlist: string): Promise<void> {
    // Loaded only by those who need it.
    const { playHls } = await import("./video-hls");
    const over = new AbortController();
    const stop = AbortSignal.any([this.stopped, over.signal]);
    const playback = await playHls(this.video, playlist, this.options.serverNow ?? Date.now);
    const returning = this.tryWebRtcAgain(stop);
    void returning.then((peer) => peer && over.abort());
    try {
      await this.untilOver(playback, "hls", stop);
    } finally {
      over.abort();
      playback.stop();
    }
    const peer = await returning;
    if (peer === null) return;
    if (this.stopped.aborted) return peer.stop();
    this.returnMs = FIRST_RETURN_MS;
    peer.playInto(this.video);
    await this.untilOver(peer, "webrtc", this.stopped);
  }

  private async tryWebRtcAgain(stop: AbortSignal): Promise<PeerPlayback | null> {
    if (!("RTCPeerConnection" in globalThis)) return null;
    while (!stop.aborted) {
      await pause(this.returnMs * (0.75 + Math.random() / 4), stop);
      this.returnMs = Math.min(LAST_RETURN_MS, this.returnMs * 2);
      if (stop.aborted) return null;
      try {
        const peer = await PeerPlayback.connect(await this.access(), stop);
        if (!stop.aborted) return peer;
        peer.stop();
      } catch {
        continue; // as before: HLS goes on, and the next try is later
      }
    }
    return null;
  }

  private async untilOver(playback: Playback, way: VideoWay, stop: AbortSignal): Promise<void> {
    let movedMs = -Infinity;
    let shown = -1;
    try {
      while (!stop.aborted && playback.isAlive()) {
        const nowMs = performance.now();
        const decoded = this.video.getVideoPlaybackQuality().totalVideoFrames;
        if (decoded !== shown && decoded > 0) {
          movedMs = nowMs;
          this.retryMs = FIRST_RETRY_MS;
        }
        shown = decoded;
        this.say(nowMs - movedMs < STILL_AFTER_MS ? "playing" : "waiting");
        this.options.onDelay?.({ way, ms: await playback.delayMs() });
        await pause(LOOK_MS, stop);
      }
    } finally {
      playback.stop();
    }
  }
}

/** A WHEP session that stands. */
class PeerPlayback implements Playback {
  private goodMs = performance.now();
  private buffered = { pictures: 0, waitedS: 0 };
  private bufferMs: number | null = null;

  private constructor(
    private readonly peer: RTCPeerConnection,
    private readonly stream: MediaStream,
    private readonly session: string,
    private readonly given: MediaAccess,
  ) {}

  /** Throws NotOnAir, MediaRefused, or another error when there is no way through. */
  static async connect(given: MediaAccess, stop: AbortSignal): Promise<PeerPlayback> {
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: given.ice_servers ?? [] });
    let session: string | null = null;
    try {
      const stream = new MediaStream();
      peer.ontrack = (event) => stream.addTrack(event.track);
      peer.addTransceiver("video", { direction: "recvonly" });
      peer.addTransceiver("audio", { direction: "recvonly" });
      session = await openSession(peer, given, stop).catch((error: unknown) => {
        if (error instanceof MediaRefused && error.status === 409) throw new NotOnAir();
        throw error;
      });
      await untilConnected(peer, stop);
      return new PeerPlayback(peer, stream, session, given);
    } catch (error) {
      peer.close();
      if (session !== null) endSession(session, given);
      throw error;
    }
  }

  playInto(video: HTMLVideoElement): void {
    video.removeAttribute("src");
    video.srcObject = this.stream;
    video.play().catch(() => undefined); // a browser that wants a tap first: the page's control plays it
  }

  isAlive(): boolean {
    const nowMs = performance.now();
    const state = this.peer.connectionState;
    if (state === "connected") this.goodMs = nowMs;
    return state !== "failed" && state !== "closed" && nowMs - this.goodMs <= DISCONNECTED_FOR_MS;
  }

  /**
   * What the viewer's side adds: half the round trip, and the wait in the jitter buffer of the pictures since the last look. The publisher's
   * own way comes on top.
   */
  async delayMs(): Promise<number | null> {
    let roundTripMs: number | null = null;
    for (const report of (await this.peer.getStats()).values()) {
      if (report.type === "candidate-pair" && report.nominated && report.currentRoundTripTime !== undefined) {
        roundTripMs = report.currentRoundTripTime * 1000;
      }
      if (report.type === "inbound-rtp" && report.kind === "video" && report.jitterBufferEmittedCount > 0) {
        const pictures = report.jitterBufferEmittedCount - this.buffered.pictures;
        if (pictures > 0) this.bufferMs = ((report.jitterBufferDelay - this.buffered.waitedS) / pictures) * 1000;
        this.buffered = { pictures: report.jitterBufferEmittedCount, waitedS: report.jitterBufferDelay };
      }
    }
    return this.bufferMs === null ? null : this.bufferMs + (roundTripMs ?? 0) / 2;
  }

  stop(): void {
    if (this.peer.connectionState === "closed") return;
    this.peer.close();
    endSession(this.session, this.given);
  }
}

async function untilConnected(peer: RTCPeerConnection, stop: AbortSignal): Promise<void> {
  const until = AbortSignal.any([stop, AbortSignal.timeout(CONNECT_TIMEOUT_MS)]);
  await new Promise<void>((resolve, reject) => {
    const look = (): void => {
      if (peer.connectionState === "connected") resolve();
      else if (peer.connectionState === "failed" || until.aborted) reject(new Error("no way through for WebRTC"));
    };
    peer.addEventListener("connectionstatechange", look);
    until.addEventListener("abort", look);
    look();
  });
}
