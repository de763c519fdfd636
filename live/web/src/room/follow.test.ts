import { signal } from "@preact/signals";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Problem } from "../shared/api";
import type { PersonalListener } from "../shared/room-store";
import type { RoomStatus, RoomValue } from "../shared/types";
import { language } from "../shared/words";
import { Follow } from "./follow";

const made: string[] = [];
const asked = vi.fn(async () => "denied");
let hear: PersonalListener;

function viewer(follow: (isOn: boolean) => Promise<void> = async () => undefined) {
  const room = signal<RoomValue | null>(null);
  const things = { following: signal<boolean | null>(false), follow: vi.fn(follow) };
  const store = { room, onPersonal: (listener: PersonalListener) => ((hear = listener), () => undefined) };
  const show = (status: RoomStatus, started_at_ms: number): void => void (room.value = { status, started_at_ms } as RoomValue);
  return { things, show, follow: new Follow(things, store) };
}

const live = (started_at_ms: number) => ({ id: `rm:${started_at_ms}`, host_name: "Ana", started_at_ms, at_ms: 9 });

beforeEach(() => {
  language.value = "en";
  made.length = 0;
  asked.mockClear();
  class Fake {
    static permission = "default";
    static requestPermission = asked;
    constructor(text: string) {
      made.push(text);
    }
  }
  vi.stubGlobal("Notification", Fake);
  vi.stubGlobal("document", { hidden: true });
});
afterEach(() => vi.unstubAllGlobals());

it("follows by one tap and takes back by the next; asks for notifications only before a show", async () => {
  const { things, show, follow } = viewer();
  show("live", 1);
  expect(await follow.toggle()).toBe(true);
  expect(things.follow).toHaveBeenLastCalledWith(true);
  expect(asked).not.toHaveBeenCalled();
  things.following.value = true;
  await follow.toggle();
  expect(things.follow).toHaveBeenLastCalledWith(false);
  show("preshow", 1);
  await follow.set(true);
  expect(asked).toHaveBeenCalledTimes(1);
});

it("sends no second tap before the first is answered, and says why one came to nothing", async () => {
  let refuse: (error: Error) => void = () => undefined;
  const { things, follow } = viewer(() => new Promise((_, reject) => (refuse = reject)));
  const first = follow.set(true);
  expect(await follow.set(true)).toBe(false);
  expect(things.follow).toHaveBeenCalledTimes(1);
  refuse(new Problem("rate_limited", 429, "", { retry_after_ms: 4_000 }));
  expect(await first).toBe(false);
  expect(follow.problem.value).toContain("4 s");
});

it("tells once per show that it is live, and nothing of a show that is over", () => {
  const { show } = viewer();
  (Notification as unknown as { permission: string }).permission = "granted";
  show("preshow", 1);
  hear("live_now", live(2)); // ahead of the room's value
  expect(made).toEqual([]);
  show("live", 2);
  hear("live_now", live(2));
  expect(made).toEqual(["Ana is live now"]);
  show("ended", 2);
  hear("live_now", live(2));
  show("live", 3);
  expect(made).toHaveLength(1);
  hear("live_now", live(3));
  expect(made).toHaveLength(2);
});
