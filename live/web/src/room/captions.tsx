import { computed, signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { announce } from "../shared/announce";
import { heartbeat } from "../shared/clock";
import { CaptionsIcon, CaptionsOffIcon } from "../shared/icons";
import { useSession } from "./context";
import { keep, readKept } from "./kept";
import { w } from "./words";

/** Shown unless this person switched them off, here or earlier. */
const areOn = signal(readKept("captions") !== "off");

export function toggleCaptions(): void {
  areOn.value = !areOn.peek();
  keep("captions", areOn.peek() ? "on" : "off");
  announce(w(areOn.peek() ? "captions_on" : "captions_off"));
}

/** Layer C: the newest line of what is said. Not announced: it says what can be heard, and would talk over it. */
export function Captions() {
  const { store } = useSession();
  const caption = store.captions.value;
  const isOver = useMemo(
    () =>
      computed(() => {
        void heartbeat.value;
        return caption === null || store.serverNow() >= caption.until_ms;
      }),
    [store, caption],
  );
  if (!areOn.value || !caption?.text || isOver.value) return null;
  return (
    <p class="captions" data-testid="captions" aria-live="off">
      <span lang={caption.language ?? undefined} dir="auto">
        {caption.text}
      </span>
    </p>
  );
}

/** Offered once a show has captions; before that it would promise what isn't there. */
export function CaptionsButton() {
  const { store } = useSession();
  if (store.captions.value === null) return null;
  return (
    <button type="button" class="pill pill-button pill-small" aria-pressed={areOn.value} aria-label={w("captions")} title={w("captions")} aria-keyshortcuts="V" data-testid="captions-button" onClick={toggleCaptions}>
      {areOn.value ? <CaptionsIcon size={16} /> : <CaptionsOffIcon size={16} />}
    </button>
  );
}
