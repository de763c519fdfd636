import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

interface Props {
  children: ComponentChildren;
  /** What the button says once pressed; a second press then acts. */
  sure: ComponentChildren;
  onConfirm: () => void;
  label?: string;
  class?: string;
  disabled?: boolean;
  testid?: string;
}

const FORGET_MS = 4_000;

/** For what is easily undone or rarely done: two presses, the second within four seconds. */
export function ConfirmButton({ children, sure, onConfirm, label, class: extra = "", disabled = false, testid }: Props) {
  const [isAsking, setAsking] = useState(false);
  useEffect(() => {
    if (!isAsking) return;
    const timer = setTimeout(() => setAsking(false), FORGET_MS);
    return () => clearTimeout(timer);
  }, [isAsking]);
  return (
    <button
      type="button"
      class={`${extra} ${isAsking ? "is-asking" : ""}`}
      disabled={disabled}
      aria-label={isAsking ? undefined : label}
      title={label}
      data-testid={testid}
      onBlur={() => setAsking(false)}
      onClick={() => {
        setAsking(!isAsking);
        if (isAsking) onConfirm();
      }}
    >
      {isAsking ? sure : children}
    </button>
  );
}
