import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { HOLD_MS, IDLE, type Press, type PressEvent, step } from "./press";
import { w } from "./words";

interface Props {
  children: ComponentChildren;
  hint: string;
  /** The key that does the same; hidden where there is no keyboard. */
  keyHint?: string;
  onFire: () => void;
  disabled?: boolean;
  tone: "flash" | "danger";
  /** True while the key that stands for this button is down. */
  isKeyDown?: boolean;
  keyshortcuts?: string;
  testid?: string;
  class?: string;
}

type Say = "hint" | "hold" | "confirm";

const SAY_MS = 2_500;

/** A button that acts only after 600 ms of pressing. One stray tap or key does nothing; assistive technology confirms twice. */
export function HoldButton({ children, hint, keyHint, onFire, disabled = false, tone, isKeyDown, keyshortcuts, testid, class: extra = "" }: Props) {
  const press = useRef<Press>(IDLE);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const forget = useRef<ReturnType<typeof setTimeout>>(undefined);
  const [isDown, setDown] = useState(false);
  const [say, setSay] = useState<Say>("hint");

  const send = (event: PressEvent): void => {
    if (disabled && event === "down") return;
    const wasDown = press.current.kind === "down";
    const next = step(press.current, event, performance.now());
    press.current = next.press;
    setDown(next.press.kind === "down");
    clearTimeout(timer.current);
    if (next.press.kind === "down") timer.current = setTimeout(() => send("tick"), HOLD_MS);
    if (next.fires) {
      setSay("hint");
      onFire();
    } else if (wasDown && event === "up") sayFor("hold");
  };

  const sayFor = (what: Say): void => {
    setSay(what);
    clearTimeout(forget.current);
    forget.current = setTimeout(() => setSay("hint"), SAY_MS);
  };

  useEffect(() => {
    if (isKeyDown === undefined) return;
    send(isKeyDown ? "down" : "up");
  }, [isKeyDown]);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      clearTimeout(forget.current);
    },
    [],
  );

  const isKey = (event: KeyboardEvent): boolean => (event.key === "Enter" || event.key === " ") && !event.shiftKey;
  return (
    <button
      type="button"
      class={`button hold hold-${tone} ${isDown ? "is-down" : ""} ${extra}`}
      disabled={disabled}
      aria-keyshortcuts={keyshortcuts}
      data-testid={testid}
      onPointerDown={(event) => {
        if (event.button === 0) send("down");
      }}
      onPointerUp={() => send("up")}
      onPointerLeave={() => send("leave")}
      onPointerCancel={() => send("leave")}
      onBlur={() => send("leave")}
      onContextMenu={(event) => event.preventDefault()}
      onKeyDown={(event) => {
        if (!isKey(event)) return;
        event.preventDefault();
        if (!event.repeat) send("down");
      }}
      onKeyUp={(event) => {
        if (!isKey(event)) return;
        event.preventDefault();
        send("up");
      }}
      onClick={(event) => {
        // A click with no pointer or key behind it comes from assistive technology, which can't hold: it confirms instead.
        if (event.detail !== 0 || disabled) return;
        if (say === "confirm") {
          setSay("hint");
          onFire();
        } else sayFor("confirm");
      }}
    >
      <span class="hold-fill" aria-hidden="true" />
      <span class="hold-label">{children}</span>
      <span class="hold-hint">
        {isDown || say === "hold" ? (
          w("hold_to")
        ) : say === "confirm" ? (
          w("hold_confirm")
        ) : (
          <>
            {hint}
            {keyHint && (
              <span class="key-hint">
                {hint && " · "}
                {keyHint}
              </span>
            )}
          </>
        )}
      </span>
    </button>
  );
}
