import { expect, test } from "vitest";
import { mentions } from "./chat";

test("a comment speaks to me when my name stands behind an @ as a word of its own", () => {
  expect(mentions("@Ann is it yours?", "Ann")).toBe(true);
  expect(mentions("thanks @ann!", "Ann")).toBe(true);
  expect(mentions("谢谢@小林，", "小林")).toBe(true);
  expect(mentions("@Annabel hello", "Ann")).toBe(false);
  expect(mentions("Ann", "Ann")).toBe(false);
  expect(mentions("@", "")).toBe(false);
});
