import { useDesk } from "./context";
import { late } from "../shared/late";

const Waiting = late(() => import("./approval-cards").then((module) => module.Waiting));

/** Where it was asked for: what I asked for about this waits for a second person, or what became of it. */
export function WaitingMoney({ target }: { target: string }) {
  const mine = useDesk().approvals.mine(target);
  return mine && <Waiting one={mine} />;
}
