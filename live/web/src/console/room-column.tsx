import { useDesk } from "./context";
import { ChatPanel } from "./chat-panel";
import { Late } from "./late";
import { LogPanel } from "./log-panel";
import { OrdersPanel } from "./orders-panel";
import { PublishPanel } from "./publish-panel";
import type { SideTab } from "./room-desk";
import { w } from "./words";

const ALL_TABS: readonly SideTab[] = ["chat", "video", "orders", "people", "log"];

const people = () => import("./people-panel").then((module) => module.PeoplePanel);

/** The room: what people say, what they ordered, and what we did. */
export function RoomColumn() {
  const desk = useDesk();
  const tab = desk.sideTab.value;
  const TABS = ALL_TABS.filter((name) => (name !== "video" && name !== "people") || desk.may("produce"));
  const waiting = desk.moderation.held.value.length;
  return (
    <section class="panel room-column" aria-label={w("chat")} data-panel="room">
      <div class="side-tabs" role="tablist">
        {TABS.map((name, index) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-selected={tab === name}
            aria-controls={`side-${name}`}
            tabIndex={tab === name ? 0 : -1}
            data-testid={`tab-${name}`}
            onClick={() => (desk.sideTab.value = name)}
            onKeyDown={(event) => {
              const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
              const next = by && TABS[(index + by + TABS.length) % TABS.length];
              if (!next) return;
              desk.sideTab.value = next;
              document.getElementById(`tab-${next}`)?.focus();
            }}
          >
            {w(name)}
            {name === "video" && desk.broadcast.state.value === "live" && <span class="tab-live" aria-hidden="true" />}
            {name === "chat" && waiting > 0 && <span class="tab-count num">{waiting}</span>}
          </button>
        ))}
      </div>
      <div class="side-body" role="tabpanel" id={`side-${tab}`} aria-labelledby={`tab-${tab}`}>
        {tab === "chat" ? <ChatPanel /> : tab === "video" ? <PublishPanel /> : tab === "orders" ? <OrdersPanel /> : tab === "people" ? <Late load={people} onFail={() => (desk.sideTab.value = "chat")} /> : <LogPanel />}
      </div>
    </section>
  );
}
