/** Who works here and in which room: signing in and out, the rooms, and the one room that is open. */

import { signal } from "@preact/signals";
import { api, Problem } from "../shared/api";
import type { Me, Role, RoomInfo, RoomPage } from "../shared/types";
import { mayDo } from "./desk-state";
import { explain } from "./explain";
import { RoomDesk } from "./room-desk";
import { isPrompter, prompterAddress } from "./view";

export type Phase = "loading" | "failed" | "sign_in" | "rooms" | "opening" | "room_failed" | "in";

const LAST_ROOM_KEY = "flashroom.console.room";

export type User = NonNullable<Me["user"]>;

export class ConsoleSession {
  readonly phase = signal<Phase>("loading");
  readonly user = signal<User | null>(null);
  readonly rooms = signal<readonly RoomInfo[]>([]);
  readonly desk = signal<RoomDesk | null>(null);
  readonly signInProblem = signal<string | null>(null);
  readonly isSigningIn = signal(false);
  readonly needsTotp = signal(false);
  readonly problem = signal<string | null>(null);
  private wasSignedOut = false;

  async start(): Promise<void> {
    this.phase.value = "loading";
    try {
      const me = await api.get<Me>("/api/me");
      this.user.value = me.user;
      if (me.user) await this.enter();
      else this.phase.value = "sign_in";
    } catch (error) {
      this.fail("failed", error);
    }
  }

  async signIn(email: string, password: string, totp: string): Promise<boolean> {
    if (this.isSigningIn.peek()) return false;
    this.isSigningIn.value = true;
    this.signInProblem.value = null;
    this.wasSignedOut = false;
    try {
      await api.post("/api/sessions", { email, password, ...(totp ? { totp } : {}) });
      const me = await api.get<Me>("/api/me");
      if (!me.user) throw new Problem("session_not_kept", 401, "");
      this.user.value = me.user;
      this.needsTotp.value = false;
      await this.enter();
      return true;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.code.startsWith("totp")) this.needsTotp.value = true;
      this.signInProblem.value = explain(error);
      return false;
    } finally {
      this.isSigningIn.value = false;
    }
  }

  async signOut(): Promise<void> {
    try {
      await api.delete("/api/sessions/current");
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.status !== 401) {
        this.problem.value = explain(error);
        return;
      }
    }
    this.leave();
  }

  /** The server no longer knows this session: back to the door, saying so once. */
  signedOut(): void {
    if (this.wasSignedOut) return;
    this.wasSignedOut = true;
    this.leave();
    this.signInProblem.value = explain(new Problem("session_over", 401, ""));
  }

  roleIn(roomId: string): Role | null {
    return this.user.value?.roles[roomId] ?? null;
  }

  /** Open a room; on failure the page says why and offers the list. */
  async openRoom(roomId: string): Promise<void> {
    this.closeDesk();
    this.phase.value = "opening";
    try {
      const page = await api.get<RoomPage>(`/api/rooms/${encodeURIComponent(roomId)}`);
      const role = page.role ?? this.roleIn(roomId);
      if (!mayDo(role, "see")) throw new Problem("no_role", 403, "");
      const desk = new RoomDesk(roomId, role, page, this.user.peek()?.user_id ?? "", () => this.signedOut());
      this.desk.value = desk;
      remember(roomId);
      await desk.open();
      if (this.desk.peek() === desk) this.phase.value = "in";
      else desk.close();
    } catch (error) {
      this.closeDesk();
      this.fail("room_failed", error);
    }
  }

  async showRooms(): Promise<void> {
    this.closeDesk();
    try {
      // Roles may have been given since, and rooms opened.
      const me = await api.get<Me>("/api/me");
      this.user.value = me.user;
    } catch (error) {
      this.fail("failed", error);
      return;
    }
    if (this.user.peek()) await this.enter(true);
    else this.leave();
  }

  private async enter(choose = false): Promise<void> {
    try {
      const { rooms } = await api.get<{ rooms: RoomInfo[] }>("/api/rooms");
      this.rooms.value = rooms.filter((room) => mayDo(this.roleIn(room.room_id), "see"));
    } catch (error) {
      this.fail("failed", error);
      return;
    }
    const rooms = this.rooms.peek();
    const wanted = new URLSearchParams(location.search).get("room") ?? lastRoom();
    const room = rooms.find((one) => one.room_id === wanted) ?? (rooms.length === 1 ? rooms[0] : undefined);
    if (room && !choose) await this.openRoom(room.room_id);
    else this.phase.value = "rooms";
  }

  private leave(): void {
    this.closeDesk();
    this.user.value = null;
    this.problem.value = null;
    this.phase.value = "sign_in";
  }

  private closeDesk(): void {
    this.desk.peek()?.close();
    this.desk.value = null;
  }

  private fail(phase: Phase, error: unknown): void {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401) {
      this.leave();
      return;
    }
    this.problem.value = explain(error);
    this.phase.value = phase;
  }
}

function lastRoom(): string | null {
  try {
    return localStorage.getItem(LAST_ROOM_KEY);
  } catch {
    return null;
  }
}

function remember(roomId: string): void {
  try {
    localStorage.setItem(LAST_ROOM_KEY, roomId);
  } catch {
    // The address still names the room.
  }
  // An invitation's token must not stay in the address.
  history.replaceState(null, "", isPrompter.peek() ? prompterAddress(roomId) : `${location.pathname}?room=${encodeURIComponent(roomId)}`);
}
