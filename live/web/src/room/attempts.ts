/** Every tap of mine with its one final answer, kept on this device so that "why not me?" can be read after a reload. */

import { signal } from "@preact/signals";
import type { Decision } from "../shared/types";

const MAX_ATTEMPTS = 50;

export interface Attempt {
  request_id: string;
  sale_id: string;
  quantity: number;
  at_ms: number;
  decision: Decision | null;
  error: string | null;
  retry_after_ms?: number;
}

export type AttemptStorage = Pick<Storage, "getItem" | "setItem">;

export class Attempts {
  readonly list = signal<readonly Attempt[]>([]);
  private readonly key: string;

  constructor(
    roomId: string,
    private readonly storage: AttemptStorage | null = safeStorage(),
  ) {
    this.key = `flashroom.attempts.${roomId}`;
    this.list.value = this.load();
  }

  /** Add an attempt, or replace it by its request id. */
  put(attempt: Attempt): void {
    const others = this.list.value.filter((a) => a.request_id !== attempt.request_id);
    this.list.value = [attempt, ...others].sort((a, b) => b.at_ms - a.at_ms).slice(0, MAX_ATTEMPTS);
    try {
      // Tokens are worth a unit; the list of reasons doesn't need them.
      const kept = this.list.value.map((a) =>
        a.decision?.decision === "granted" ? { ...a, decision: { ...a.decision, token: "" } } : a,
      );
      this.storage?.setItem(this.key, JSON.stringify(kept));
    } catch {
      // Full or forbidden storage: the list then lasts for this page only.
    }
  }

  private load(): Attempt[] {
    try {
      const kept: unknown = JSON.parse(this.storage?.getItem(this.key) ?? "[]");
      return Array.isArray(kept) ? (kept as Attempt[]).slice(0, MAX_ATTEMPTS) : [];
    } catch {
      return [];
    }
  }
}

function safeStorage(): Storage | null {
  try {
    return typeof localStorage === "undefined" ? null : localStorage;
  } catch {
    return null;
  }
}
