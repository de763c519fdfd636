import { BagIcon, HeartIcon, ReceiptIcon } from "../shared/icons";
import { formatCount } from "../shared/money";
import { language } from "../shared/words";
import { Composer } from "./chat";
import { useSession } from "./context";
import { w } from "./words";

/** Layer G: bag, message, like, my things. */
export function Dock() {
  const session = useSession();
  const count = session.products.value.length;
  const open = session.things.openCount.value;
  return (
    <div class="dock">
      <button
        type="button"
        class="dock-button dock-bag"
        data-testid="open-bag"
        aria-label={w("open_bag", { n: count })}
        aria-keyshortcuts="G"
        onClick={() => (session.panel.value = { kind: "bag" })}
      >
        <BagIcon />
        <span class="dock-count num">{count}</span>
      </button>
      <Composer id="comment-dock" />
      <button
        type="button"
        class="dock-button"
        data-testid="open-things"
        aria-label={open > 0 ? `${w("my_things")}, ${open}` : w("my_things")}
        onClick={() => (session.panel.value = { kind: "things" })}
      >
        <ReceiptIcon />
        {open > 0 && <span class="dock-count dock-count-hot num">{open}</span>}
      </button>
      <LikeButton />
    </div>
  );
}

export function LikeButton() {
  const session = useSession();
  const total = session.store.likes.value.total + session.likesPending.value;
  return (
    <button
      type="button"
      class="dock-button dock-like"
      data-testid="like"
      data-total={total}
      aria-label={`${w("like")} – ${w("likes", { n: formatCount(total, language.value, true) })}`}
      aria-keyshortcuts="L"
      disabled={!session.isLive.value}
      onClick={() => session.like()}
    >
      <HeartIcon />
      <span class="dock-likes num">{formatCount(total, language.value, true)}</span>
    </button>
  );
}
