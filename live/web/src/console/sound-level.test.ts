import { expect, it } from "vitest";
import { levelOf } from "./sound-level";

it.each([
  ["nothing", [0, 0, 0], "silent", "bad"],
  ["a hum nobody hears", [0.001, -0.001], "silent", "bad"],
  ["a voice", [0.02, -0.1, 0.05], "good", "good"],
  ["a shout that is clipped", [0.2, -1], "loud", "warn"],
] as const)("%s", (_, samples, kind, light) => {
  expect(levelOf(samples)).toMatchObject({ kind, light });
});

it("is in dB of full scale", () => {
  expect(levelOf([0.5, -0.1]).db).toBe(-6);
  expect(levelOf([]).db).toBe(-90);
});

it("remembers the loudest of before: between two words it is silent", () => {
  const word = levelOf([0.5]);
  expect(levelOf([0], word)).toEqual(word);
});
