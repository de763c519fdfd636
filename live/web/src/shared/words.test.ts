import { expect, it } from "vitest";
import { words as keys } from "../console/keys-words";
import { words as people } from "../console/people-words";
import { words as prompter } from "../console/prompter/words";
import { words as replay } from "../console/replay-words";
import { words as sheets } from "../console/run-sheets-words";
import { words as script } from "../console/script-words";
import { words as console } from "../console/words";
import { words } from "../room/words";
import { fill, language, localised, shared } from "./words";

const placeholders = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();

it.each([
  ["shared", shared],
  ["room", words],
  ["console", console],
  ["keys", keys],
  ["run sheets", sheets],
  ["script", script],
  ["replay", replay],
  ["people", people],
  ["prompter", prompter],
] as const)("%s words have the same keys and placeholders in both languages", (_, dictionary) => {
  const en: Record<string, string> = dictionary.en;
  const zh: Record<string, string> = dictionary.zh;
  expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort());
  for (const key of Object.keys(en)) expect([key, placeholders(zh[key] ?? "")]).toEqual([key, placeholders(en[key] ?? "")]);
});

it("fills placeholders and leaves unknown ones standing", () => {
  expect(fill("{a} of {b}", { a: 1 })).toBe("1 of {b}");
});

it("follows the language signal", () => {
  language.value = "zh";
  expect([shared.t("held"), localised({ en: "Kettle", zh: "手冲壶" })]).toEqual(["占用", "手冲壶"]);
  language.value = "en";
  expect([shared.t("held"), localised({ zh: "手冲壶" })]).toEqual(["held", "手冲壶"]);
});
