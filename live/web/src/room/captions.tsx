import { signal } from "@preact/signals";
import { announce } from "../shared/announce";
import { CaptionsIcon, CaptionsOffIcon } from "../shared/icons";
import { useSession } from "./context";
import { keep, readKept } from "./kept";
import { w } from "./words";

/** Shown unless this person switched them off, here or earlier. */
export const areOn = signal(readKept("captions") !== "off");

export function toggleCaptions(): void {
  areOn.value = !areOn.peek();
  keep("captions", areOn.peek() ? "on" : "off");
  announce(w(areOn.peek() ? "captions_on" : "captions_off"));
}

/** Layer C: the newest line of what is heard. Not announced: it says what can be heard, and would talk over it. */
export function Captions() {
  const caption = useSession().caption.value;
  if (!areOn.value || caption === null) return null;
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
