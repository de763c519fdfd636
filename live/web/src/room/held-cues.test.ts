import { expect, it } from "vitest";
import { HeldCues, MAX_HOLD_MS, MAX_WAITING, type Now, type PinCue } from "./held-cues";

const MUG: PinCue = { product_id: "pr_mug", at_ms: 0 };
const LAMP: PinCue = { product_id: "pr_lamp", at_ms: 10_000 };
const CAP: PinCue = { product_id: "pr_cap", at_ms: 11_000 };

const now = (serverMs: number, delayMs: number | null, opened?: string): Now<PinCue> => ({
  serverMs,
  delayMs,
  isUrgent: (cue) => cue.product_id === opened,
});

function holding(...cues: PinCue[]): HeldCues<PinCue> {
  const cards = new HeldCues<PinCue>(MUG);
  for (const cue of cues) cards.offer(cue);
  return cards;
}

it("a card changes when the picture has come to the cue", () => {
  const cards = holding(LAMP);
  expect(cards.at(now(12_799, 2_800))).toBe(MUG);
  expect(cards.isHolding).toBe(true);
  expect(cards.at(now(12_800, 2_800))).toBe(LAMP);
  expect(cards.isHolding).toBe(false);
});

it.each([
  ["a picture that is hardly late", 299],
  ["no picture, or a delay nobody knows", null],
])("%s holds nothing back", (_, delayMs) => {
  expect(holding(LAMP).at(now(10_000, delayMs))).toBe(LAMP);
});

it("no cue waits longer than the bound", () => {
  const cards = holding(LAMP);
  expect(cards.at(now(10_000 + MAX_HOLD_MS - 1, 60_000))).toBe(MUG);
  expect(cards.at(now(10_000 + MAX_HOLD_MS, 60_000))).toBe(LAMP);
});

it("cues come in order, each at its moment", () => {
  const cards = holding(LAMP, CAP);
  expect(cards.at(now(12_500, 2_000))).toBe(LAMP);
  expect(cards.at(now(13_000, 2_000))).toBe(CAP);
});

it("what was shown does not go back when the picture falls further behind", () => {
  const cards = holding(LAMP);
  expect(cards.at(now(12_000, 2_000))).toBe(LAMP);
  expect(cards.at(now(12_100, 8_000))).toBe(LAMP);
});

it("a picture that is lost gives free what waits", () => {
  const cards = holding(LAMP, CAP);
  expect(cards.at(now(11_000, 5_000))).toBe(MUG);
  expect(cards.at(now(11_100, null))).toBe(CAP);
});

it("a sale that opens on the held card shows it at once, and what came before it is passed over", () => {
  expect(holding(LAMP, CAP).at(now(11_000, 5_000, "pr_cap"))).toBe(CAP);
});

it("what waits is bounded: in a burst the newest takes the last place, and none is shown before its time", () => {
  const cues = Array.from({ length: MAX_WAITING + 40 }, (_, n): PinCue => ({ product_id: `pr_${n}`, at_ms: 10_000 + n }));
  const cards = holding(...cues);
  expect(cards.at(now(10_001, 5_000))).toBe(MUG);
  expect(cards.at(now(15_000 + MAX_WAITING, 5_000))).toBe(cues[MAX_WAITING - 2]);
  expect(cards.at(now(20_000, 5_000))).toBe(cues.at(-1));
});

it("a cue without a time is old and shown", () => {
  expect(holding({ product_id: null, at_ms: null }).at(now(0, 5_000)).product_id).toBeNull();
});
