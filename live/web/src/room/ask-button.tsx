import { CheckIcon, HandIcon } from "../shared/icons";
import { formatCount } from "../shared/money";
import { language } from "../shared/words";
import { useSession } from "./context";
import { w } from "./words";

/** One tap asks the host to show an item; nothing to ask for while it is shown, or when the show is over. */
export function AskButton({ productId, title, small = false }: { productId: string; title: string; small?: boolean }) {
  const session = useSession();
  const { wishes, store } = session;
  const isShown = store.pin.value.product_id === productId || session.shownId.value === productId;
  if (isShown || store.room.value?.status === "ended") return null;
  const { count, isMine } = wishes.of(productId);
  const n = formatCount(count, language.value, true);
  const problem = wishes.problem(productId);
  const name = isMine ? w("asked", { n }) : count ? w("ask_n", { n }) : w("ask");
  const Icon = isMine ? CheckIcon : HandIcon;
  return (
    <>
      <button
        type="button"
        class={`ask ${small ? "ask-small num" : ""} ${isMine ? "is-mine" : ""}`}
        // Stays reachable once asked: a button that is gone would drop the focus.
        aria-disabled={isMine || undefined}
        aria-label={small ? `${name}: ${title}` : undefined}
        title={small ? name : undefined}
        disabled={!session.isLive.value || wishes.isAsking(productId)}
        data-testid="ask"
        data-asked={isMine ? "yes" : "no"}
        onClick={() => void wishes.ask(productId)}
      >
        <Icon size={small ? 20 : 18} />
        {small ? count > 0 && <span>{n}</span> : <span>{name}</span>}
      </button>
      {!small && problem && (
        <p class="ask-problem" role="status">
          {problem}
        </p>
      )}
    </>
  );
}
