import { signal } from "@preact/signals";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { paced } from "./paced";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test("what changes after a quiet moment shows at once", () => {
  const source = signal(1);
  const { signal: shown, follow } = paced(source, 200);
  const stop = follow();
  vi.advanceTimersByTime(200);
  source.value = 2;
  expect(shown.value).toBe(2);
  stop();
});

test("what changes all the time shows five times a second, and ends with the last value", () => {
  const source = signal(0);
  const { signal: shown, follow } = paced(source, 200);
  const stop = follow();
  let changes = 0;
  const undo = shown.subscribe(() => changes++);
  for (let n = 1; n <= 100; n++) {
    vi.advanceTimersByTime(10);
    source.value = n;
  }
  expect(changes).toBeGreaterThanOrEqual(5);
  expect(changes).toBeLessThanOrEqual(7);
  vi.advanceTimersByTime(200);
  expect(shown.value).toBe(100);
  undo();
  stop();
});

test("nothing moves after the end", () => {
  const source = signal(0);
  const { signal: shown, follow } = paced(source, 200);
  const stop = follow();
  source.value = 1;
  stop();
  vi.advanceTimersByTime(1_000);
  expect(shown.value).toBe(0);
});
