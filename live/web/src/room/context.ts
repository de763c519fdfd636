import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { RoomSession } from "./session";

export const SessionContext = createContext<RoomSession | null>(null);

export function useSession(): RoomSession {
  const session = useContext(SessionContext);
  if (!session) throw new Error("no room session above this component");
  return session;
}
