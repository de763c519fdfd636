/** Keeping the chat: hide, mute, ban with five seconds to undo; the queue of held comments; the chat's own settings. */

import { computed, signal } from "@preact/signals";
import { api, Problem } from "../shared/api";
import { CommandRefused } from "../shared/connection";
import type { ChatLine } from "../shared/room-store";
import type { ChatValue } from "../shared/types";
import type { ChatFilter } from "./chat-filter";
import { explain } from "./explain";
import { Poller } from "./poller";
import type { RoomDesk } from "./room-desk";
import { w } from "./words";

export const UNDO_MS = 5_000;
const MAX_UNDOS = 3;
const HELD_EVERY_MS = 5_000;

export type Restraint = "mute" | "ban";

export interface Undo {
  id: number;
  text: string;
  untilMs: number;
  undo: () => Promise<unknown>;
}

export interface HeldComment {
  comment_id: string;
  viewer_id: string;
  name: string;
  text: string;
  at_ms: number;
  ghost?: boolean;
}

export class Moderation {
  readonly selectedId = signal<string | null>(null);
  /** Which messages are shown; null: all. */
  readonly filter = signal<ChatFilter | null>(null);
  readonly lines = computed(() => this.filter.value?.of(this.desk.store.comments.value) ?? this.desk.store.comments.value);
  /** The line that was chosen, while it is shown: no key acts on what can't be seen. */
  readonly chosen = computed(() => this.lines.value.find((line) => line.id === this.selectedId.value) ?? null);
  readonly undos = signal<readonly Undo[]>([]);
  readonly held = signal<readonly HeldComment[]>([]);
  /** Who was muted or banned from this console, as far as it knows; the log has the whole of it. */
  readonly restrained = signal<ReadonlyMap<string, Restraint>>(new Map());
  readonly problem = signal<string | null>(null);
  private readonly poller: Poller;
  private readonly timers = new Set<ReturnType<typeof setTimeout>>();
  private nextUndo = 1;
  private answering: { id: string; address: string } | null = null;

  constructor(private readonly desk: RoomDesk) {
    this.poller = new Poller(() => this.fetchHeld(), HELD_EVERY_MS);
  }

  start(): void {
    if (this.desk.may("moderate")) this.poller.start();
  }

  stop(): void {
    this.poller.stop();
    for (const timer of this.timers) clearTimeout(timer);
  }

  // --- one message --------------------------------------------------------------------------------------------

  async hide(line: ChatLine): Promise<void> {
    if (line.deleted) return;
    const done = await this.send("hide", "delete", `/comments/${encodeURIComponent(line.id)}`, `comment:${line.id}`);
    if (done) {
      this.offerUndo(w("undo_hidden", { name: line.name }), () =>
        this.send("restore", "post", `/comments/${encodeURIComponent(line.id)}/restore`, `comment:${line.id}`),
      );
    }
  }

  async restore(line: ChatLine): Promise<void> {
    await this.send("restore", "post", `/comments/${encodeURIComponent(line.id)}/restore`, `comment:${line.id}`);
  }

  /** Keep it on top of everybody's chat; the one that is there already is let go. */
  async pin(line: Pick<ChatLine, "id">): Promise<void> {
    const isPinned = this.desk.store.chat.peek().pinned_comment?.id === line.id;
    await this.send("pin_comment", "put", "/pinned-comment", `comment:${line.id}`, { comment_id: isPinned ? null : line.id });
  }

  async mute(viewerId: string, name: string, seconds: number): Promise<void> {
    const done = await this.send("mute", "post", "/mutes", `viewer:${viewerId}`, { viewer_id: viewerId, seconds });
    if (!done) return;
    this.mark(viewerId, "mute");
    const word = seconds < 120 ? w("undo_muted_s", { name, n: seconds }) : w("undo_muted_min", { name, n: Math.round(seconds / 60) });
    this.offerUndo(word, () => this.unmute(viewerId));
  }

  async unmute(viewerId: string): Promise<boolean> {
    const done = await this.send("unmute", "delete", `/mutes/${encodeURIComponent(viewerId)}`, `viewer:${viewerId}`);
    if (done) this.mark(viewerId, null);
    return done;
  }

  async ban(viewerId: string, name: string): Promise<void> {
    const done = await this.send("ban", "post", "/bans", `viewer:${viewerId}`, { viewer_id: viewerId });
    if (!done) return;
    this.mark(viewerId, "ban");
    this.offerUndo(w("undo_banned", { name }), () => this.unban(viewerId));
  }

  async unban(viewerId: string): Promise<boolean> {
    const done = await this.send("unban", "delete", `/bans/${encodeURIComponent(viewerId)}`, `viewer:${viewerId}`);
    if (done) this.mark(viewerId, null);
    return done;
  }

  private mark(viewerId: string, restraint: Restraint | null): void {
    const restrained = new Map(this.restrained.peek());
    if (restraint) restrained.set(viewerId, restraint);
    else restrained.delete(viewerId);
    this.restrained.value = restrained;
  }

  // --- walking through messages -------------------------------------------------------------------------------

  move(by: 1 | -1): void {
    const lines = this.lines.peek();
    if (!lines.length) return;
    const at = lines.findIndex((line) => line.id === this.selectedId.peek());
    const next = at < 0 ? lines.length - 1 : Math.min(lines.length - 1, Math.max(0, at + by));
    this.selectedId.value = lines[next]?.id ?? null;
  }

  // --- the queue ----------------------------------------------------------------------------------------------

  async judge(comment: HeldComment, approve: boolean): Promise<void> {
    const path = `/held-comments/${encodeURIComponent(comment.comment_id)}`;
    const action = approve ? "approve" : "reject";
    const done = await this.send(action, "post", path, `comment:${comment.comment_id}`, { approve });
    if (done) this.held.value = this.held.peek().filter((one) => one.comment_id !== comment.comment_id);
    this.poller.soon();
  }

  private async fetchHeld(): Promise<void> {
    try {
      const answer = await api.get<Record<string, unknown>>(this.desk.path("/held-comments"), { retries: 0 });
      const list = (answer.comments ?? answer.held_comments ?? answer.held ?? []) as (HeldComment & { id?: string })[];
      this.held.value = list.map((one) => ({ ...one, comment_id: one.comment_id ?? one.id ?? "" }));
    } catch (error) {
      // The commerce lamp shows an API that doesn't answer; the queue stays as it was.
      if (!(error instanceof Problem)) throw error;
    }
  }

  // --- the room's chat ----------------------------------------------------------------------------------------

  async set(change: Partial<Pick<ChatValue, "slow_mode_s" | "review" | "off" | "followers_only">>): Promise<void> {
    const { slow_mode_s, review, off, followers_only } = this.desk.store.chat.peek();
    const after = { slow_mode_s, review, off, followers_only, ...change };
    const done = await this.send("chat", "put", "/chat", "chat", after);
    if (done) this.desk.store.chat.value = { ...this.desk.store.chat.peek(), ...after };
  }

  async announce(text: string): Promise<boolean> {
    return this.send("announce", "post", "/announcements", "composer", { text });
  }

  /** A line over the picture, as a captioning tool would send it. */
  async caption(text: string): Promise<boolean> {
    return this.send("caption", "post", "/captions", "composer", { text });
  }

  /** Whether somebody has answered a question; all who moderate see it. */
  async markAnswered(comment: Pick<ChatLine, "id">, answered: boolean): Promise<void> {
    await this.send("answered", "put", `/comments/${encodeURIComponent(comment.id)}/answered`, `comment:${comment.id}`, { answered });
  }

  /** Begin an answer to a comment, addressed to who wrote it. */
  replyTo(comment: Pick<ChatLine, "id" | "name">): void {
    this.answering = { id: comment.id, address: `@${comment.name} ` };
    this.desk.draft.value = this.answering.address;
    document.getElementById("composer")?.focus();
  }

  /** Say something as oneself: the only thing here that goes over the room's connection, as it does for viewers. */
  async say(text: string): Promise<boolean> {
    this.problem.value = null;
    try {
      // Who has deleted the address writes to everybody.
      const isAnswer = this.answering !== null && text.startsWith(this.answering.address.trim());
      await this.desk.connection.command("comment", { text, ...(isAnswer ? { reply_to: this.answering?.id } : {}) });
      this.answering = null;
      return true;
    } catch (error) {
      if (!(error instanceof CommandRefused)) throw error;
      this.problem.value = explain(new Problem(error.code, error.code === "offline" ? 0 : 422, error.message, error.facts));
      return false;
    }
  }

  // --- helpers ------------------------------------------------------------------------------------------------

  private async send(action: string, method: "post" | "put" | "delete", path: string, place: string, body: unknown = {}): Promise<boolean> {
    if (!this.desk.may("moderate")) return false;
    const sent = await this.desk.runner.send(place, action, method, this.desk.path(path), body);
    this.problem.value = this.desk.runner.failure(place)?.text ?? null;
    return sent.ok;
  }

  private offerUndo(text: string, undo: () => Promise<unknown>): void {
    const id = this.nextUndo++;
    this.undos.value = [...this.undos.peek(), { id, text, untilMs: Date.now() + UNDO_MS, undo }].slice(-MAX_UNDOS);
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      this.dropUndo(id);
    }, UNDO_MS);
    this.timers.add(timer);
  }

  async takeBack(undo: Undo): Promise<void> {
    this.dropUndo(undo.id);
    await undo.undo();
  }

  private dropUndo(id: number): void {
    this.undos.value = this.undos.peek().filter((one) => one.id !== id);
  }
}
