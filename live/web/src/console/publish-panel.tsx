import { useEffect, useRef, useState } from "preact/hooks";
import type { MediaAccess } from "../shared/media-session";
import { useDesk } from "./context";
import { ProblemLine } from "./parts";
import { Recordings } from "./recordings";
import { w } from "./words";

/** Go live: from a camera, from the screen, or with OBS. */
export function PublishPanel() {
  const { broadcast, store } = useDesk();
  const stream = broadcast.stream.value;
  const state = broadcast.state.value;
  const problem = broadcast.problem.value;
  const isOn = stream !== null;
  const others = !isOn && store.media.value?.publishing === true;
  return (
    <div class="video-panel" data-testid="publish">
      <Preview stream={stream} />
      <p class="video-state" role="status" data-testid="publish-state" data-state={state ?? "off"}>
        {state === null ? w(others ? "video_other" : "video_off") : w(`video_${state}`)}
      </p>
      {problem && <ProblemLine text={w(`video_problem_${problem}`)} onDismiss={() => (broadcast.problem.value = null)} />}
      <div class="video-actions">
        <button
          type="button"
          class={`button ${isOn ? "" : "button-primary"}`}
          aria-pressed={broadcast.source.value === "camera"}
          data-testid="publish-camera"
          onClick={() => void broadcast.start("camera")}
        >
          {w("video_camera")}
        </button>
        <button
          type="button"
          class="button"
          aria-pressed={broadcast.source.value === "screen"}
          data-testid="publish-screen"
          onClick={() => void broadcast.start("screen")}
        >
          {w("video_screen")}
        </button>
        {isOn && (
          <>
            <button
              type="button"
              class="button"
              aria-pressed={broadcast.isMuted.value}
              data-testid="publish-mute"
              onClick={() => broadcast.toggleMute()}
            >
              {w(broadcast.isMuted.value ? "video_unmute" : "video_mute")}
            </button>
            <button type="button" class="button button-danger" data-testid="publish-stop" onClick={() => broadcast.stop()}>
              {w("video_stop")}
            </button>
          </>
        )}
      </div>
      {isOn && broadcast.source.value === "camera" && broadcast.cameras.value.length > 1 && (
        <label class="video-device">
          <span>{w("video_which")}</span>
          <select
            class="input"
            value={stream.getVideoTracks()[0]?.getSettings().deviceId}
            onChange={(event) => void broadcast.start("camera", event.currentTarget.value)}
          >
            {broadcast.cameras.value.map((camera, index) => (
              <option key={camera.deviceId} value={camera.deviceId}>
                {camera.label || w("video_camera_number", { n: index + 1 })}
              </option>
            ))}
          </select>
        </label>
      )}
      <RecordingLine />
      <Elsewhere ask={() => broadcast.access()} />
      <Recordings />
    </div>
  );
}

/** Whether the show is being recorded; loud when it should be and is not. */
function RecordingLine() {
  const { store } = useDesk();
  const state = store.media.value?.publishing ? store.media.value.recording : "off";
  if (state === undefined || state === "off") return null;
  if (state === "on") {
    return (
      <p class="panel-note" data-testid="recording-state" data-state={state}>
        {w("recording_on")}
      </p>
    );
  }
  return <ProblemLine text={w(`recording_${state}`)} />;
}

function Preview({ stream }: { stream: MediaStream | null }) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (video.current) video.current.srcObject = stream;
  }, [stream]);
  if (!stream) return null;
  // Muted: the host must not hear themselves.
  return <video ref={video} class="video-preview" muted playsInline autoPlay aria-label={w("video_preview")} />;
}

/** The address and token for OBS and the like, shown only when asked for: whoever has them can go on air. */
function Elsewhere({ ask }: { ask: () => Promise<MediaAccess> }) {
  const [access, setAccess] = useState<MediaAccess | null>(null);
  const [hasFailed, setFailed] = useState(false);
  return (
    <details class="video-elsewhere">
      <summary>{w("video_obs")}</summary>
      <p class="panel-note">{w("video_obs_hint")}</p>
      {access ? (
        <dl>
          {(["url", "token"] as const).map((field) => (
            <div key={field}>
              <dt>{w(field === "url" ? "video_obs_url" : "video_obs_token")}</dt>
              <dd>
                <input class="input" readOnly value={access[field]} onFocus={(event) => event.currentTarget.select()} />
              </dd>
            </div>
          ))}
        </dl>
      ) : (
        <button
          type="button"
          class="button"
          onClick={() => {
            setFailed(false);
            ask().then(setAccess, () => setFailed(true));
          }}
        >
          {w("video_obs_show")}
        </button>
      )}
      {hasFailed && <ProblemLine text={w("video_problem_failed")} />}
    </details>
  );
}
