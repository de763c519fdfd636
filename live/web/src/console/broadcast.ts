/** The host's own camera or screen on its way to the room: what the video panel shows, alive whichever panel is open. */

import { signal } from "@preact/signals";
import { api } from "../shared/api";
import type { MediaAccess } from "../shared/media-session";
import { openCamera, openScreen, publish, type Publishing, type PublishState } from "./publish";

export type Source = "camera" | "screen";
/** Why there is no picture: the browser's or the person's no, nothing to take it from, or something else. */
export type SourceProblem = "denied" | "missing" | "busy" | "insecure" | "failed";

const PROBLEMS: Readonly<Record<string, SourceProblem>> = {
  NotAllowedError: "denied",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "busy",
};

export class Broadcast {
  readonly stream = signal<MediaStream | null>(null);
  readonly source = signal<Source | null>(null);
  readonly state = signal<PublishState | null>(null);
  readonly problem = signal<SourceProblem | null>(null);
  readonly isMuted = signal(false);
  readonly cameras = signal<readonly MediaDeviceInfo[]>([]);
  readonly since = signal<number | null>(null);
  private publishing: Publishing | null = null;

  constructor(private readonly roomId: string) {}

  /** What OBS and other publishers need. */
  access(): Promise<MediaAccess> {
    return api.post<MediaAccess>(`/api/rooms/${encodeURIComponent(this.roomId)}/media-tokens`, { purpose: "publish" });
  }

  /** Go live from a camera or the screen, or go on with another source without a new connection. */
  async start(source: Source, deviceId?: string): Promise<void> {
    this.problem.value = null;
    if (!navigator.mediaDevices) {
      this.problem.value = "insecure";
      return;
    }
    let stream: MediaStream;
    try {
      stream = source === "camera" ? await openCamera(deviceId) : await openScreen();
    } catch (error) {
      this.problem.value = PROBLEMS[error instanceof DOMException ? error.name : ""] ?? "failed";
      return;
    }
    this.close(this.stream.value);
    this.stream.value = stream;
    this.source.value = source;
    this.applyMute();
    // The browser's own "stop sharing" ends the broadcast too.
    for (const track of stream.getVideoTracks()) track.addEventListener("ended", () => this.stream.value === stream && this.stop());
    if (this.publishing) {
      await this.publishing.replace(stream);
      return;
    }
    this.publishing = publish(
      stream,
      () => this.access(),
      (state) => this.hear(state),
    );
    const devices = await navigator.mediaDevices.enumerateDevices();
    this.cameras.value = devices.filter((one) => one.kind === "videoinput" && one.deviceId !== "");
  }

  stop(): void {
    this.publishing?.stop();
    this.end();
    this.state.value = null;
  }

  toggleMute(): void {
    this.isMuted.value = !this.isMuted.value;
    this.applyMute();
  }

  private hear(state: PublishState): void {
    if (!this.publishing && state !== "taken") return;
    this.state.value = state;
    if (state === "live") this.since.value ??= Date.now();
    if (state === "taken") this.end();
  }

  private end(): void {
    this.publishing = null;
    this.close(this.stream.value);
    this.stream.value = null;
    this.source.value = null;
    this.since.value = null;
  }

  private applyMute(): void {
    for (const track of this.stream.value?.getAudioTracks() ?? []) track.enabled = !this.isMuted.value;
  }

  private close(stream: MediaStream | null): void {
    for (const track of stream?.getTracks() ?? []) track.stop();
  }
}
