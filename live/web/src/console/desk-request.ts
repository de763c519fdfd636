/** What has become of a request for the desk, by the server's clock. No I/O. */

export interface DeskRequest {
  user_id: string;
  name: string;
  asked_at_ms: number;
  answer_by_ms: number;
  ask_again_at_ms: number;
  ends_at_ms: number;
  answer: "hand_over" | "keep" | "away" | null;
}

/** `waiting` for the holder's answer, `passed` to the one who asked (why is told apart), `kept`, or `none` that counts now. */
export type RequestState = "none" | "waiting" | "handed" | "away" | "unanswered" | "kept";

export function requestState(request: DeskRequest | null, nowMs: number): RequestState {
  if (request === null || nowMs >= request.ends_at_ms) return "none";
  switch (request.answer) {
    case "hand_over":
      return "handed";
    case "away":
      return "away";
    case "keep":
      return nowMs < request.ask_again_at_ms ? "kept" : "none";
    case null:
      return nowMs < request.answer_by_ms ? "waiting" : "unanswered";
  }
}

/** Whether the one who asked may take the desk by a press of their own. */
export function hasPassed(state: RequestState): boolean {
  return state === "handed" || state === "away" || state === "unanswered";
}
