import { formatTime } from "../shared/clock";
import { LockIcon, UserIcon } from "../shared/icons";
import { language } from "../shared/words";
import { useDesk } from "./context";
import { PLACE } from "./desk-hold";
import { HoldButton } from "./hold-button";
import { FailureLine } from "./parts";
import { w } from "./words";

/** Who is at the desk. When it is somebody else, nothing here can be pressed but "take over". */
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
        <HoldButton tone="flash" class="hold-small" hint={w("hold_hint")} disabled={waiting !== null} onFire={() => void desk.hold.take()} testid="take-over">
          {w("take_over")}
        </HoldButton>
      ) : (
        <button type="button" class="link" disabled={waiting !== null} data-testid={holder ? "leave-desk" : "take-desk"} onClick={() => void (holder ? desk.hold.leave() : desk.hold.take())}>
          {w(holder ? "leave_desk" : "take_desk")}
        </button>
      )}
      <FailureLine runner={desk.runner} place={PLACE} />
    </div>
  );
}
