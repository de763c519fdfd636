/** Every action of the console: one HTTP call with an idempotency key, at a named place, where its outcome is shown. */

import { signal } from "@preact/signals";
import { api, newId, Problem, type RequestOptions } from "../shared/api";
import { explain } from "./explain";

export type Method = "post" | "put" | "patch" | "delete";

export interface Failure {
  action: string;
  text: string;
  code: string;
  facts: Readonly<Record<string, unknown>>;
}

/** `ok` with the answer (undefined for an empty one), or not: then `failure(place)` says why, or another action waits there. */
export type Sent<T> = { ok: true; answer: T } | { ok: false };

const NOT_SENT = { ok: false } as const;

export class ActionRunner {
  /** Place -> the action that waits there. While one waits no other starts at that place. */
  readonly busy = signal<ReadonlyMap<string, string>>(new Map());
  readonly failures = signal<ReadonlyMap<string, Failure>>(new Map());
  private readonly openKeys = new Map<string, string>();

  constructor(
    private readonly onSignedOut: () => void,
    private readonly onDone: () => void = () => undefined,
    private readonly onMoneyWaits: () => void = () => undefined,
  ) {}

  isBusy(place: string): boolean {
    return this.busy.value.has(place);
  }

  /** What waits at a place, or null. */
  waiting(place: string): string | null {
    return this.busy.value.get(place) ?? null;
  }

  failure(place: string): Failure | null {
    return this.failures.value.get(place) ?? null;
  }

  dismiss(place: string): void {
    if (this.failures.peek().has(place)) this.failures.value = without(this.failures.peek(), place);
  }

  /** Send one call and say what came of it. Never rejects for what a server or network does. */
  async send<T>(place: string, action: string, method: Method, path: string, body: unknown = {}): Promise<Sent<T>> {
    if (this.busy.peek().has(place)) return NOT_SENT;
    this.dismiss(place);
    this.busy.value = new Map(this.busy.peek()).set(place, action);
    // Sent, but never answered: the same press again carries the same key, so it can't be done twice.
    const signature = `${method} ${path} ${JSON.stringify(body)}`;
    const idempotencyKey = this.openKeys.get(signature) ?? newId("console");
    try {
      const answer = await call<T>(method, path, body, { idempotencyKey });
      this.openKeys.delete(signature);
      return { ok: true, answer };
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.isTransient) this.openKeys.set(signature, idempotencyKey);
      else this.openKeys.delete(signature);
      if (error.status === 401) this.onSignedOut();
      if (error.code === "second_person_needed" || error.code === "cooling_down") this.onMoneyWaits();
      // It waits for a second person: that is no failure, and it shows where it was asked for.
      if (error.code === "second_person_needed") return NOT_SENT;
      this.failures.value = new Map(this.failures.peek()).set(place, { action, text: explain(error), code: error.code, facts: error.facts });
      return NOT_SENT;
    } finally {
      this.busy.value = without(this.busy.peek(), place);
      this.onDone();
    }
  }
}

function call<T>(method: Method, path: string, body: unknown, options: RequestOptions): Promise<T> {
  return method === "delete" ? api.delete<T>(path, options) : api[method]<T>(path, body, options);
}

function without<V>(map: ReadonlyMap<string, V>, key: string): ReadonlyMap<string, V> {
  const copy = new Map(map);
  copy.delete(key);
  return copy;
}
