/** The room's audit log: who did what to what, before and after. Newest first. */

import { signal } from "@preact/signals";
import { api, Problem } from "../shared/api";
import { explain } from "./explain";
import { Poller } from "./poller";
import type { Source } from "./source";

/** As the server knows them; whatever doesn't say how it was done is the API. */
export type AuditSource = Source | "api";
export const SOURCES: readonly AuditSource[] = ["key", "mouse", "touch", "command", "api"];

export interface AuditEntry {
  at_ms: number;
  audit_id: number;
  actor_id: string;
  actor_name: string;
  action: string;
  target: string;
  before: unknown;
  after: unknown;
  /** null: not known. */
  source: AuditSource | null;
}

interface AuditPage {
  entries: AuditEntry[];
  next_cursor: string | null;
}

const PAGE = 50;
const MAX_ENTRIES = 500;
const EVERY_MS = 10_000;

export class Audit {
  readonly entries = signal<readonly AuditEntry[] | null>(null);
  readonly nextCursor = signal<string | null>(null);
  readonly problem = signal<string | null>(null);
  readonly isLoadingMore = signal(false);
  /** Part of an action, of who did it or of what it was done to; the server looks. */
  readonly query = signal("");
  /** Only what was done this way; null: whichever. */
  readonly source = signal<AuditSource | null>(null);
  private readonly poller: Poller;

  constructor(private readonly path: string) {
    this.poller = new Poller(() => this.fetchFirst(), EVERY_MS);
  }

  start(): void {
    this.poller.start();
  }

  stop(): void {
    this.poller.stop();
  }

  soon(): void {
    this.poller.soon();
  }

  search(query: string, source: AuditSource | null): void {
    if (query === this.query.peek() && source === this.source.peek()) return;
    this.query.value = query;
    this.source.value = source;
    this.entries.value = null;
    this.nextCursor.value = null;
    this.poller.soon();
  }

  private address(cursor: string | null): string {
    const search = new URLSearchParams({ limit: String(PAGE) });
    if (this.query.peek()) search.set("q", this.query.peek());
    if (this.source.peek()) search.set("source", this.source.peek() ?? "");
    if (cursor) search.set("cursor", cursor);
    return `${this.path}?${search}`;
  }

  async more(): Promise<void> {
    const cursor = this.nextCursor.peek();
    const entries = this.entries.peek();
    if (!cursor || !entries || this.isLoadingMore.peek() || entries.length >= MAX_ENTRIES) return;
    this.isLoadingMore.value = true;
    try {
      const page = await api.get<AuditPage>(this.address(cursor));
      this.entries.value = [...entries, ...page.entries];
      this.nextCursor.value = page.next_cursor;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problem.value = explain(error);
    } finally {
      this.isLoadingMore.value = false;
    }
  }

  private async fetchFirst(): Promise<void> {
    const address = this.address(null);
    try {
      const page = await api.get<AuditPage>(address, { retries: 0 });
      // Asked for before the search was changed: the next answer is on its way.
      if (address !== this.address(null)) return;
      const before = this.entries.peek() ?? [];
      const oldest = page.entries.at(-1)?.audit_id ?? 0;
      const below = before.length > PAGE ? before.filter((entry) => entry.audit_id < oldest) : [];
      this.entries.value = [...page.entries, ...below];
      if (!below.length) this.nextCursor.value = page.next_cursor;
      this.problem.value = null;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problem.value = explain(error);
    }
  }
}
