import { expect, test } from "vitest";
import { type DeskRequest, hasPassed, requestState } from "./desk-request";

const asked: DeskRequest = { user_id: "us_bo", name: "Bo", asked_at_ms: 0, answer_by_ms: 10_000, ask_again_at_ms: 30_000, ends_at_ms: 60_000, answer: null };

test.each([
  [null, 0, "none"],
  [asked, 9_999, "waiting"],
  [asked, 10_000, "unanswered"],
  [asked, 60_000, "none"],
  [{ ...asked, answer: "hand_over" as const }, 5_000, "handed"],
  [{ ...asked, answer: "hand_over" as const }, 60_000, "none"],
  [{ ...asked, answer: "away" as const }, 0, "away"],
  [{ ...asked, answer: "keep" as const }, 29_999, "kept"],
  [{ ...asked, answer: "keep" as const }, 30_000, "none"],
] as const)("a request %j is at %i ms %s", (request, nowMs, state) => {
  expect(requestState(request, nowMs)).toBe(state);
});

test("only what the holder let go, or left unanswered, may be taken", () => {
  expect((["none", "waiting", "handed", "away", "unanswered", "kept"] as const).filter(hasPassed)).toEqual(["handed", "away", "unanswered"]);
});
