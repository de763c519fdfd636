import { signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { api, Problem } from "../../shared/api";
import { explain } from "../explain";
import { Poller } from "../poller";

export interface History<T> {
  data: T | null;
  problem: string | null;
}

/** What the API tells at this path, asked again and again while the plot is looked at; null asks nothing. */
export function useHistory<T>(path: string | null, everyMs: number): History<T> {
  const kept = useMemo(() => ({ data: signal<T | null>(null), problem: signal<string | null>(null) }), [path]);
  useEffect(() => {
    if (path === null) return;
    const poller = new Poller(async () => {
      try {
        kept.data.value = await api.get<T>(path, { retries: 0 });
        kept.problem.value = null;
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        kept.problem.value = explain(error);
      }
    }, everyMs);
    poller.start();
    return () => poller.stop();
  }, [path, everyMs]);
  return { data: kept.data.value, problem: kept.problem.value };
}
