import { signal } from "@preact/signals";
import { Sheet } from "../shared/sheet";
import { useSession } from "./context";
import { MAX_HOLD_MS } from "./held-cues";
import { w } from "./words";

const STORAGE_KEY = "flashroom.cards_wait";

/** Whether cards wait for the picture; the viewer's own choice, kept on this device. */
export const cardsWait = signal(readSwitch());

function readSwitch(): boolean {
  try {
    return localStorage.getItem(STORAGE_KEY) !== "off";
  } catch {
    return true;
  }
}

function setSwitch(on: boolean): void {
  cardsWait.value = on;
  try {
    localStorage.setItem(STORAGE_KEY, on ? "on" : "off");
  } catch {
    // Then it holds for this page.
  }
}

/** What the picture's delay means, and whether cards wait for it. */
export function DelaySheet() {
  const session = useSession();
  return (
    <Sheet title={w("delay")} kind="dialog" onClose={() => (session.panel.value = null)} testid="delay-sheet">
      <p>{w(session.videoDelay.value?.way === "hls" ? "video_delay_hls_means" : "video_delay_means")}</p>
      <label class="switch">
        <input type="checkbox" checked={cardsWait.value} data-testid="cards-wait" onChange={(event) => setSwitch(event.currentTarget.checked)} />
        <span>{w("cards_wait")}</span>
      </label>
      <p>{w("cards_wait_means", { n: MAX_HOLD_MS / 1000 })}</p>
    </Sheet>
  );
}
