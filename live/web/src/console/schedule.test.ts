import { expect, test } from "vitest";
import { localInput } from "./schedule";

test("a moment and what the field says are the same moment", () => {
  const atMs = Date.UTC(2026, 10, 25, 18, 30);
  expect(localInput(atMs)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d$/);
  expect(new Date(localInput(atMs)).getTime()).toBe(atMs);
});
