/** The room's saved replies: read once, changed for everybody who moderates here. */

import { signal } from "@preact/signals";
import { api, Problem } from "../shared/api";
import type { ActionRunner } from "./runner";

export const MAX_REPLIES = 20;
export const PLACE = "replies";

export class Replies {
  readonly list = signal<readonly string[]>([]);
  readonly isEditing = signal(false);

  constructor(
    private readonly path: string,
    private readonly runner: ActionRunner,
  ) {}

  async read(): Promise<void> {
    try {
      this.list.value = (await api.get<{ replies: string[] }>(this.path)).replies;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
  }

  /** Each line is a reply; empty lines are left out. */
  async save(text: string): Promise<boolean> {
    const replies = linesOf(text);
    const sent = await this.runner.send<{ replies: string[] }>(PLACE, "save", "put", this.path, { replies });
    if (sent.ok) this.list.value = sent.answer.replies;
    return sent.ok;
  }
}

export function linesOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}
