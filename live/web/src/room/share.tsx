import { useState } from "preact/hooks";
import { LinkIcon, ShareIcon } from "../shared/icons";
import { Sheet } from "../shared/sheet";
import { localised } from "../shared/words";
import { useSession } from "./context";
import { w } from "./words";

const SAID_MS = 2_000;

/** The room's own address, without whatever brought this viewer here. */
export function roomAddress(): string {
  return `${location.origin}${location.pathname}`;
}

export function ShareButton() {
  const session = useSession();
  return (
    <button
      type="button"
      class="pill pill-button"
      data-testid="open-share"
      aria-label={w("share")}
      onClick={() => (session.panel.value = { kind: "share" })}
    >
      <ShareIcon size={16} />
    </button>
  );
}

/** The link to send, and the same as a code for somebody who stands beside. */
export function ShareSheet() {
  const session = useSession();
  const [isCopied, setCopied] = useState(false);
  const address = roomAddress();
  async function copy(): Promise<void> {
    await navigator.clipboard.writeText(address);
    setCopied(true);
    setTimeout(() => setCopied(false), SAID_MS);
  }
  return (
    <Sheet title={w("share")} kind="dialog" testid="share" onClose={() => (session.panel.value = null)}>
      <div class="share">
        <img class="share-code" src={`${location.pathname}/qr.svg`} width={200} height={200} alt={w("share_code")} />
        <input class="input num" readOnly aria-label={w("share_link")} value={address} onFocus={(event) => event.currentTarget.select()} />
        <button type="button" class="button button-primary button-wide" data-testid="copy-link" onClick={() => void copy()}>
          <LinkIcon size={18} /> {w(isCopied ? "share_copied" : "share_copy")}
        </button>
        {"share" in navigator && (
          <button
            type="button"
            class="button button-wide"
            onClick={() => {
              // Closing the system's sheet without choosing is no error.
              navigator.share({ title: localised(session.store.room.value?.title), url: address }).catch(() => undefined);
            }}
          >
            <ShareIcon size={18} /> {w("share_more")}
          </button>
        )}
      </div>
    </Sheet>
  );
}
