/** Which view of the room this window is. The address says it, so that the prompter may stand on a screen of its own. */

import { signal } from "@preact/signals";

const PROMPTER = "#prompter";

export const isPrompter = signal(location.hash === PROMPTER);
addEventListener("hashchange", () => (isPrompter.value = location.hash === PROMPTER));

export function openPrompter(): void {
  location.hash = PROMPTER;
}

export function closePrompter(): void {
  history.replaceState(null, "", `${location.pathname}${location.search}`);
  isPrompter.value = false;
}

/** The address of the prompter, for a window or a phone beside this one. */
export function prompterAddress(roomId: string): string {
  return `${location.pathname}?room=${encodeURIComponent(roomId)}${PROMPTER}`;
}

/** The token of an invitation in this page's address; after the #, so that no server's log has it. */
export function inviteToken(): string | null {
  return /^#invite=([A-Za-z0-9_-]{20,60})$/.exec(location.hash)?.[1] ?? null;
}
