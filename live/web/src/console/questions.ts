/** Comments that ask something, kept until somebody has answered them: the chat runs away, a question must not. */

import { signal } from "@preact/signals";
import type { RoomStore } from "../shared/room-store";
import type { Comment } from "../shared/types";

export const MAX_QUESTIONS = 100;

export interface Question {
  comment: Comment;
  isAnswered: boolean;
}

const ENGLISH = /^(?:how|what|whats|what's|when|where|which|who|whose|why|is|are|can|could|do|does|did|will|would|has|have|any)\b/i;
const CHINESE = /[吗呢么嘛]\s*[。.!！~～]*$|多少|几[点号折件个]|怎么|怎样|什么|啥|哪[里儿个款种]|有没有|能不能|可不可以|是不是|会不会|要不要|为什么/;
const FEWEST_WORDS = 3;

/** Whether a comment asks something, by its signs alone: a mark of question, or how questions begin or end. */
export function asks(text: string): boolean {
  if (/[?？]/.test(text)) return /[\p{L}\p{N}]/u.test(text);
  const words = text.trim().split(/\s+/);
  return CHINESE.test(text) || (words.length >= FEWEST_WORDS && ENGLISH.test(text.trim()));
}

export class Questions {
  readonly list = signal<readonly Question[]>([]);

  /** Begins with what the store has. Returns an undo. */
  follow(store: RoomStore): () => void {
    for (const line of store.comments.peek()) this.take(line);
    const undo = [
      store.onEvent((type, data) => this.hear(type, data)),
      store.onJoined((joined) => {
        if (!joined.recovered) for (const [type, data] of joined.events) this.hear(type, data);
      }),
    ];
    return () => undo.forEach((one) => one());
  }

  hear(type: string, data: unknown): void {
    if (type === "comment") this.take(data as Comment & { reply_to?: string });
    if (type === "comment_answered") {
      const { id, answered } = data as { id: string; answered: boolean };
      this.mark(id, answered);
    }
    if (type === "comment_deleted") {
      const { id, restored } = data as { id: string; restored?: boolean };
      if (!restored) this.list.value = this.list.peek().filter((one) => one.comment.id !== id);
    }
  }

  /** Unanswered ones first, each part in the order they were asked. */
  sorted(): Question[] {
    return this.list.value.toSorted((a, b) => Number(a.isAnswered) - Number(b.isAnswered));
  }

  private take(comment: Comment & { reply_to?: string }): void {
    const isStaff = comment.role !== "viewer";
    if (isStaff && comment.reply_to) this.mark(comment.reply_to, true);
    const list = this.list.peek();
    if (isStaff || !asks(comment.text) || list.some((one) => one.comment.id === comment.id)) return;
    const next = [...list, { comment, isAnswered: false }];
    if (next.length > MAX_QUESTIONS) {
      // An answered one goes before one that still waits.
      const oldest = next.findIndex((one) => one.isAnswered);
      next.splice(Math.max(0, oldest), 1);
    }
    this.list.value = next;
  }

  private mark(id: string, isAnswered: boolean): void {
    this.list.value = this.list.peek().map((one) => (one.comment.id === id && one.isAnswered !== isAnswered ? { ...one, isAnswered } : one));
  }
}
