import { expect, it } from "vitest";
import type { CaptionsValue } from "../shared/types";
import { CaptionLine } from "./caption-line";

const caption = (text: string, at_ms: number, saidMs = at_ms): CaptionsValue => ({ text, language: "en", at_ms, until_ms: saidMs + 8_000 });

/** Lines with the moments they came. */
function hearing(...lines: [line: CaptionsValue, cameMs: number][]): CaptionLine {
  const captions = new CaptionLine();
  for (const [line, cameMs] of lines) captions.offer(line, cameMs);
  return captions;
}

const textAt = (captions: CaptionLine, serverMs: number, delayMs: number | null): string | undefined => captions.at({ serverMs, delayMs })?.text;

it("a line waits until its words are heard, and its 8 s run from then on", () => {
  const captions = hearing([caption("thirty left", 10_000), 10_000]);
  expect(textAt(captions, 13_999, 4_000)).toBeUndefined();
  expect(captions.isHolding).toBe(true);
  expect(textAt(captions, 14_000, 4_000)).toBe("thirty left");
  expect(textAt(captions, 21_999, 4_000)).toBe("thirty left");
  expect(textAt(captions, 22_000, 4_000)).toBeUndefined();
});

it("without a moving picture, or for who wants it so, a line is shown at once and for 8 s", () => {
  const captions = hearing([caption("thirty left", 10_000), 10_050]);
  expect(textAt(captions, 10_050, null)).toBe("thirty left");
  expect(textAt(captions, 17_999, null)).toBe("thirty left");
  expect(textAt(captions, 18_000, null)).toBeUndefined();
});

it("a recogniser that is late by less than the picture loses nothing", () => {
  const captions = hearing([caption("thirty left", 10_000, 12_500), 12_500]);
  expect(textAt(captions, 13_999, 4_000)).toBeUndefined();
  expect(textAt(captions, 14_000, 4_000)).toBe("thirty left");
  expect(textAt(captions, 21_999, 4_000)).toBe("thirty left");
});

it("one that is later than the picture is shown when it comes, for 8 s", () => {
  const captions = hearing([caption("thirty left", 10_000, 15_000), 15_000]);
  expect(textAt(captions, 15_000, 4_000)).toBe("thirty left");
  expect(textAt(captions, 22_999, 4_000)).toBe("thirty left");
  expect(textAt(captions, 23_000, 4_000)).toBeUndefined();
});

it("corrections come each at its moment and the newest due one wins; an empty line clears in its turn", () => {
  const captions = hearing([caption("thirsty", 10_000), 10_000], [caption("thirty", 10_200), 10_200], [caption("thirty left", 10_400), 10_400], [caption("", 12_000), 12_000]);
  expect(textAt(captions, 14_100, 4_000)).toBe("thirsty");
  expect(textAt(captions, 14_450, 4_000)).toBe("thirty left");
  expect(textAt(captions, 15_999, 4_000)).toBe("thirty left");
  expect(textAt(captions, 16_000, 4_000)).toBeUndefined();
});

it("who comes in later sees no line of before", () => {
  expect(textAt(hearing([caption("thirty left", 10_000), 60_000]), 60_000, null)).toBeUndefined();
});

it("a page that slept shows no line whose time is over", () => {
  expect(textAt(hearing([caption("thirty left", 10_000), 10_000]), 60_000, 4_000)).toBeUndefined();
});

it("the same line is the same object, so that a page draws it once", () => {
  const captions = hearing([caption("thirty left", 10_000), 10_000]);
  expect(captions.at({ serverMs: 10_100, delayMs: null })).toBe(captions.at({ serverMs: 10_200, delayMs: null }));
});
