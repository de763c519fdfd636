import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

interface Props {
  label: ComponentChildren;
  name: string;
  children: (close: () => void) => ComponentChildren;
  class?: string;
  align?: "left" | "right";
  testid?: string;
}

/** A button with a panel under it; Esc, a press elsewhere or a choice closes it. */
export function Menu({ label, name, children, class: extra = "", align = "left", testid }: Props) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!isOpen) return;
    const onPointer = (event: Event): void => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      setOpen(false);
      button.current?.focus();
    };
    document.addEventListener("pointerdown", onPointer);
    document.addEventListener("keydown", onKey);
    return () => {
      document.removeEventListener("pointerdown", onPointer);
      document.removeEventListener("keydown", onKey);
    };
  }, [isOpen]);
  return (
    <div class={`menu ${extra}`} ref={root}>
      <button
        ref={button}
        type="button"
        class="menu-button"
        aria-haspopup="true"
        aria-expanded={isOpen}
        aria-label={name}
        title={name}
        data-testid={testid}
        onClick={() => setOpen(!isOpen)}
      >
        {label}
      </button>
      {isOpen && <div class={`menu-panel menu-${align}`}>{children(() => setOpen(false))}</div>}
    </div>
  );
}
