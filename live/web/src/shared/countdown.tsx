import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { formatRemaining, heartbeat, type ServerClock } from "./clock";

interface Props {
  untilMs: number;
  clock: ServerClock;
  /** Shown in grey when the server can't be asked: the clock is then only our own belief. */
  unconfirmed?: boolean;
  class?: string;
}

/** Time left until a moment of the server's clock. Never says "ended": that is the server's word. */
export function Countdown({ untilMs, clock, unconfirmed = false, class: extra = "" }: Props) {
  // A computed text re-renders once a second although the heartbeat beats ten times.
  const text = useMemo(
    () =>
      computed(() => {
        void heartbeat.value;
        return formatRemaining(untilMs - clock.now());
      }),
    [untilMs, clock],
  );
  return (
    <time class={`num countdown ${unconfirmed ? "is-unconfirmed" : ""} ${extra}`} role="timer" aria-live="off">
      {text.value}
    </time>
  );
}
