/** The room's audit log: who did what to what, before and after. Newest first. */

import { signal } from "@preact/signals";
import { api, Problem } from "../shared/api";
import { explain } from "./explain";
import { Poller } from "./poller";

export interface AuditEntry {
  at_ms: number;
  audit_id: number;
  actor_id: string;
  actor_name: string;
  action: string;
  target: string;
  before: unknown;
  after: unknown;
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

  async more(): Promise<void> {
    const cursor = this.nextCursor.peek();
    const entries = this.entries.peek();
    if (!cursor || !entries || this.isLoadingMore.peek() || entries.length >= MAX_ENTRIES) return;
    this.isLoadingMore.value = true;
    try {
      const page = await api.get<AuditPage>(`${this.path}?limit=${PAGE}&cursor=${encodeURIComponent(cursor)}`);
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
    try {
      const page = await api.get<AuditPage>(`${this.path}?limit=${PAGE}`, { retries: 0 });
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
