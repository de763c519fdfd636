import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { LiveRegions } from "./announce";
import { CloseIcon } from "./icons";
import { shared } from "./words";

interface Props {
  title: ComponentChildren;
  onClose: () => void;
  children: ComponentChildren;
  /** `sheet` rises from the bottom on a phone (video stays visible above); `dialog` is centred everywhere. */
  kind?: "sheet" | "dialog";
  /** Kept in place under the scrolling body: the one main action. */
  footer?: ComponentChildren;
  theme?: "light" | "dark";
  class?: string;
  testid?: string;
  /** Where focus goes on opening, as a selector; without it (or without a match) to the close button. */
  focus?: string | undefined;
}

/** A modal on the native `<dialog>`: the browser keeps focus inside, closes on Esc and gives focus back. */
export function Sheet({ title, onClose, children, kind = "sheet", footer, theme = "light", class: extra = "", testid, focus }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const element = dialog.current;
    if (!element) return;
    if (!element.open) element.showModal();
    if (focus) element.querySelector<HTMLElement>(focus)?.focus();
    return () => element.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      class={`sheet sheet-${kind} ${extra}`}
      data-theme={theme}
      data-testid={testid}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === dialog.current) onClose();
      }}
    >
      <div class="sheet-panel">
        <header class="sheet-head">
          <h2 id={titleId} class="sheet-title">
            {title}
          </h2>
          <button type="button" class="icon-button" aria-label={shared.t("close")} onClick={onClose}>
            <CloseIcon />
          </button>
        </header>
        <div class="sheet-body">{children}</div>
        {footer && <footer class="sheet-foot">{footer}</footer>}
      </div>
      <LiveRegions />
    </dialog>
  );
}
