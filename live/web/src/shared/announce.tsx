import { signal } from "@preact/signals";

const polite = signal("");
const assertive = signal("");

/** Say something to a screen reader. Assertive only for: your hold, your payment, 10 s left on your hold. */
export function announce(text: string, urgency: "polite" | "assertive" = "polite"): void {
  const region = urgency === "assertive" ? assertive : polite;
  // The same text twice would not be read again; a trailing no-break space makes it new.
  region.value = region.peek() === text ? `${text}\u00a0` : text;
}

/** The live regions. Render once in the page, and inside each modal: what is outside a modal is inert and not read. */
export function LiveRegions() {
  return (
    <div class="visually-hidden">
      <div role="status" aria-live="polite">
        {polite}
      </div>
      <div role="alert" aria-live="assertive">
        {assertive}
      </div>
    </div>
  );
}
