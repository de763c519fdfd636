import { computed, type ReadonlySignal } from "@preact/signals";
import { createContext } from "preact";
import { useContext, useMemo } from "preact/hooks";
import type { ConsoleSession } from "./app-session";
import type { Control, Lock } from "./desk-state";
import type { RoomDesk } from "./room-desk";
import type { Sale } from "../shared/types";

export const ConsoleContext = createContext<ConsoleSession | null>(null);
export const DeskContext = createContext<RoomDesk | null>(null);

export function useConsole(): ConsoleSession {
  const session = useContext(ConsoleContext);
  if (!session) throw new Error("no console session above this component");
  return session;
}

export function useDesk(): RoomDesk {
  const desk = useContext(DeskContext);
  if (!desk) throw new Error("no room desk above this component");
  return desk;
}

/** A value that follows the heartbeat but re-renders only when it changes. `make` must return something JSON can hold. */
export function useTicking<T>(make: () => T, inputs: readonly unknown[]): T {
  const text: ReadonlySignal<string> = useMemo(() => computed(() => JSON.stringify(make())), inputs);
  return JSON.parse(text.value) as T;
}

export interface Controls {
  lock: Lock | null;
  may: (control: Control) => boolean;
  /** The command of this sale that waits for its answer, or null. */
  waiting: string | null;
}

/** What may be pressed on a sale now. */
export function useControls(desk: RoomDesk, sale: Sale): Controls {
  const view = useTicking(() => {
    const { lock, controls } = desk.view(sale);
    return { lock, controls: [...controls] };
  }, [desk, sale]);
  const waiting = desk.runner.waiting(desk.place(sale.sale_id));
  return { lock: view.lock, may: (control) => waiting === null && view.controls.includes(control), waiting };
}
