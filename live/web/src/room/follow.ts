/** Following the room: the tap for or against it, and being told that it is live. The server keeps it (`MyThings`). */

import { effect, signal } from "@preact/signals";
import { announce } from "../shared/announce";
import { Problem } from "../shared/api";
import type { RoomStore } from "../shared/room-store";
import type { LiveNow } from "../shared/types";
import type { MyThings } from "./my-things";
import { askForNotifications, notify } from "./notify";
import { explainProblem } from "./reasons";
import { w } from "./words";

export class Follow {
  /** Why the last tap came to nothing. */
  readonly problem = signal<string | null>(null);
  private readonly heard = signal<LiveNow | null>(null);
  private spokenId: string | null = null;
  private isAsking = false;

  constructor(
    private readonly things: Pick<MyThings, "following" | "follow">,
    private readonly store: Pick<RoomStore, "room" | "onPersonal">,
  ) {
    store.onPersonal((type, data) => {
      if (type === "live_now") this.heard.value = data as LiveNow;
    });
    effect(() => this.speak());
  }

  /** Follow, or don't any more; whether that is done. */
  async set(isOn: boolean): Promise<boolean> {
    if (this.isAsking) return false;
    if (isOn && this.store.room.peek()?.status === "preshow") askForNotifications();
    this.isAsking = true;
    this.problem.value = null;
    try {
      await this.things.follow(isOn);
      announce(w(isOn ? "following" : "follow_ended"));
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problem.value = explainProblem(error);
      announce(this.problem.value);
      return false;
    } finally {
      this.isAsking = false;
    }
  }

  toggle(): Promise<boolean> {
    return this.set(!this.things.following.peek());
  }

  /** Once per show, and only while it is: who comes back late is not told of a show that is over. */
  private speak(): void {
    const heard = this.heard.value;
    const room = this.store.room.value;
    if (!heard || heard.id === this.spokenId || room?.status !== "live" || room.started_at_ms !== heard.started_at_ms) return;
    this.spokenId = heard.id;
    const text = w("live_now", { name: heard.host_name });
    announce(text);
    if (document.hidden) notify(text, heard.id, () => undefined);
  }
}
