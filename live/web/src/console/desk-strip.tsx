import { Countdown } from "../shared/countdown";
import { formatTime } from "../shared/clock";
import { LockIcon, UserIcon } from "../shared/icons";
import { language } from "../shared/words";
import { useDesk, useTicking } from "./context";
import { PLACE } from "./desk-hold";
import { hasPassed } from "./desk-request";
import { HoldButton } from "./hold-button";
import { FailureLine } from "./parts";
import { type ConsoleWord, w } from "./words";

/** Who is at the desk. When it is somebody else, nothing here can be pressed but what asks for it. */
export function DeskStrip() {
  const desk = useDesk();
  if (!desk.may("sell")) return null;
  const holder = desk.hold.holder.value;
  const waiting = desk.runner.waiting(PLACE);
  const others = desk.hold.isOthers;
  return (
    <div class={`desk-strip ${others ? "is-others" : ""}`} data-testid="desk-holder" data-holder={holder === null ? "nobody" : others ? "other" : "me"} role={others ? "status" : undefined}>
      {others ? <LockIcon size={16} /> : <UserIcon size={16} />}
      <span>
        {holder === null
          ? w("desk_free")
          : w(others ? "desk_others" : "desk_mine", { name: holder.name, time: formatTime(holder.since_ms, language.value, false) })}
      </span>
      {others ? (
        <Asking />
      ) : (
        <button type="button" class="link" disabled={waiting !== null} data-testid={holder ? "leave-desk" : "take-desk"} onClick={() => void (holder ? desk.hold.leave() : desk.hold.take())}>
          {w(holder ? "leave_desk" : "take_desk")}
        </button>
      )}
      <FailureLine runner={desk.runner} place={PLACE} />
    </div>
  );
}

const OUTCOMES: Readonly<Record<"handed" | "away" | "unanswered" | "kept", ConsoleWord>> = {
  handed: "desk_handed",
  away: "desk_away",
  unanswered: "desk_unanswered",
  kept: "desk_kept",
};

/** The side of the one who wants the desk: ask, wait for the answer, then take it by a press of their own. */
function Asking() {
  const desk = useDesk();
  const state = useTicking(() => desk.hold.state(), [desk]);
  const isBusy = desk.runner.waiting(PLACE) !== null;
  const asked = desk.hold.request.value;
  const name = desk.hold.holder.value?.name ?? "";
  const isMine = desk.hold.isAskedByMe;
  if (asked && !isMine && state !== "none" && state !== "kept") {
    return (
      <span class="desk-asking" data-testid="desk-asking" data-state="others">
        {w("desk_asked", { name: asked.name })}
      </span>
    );
  }
  if (asked && isMine && state !== "none") {
    return (
      <span class="desk-asking" data-testid="desk-asking" data-state={state}>
        {state === "waiting" ? (
          <>
            <span>{w("desk_waiting", { name })}</span>
            <Countdown untilMs={asked.answer_by_ms} clock={desk.store.clock} />
            <button type="button" class="link" disabled={isBusy} data-testid="withdraw-request" onClick={() => void desk.hold.withdraw()}>
              {w("desk_withdraw")}
            </button>
          </>
        ) : (
          <span>{w(OUTCOMES[state], { name })}</span>
        )}
        {hasPassed(state) && (
          <HoldButton tone="flash" class="hold-small" hint={w("hold_hint")} disabled={isBusy} onFire={() => void desk.hold.take()} testid="take-over">
            {w("take_desk")}
          </HoldButton>
        )}
      </span>
    );
  }
  return (
    <button type="button" class="button desk-ask" disabled={isBusy} data-testid="ask-desk" onClick={() => void desk.hold.ask()}>
      {w("desk_ask")}
    </button>
  );
}

/** The side of the one at the desk: over whatever tab is open, because the time to answer is short. */
export function DeskRequestCard() {
  const desk = useDesk();
  const state = useTicking(() => desk.hold.state(), [desk]);
  const asked = desk.hold.request.value;
  if (!desk.hold.isMine || !asked || (state !== "waiting" && !hasPassed(state))) return null;
  const isBusy = desk.runner.waiting(PLACE) !== null;
  return (
    <section class="desk-request" data-testid="desk-request" data-state={state} aria-label={w("desk_asked", { name: asked.name })}>
      <p>
        <b>{w("desk_asked", { name: asked.name })}</b>{" "}
        {state === "waiting" ? (
          <>
            {w("desk_passes_in")} <Countdown untilMs={asked.answer_by_ms} clock={desk.store.clock} />
          </>
        ) : (
          w("desk_may_take", { name: asked.name })
        )}
      </p>
      {state === "waiting" && (
        <div class="desk-request-answers">
          <button type="button" class="button" disabled={isBusy} data-testid="keep-desk" onClick={() => void desk.hold.answer("keep")}>
            {w("desk_keep")}
          </button>
          <HoldButton tone="flash" class="hold-small" hint={w("hold_hint")} disabled={isBusy} onFire={() => void desk.hold.answer("hand_over")} testid="hand-over">
            {w("desk_hand_over")}
          </HoldButton>
        </div>
      )}
    </section>
  );
}
