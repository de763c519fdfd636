import { computed } from "@preact/signals";
import { createContext } from "preact";
import { useContext, useMemo } from "preact/hooks";
import { heartbeat } from "../shared/clock";
import type { RoomSession } from "./session";

export const SessionContext = createContext<RoomSession | null>(null);

export function useSession(): RoomSession {
  const session = useContext(SessionContext);
  if (!session) throw new Error("no room session above this component");
  return session;
}

/** Whether a moment of the server's clock has passed; renders again only when that changes. */
export function useIsPast(atMs: number | null): boolean {
  const session = useSession();
  const past = useMemo(
    () =>
      computed(() => {
        void heartbeat.value;
        return atMs !== null && session.store.serverNow() > atMs;
      }),
    [session, atMs],
  );
  return past.value;
}
