/** Press and hold: fires once, only after the press has lasted; letting go or leaving cancels. No timers here. */

export const HOLD_MS = 600;

export type Press = { kind: "idle" } | { kind: "down"; sinceMs: number } | { kind: "done" };
export type PressEvent = "down" | "up" | "leave" | "tick";

export const IDLE: Press = { kind: "idle" };

/** The next state and whether the action is due now. After firing nothing more happens until the press is let go. */
export function step(press: Press, event: PressEvent, nowMs: number, holdMs: number = HOLD_MS): { press: Press; fires: boolean } {
  switch (press.kind) {
    case "idle":
      return { press: event === "down" ? { kind: "down", sinceMs: nowMs } : press, fires: false };
    case "down":
      if (event === "leave") return { press: IDLE, fires: false };
      if (nowMs - press.sinceMs >= holdMs && event !== "down") {
        return { press: event === "up" ? IDLE : { kind: "done" }, fires: true };
      }
      return { press: event === "up" ? IDLE : press, fires: false };
    case "done":
      return { press: event === "up" || event === "leave" ? IDLE : press, fires: false };
  }
}
