import { useEffect, useRef, useState } from "preact/hooks";
import { api } from "../shared/api";
import { useSession } from "./context";
import type { MediaAccess } from "../shared/media-session";
import type { VideoDelay, VideoState, Watching } from "./video";

/** Layer B when a camera is on: the picture, faded in only once it moves. Its trouble is its own; buying and chat don't wait for it. */
export function LiveVideo({ onState, onDelay }: { onState: (state: VideoState) => void; onDelay: (delay: VideoDelay | null) => void }) {
  const session = useSession();
  const video = useRef<HTMLVideoElement>(null);
  const [isPlaying, setPlaying] = useState(false);
  useEffect(() => {
    let watching: Watching | null = null;
    let isGone = false;
    const access = (): Promise<MediaAccess> =>
      api.post<MediaAccess>(`/api/rooms/${encodeURIComponent(session.roomId)}/media-tokens`, { purpose: "play" });
    // Loaded when a camera first comes on: a room without video never pays for it.
    void import("./video").then(({ watch }) => {
      if (isGone || !video.current) return;
      watching = watch(video.current, access, {
        serverNow: () => session.store.serverNow(),
        onState: (state) => {
          if (isGone) return;
          setPlaying(state === "playing");
          onState(state);
        },
        onDelay: (delay) => {
          if (!isGone) onDelay(delay);
        },
      });
    });
    return () => {
      isGone = true;
      watching?.stop();
    };
  }, [session]);
  const isMuted = session.isMuted.value;
  useEffect(() => {
    if (video.current) video.current.muted = isMuted;
  }, [isMuted]);
  return <video ref={video} class={`stage-video ${isPlaying ? "is-playing" : ""}`} muted playsInline autoPlay data-testid="video" />;
}
