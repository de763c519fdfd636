import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { BoltIcon, KeyboardIcon } from "../shared/icons";
import { formatTime } from "../shared/clock";
import { language, localised, shared } from "../shared/words";
import { Bag } from "./bag";
import { ChatLog, Composer } from "./chat";
import { useSession } from "./context";
import { LikeButton } from "./dock";
import { Fairness } from "./fairness";
import type { SideTab } from "./session";
import { Things } from "./things";
import { w } from "./words";

const TABS: readonly SideTab[] = ["chat", "orders", "fairness"];

/** Desktop, left: the bag and what is mine. */
export function LeftSide() {
  const session = useSession();
  return (
    <aside class="side side-left" aria-label={`${w("bag")}, ${w("things")}`}>
      <div class="brand">
        <BoltIcon size={22} class="brand-bolt" />
        <b>Flashroom</b>
        <button
          type="button"
          class="icon-button brand-keys"
          aria-label={w("keys")}
          onClick={() => (session.panel.value = { kind: "keys" })}
        >
          <KeyboardIcon size={20} />
        </button>
      </div>
      <section class="side-part side-things" aria-labelledby="things-head">
        <h2 class="side-head" id="things-head">
          {w("things")}
          {session.things.openCount.value > 0 && <span class="side-count num">{session.things.openCount.value}</span>}
        </h2>
        <div class="side-scroll">
          <Things />
        </div>
      </section>
      <section class="side-part side-bag" aria-labelledby="bag-head">
        <h2 class="side-head" id="bag-head">
          {w("bag")} <span class="side-sub num">{w("bag_count", { n: session.products.value.length })}</span>
        </h2>
        <div class="side-scroll">
          <Bag />
        </div>
      </section>
    </aside>
  );
}

/** Desktop, right: the whole chat, the order ticker, fairness. */
export function RightSide() {
  const session = useSession();
  const tab = session.sideTab.value;
  return (
    <aside class="side side-right" aria-label={w("chat")}>
      <div
        class="tabs"
        role="tablist"
        onKeyDown={(event) => {
          const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
          if (!step) return;
          const next = TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length] ?? "chat";
          session.sideTab.value = next;
          document.getElementById(`tab-${next}`)?.focus();
        }}
      >
        {TABS.map((name) => (
          <button
            key={name}
            id={`tab-${name}`}
            type="button"
            role="tab"
            class="tab"
            aria-selected={tab === name}
            aria-controls="side-panel"
            tabIndex={tab === name ? 0 : -1}
            onClick={() => (session.sideTab.value = name)}
          >
            {w(name)}
          </button>
        ))}
      </div>
      <div class="side-panel" id="side-panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === "chat" && (
          <>
            <ChatLog />
            <div class="side-composer">
              <Composer id="comment-side">
                <LikeButton />
              </Composer>
            </div>
          </>
        )}
        {tab === "orders" && <OrderTicker />}
        {tab === "fairness" && (
          <div class="side-scroll">
            <Fairness />
          </div>
        )}
      </div>
    </aside>
  );
}

function OrderTicker() {
  const session = useSession();
  const ticks = useMemo(() => computed(() => session.store.orderTicks.value.toReversed()), [session]);
  if (!ticks.value.length) return <p class="empty">{w("orders_empty")}</p>;
  return (
    <ul class="side-scroll ticker">
      {ticks.value.map((tick) => (
        <li key={`${tick.at_ms}-${tick.name}-${tick.product_id}`} class={tick.ghost ? "line-ghost" : ""}>
          <p>
            {w("order_tick", {
              name: tick.name,
              quantity: tick.quantity,
              product: localised(session.product(tick.product_id)?.title),
            })}
            {tick.ghost && <span class="badge">{shared.t("ghost")}</span>}
          </p>
          <time class="num">{formatTime(tick.at_ms, language.value)}</time>
        </li>
      ))}
    </ul>
  );
}
