import { CheckIcon, HandIcon, PlayIcon } from "../shared/icons";
import { formatCount } from "../shared/money";
import { language } from "../shared/words";
import { useSession } from "./context";
import { w } from "./words";

interface Props {
  productId: string;
  title: string;
  small?: boolean;
}

/** One tap asks the host to show an item; nothing to ask for while it is shown. After the show one tap leads to its moment in the film. */
export function AskButton({ productId, title, small = false }: Props) {
  const session = useSession();
  const { wishes, store } = session;
  const isShown = store.pin.value.product_id === productId || session.shownId.value === productId;
  const room = store.room.value;
  if (room?.status === "ended") return room.rehearsal ? null : <MomentButton productId={productId} title={title} small={small} />;
  if (isShown) return null;
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

function MomentButton({ productId, title, small }: Props) {
  const session = useSession();
  const name = w("replay_moment");
  return (
    <button
      type="button"
      class={`ask ${small ? "ask-small" : ""}`}
      aria-label={small ? `${name}: ${title}` : undefined}
      title={small ? name : undefined}
      data-testid="moment"
      onClick={() => (session.panel.value = { kind: "replay", productId })}
    >
      <PlayIcon size={small ? 20 : 18} />
      {!small && <span>{name}</span>}
    </button>
  );
}
