import type { ComponentType } from "preact";
import { useDesk } from "./context";
import { ChatPanel } from "./chat-panel";
import { late } from "../shared/late";
import type { SideTab } from "./room-desk";
import { w } from "./words";

/** Used before a show, or now and then. */
const LogPanel = late(() => import("./log-panel").then((module) => module.LogPanel));
const OrdersPanel = late(() => import("./orders-panel").then((module) => module.OrdersPanel));
const PeoplePanel = late(() => import("./people-panel").then((module) => module.PeoplePanel));
const PublishPanel = late(() => import("./publish-panel").then((module) => module.PublishPanel));
const QuestionsPanel = late(() => import("./questions-panel").then((module) => module.QuestionsPanel));

const PANELS: Readonly<Record<SideTab, ComponentType>> = {
  chat: ChatPanel,
  questions: QuestionsPanel,
  video: PublishPanel,
  orders: OrdersPanel,
  people: PeoplePanel,
  log: LogPanel,
};
const ALL_TABS: readonly SideTab[] = ["chat", "questions", "video", "orders", "people", "log"];

/** The room: what people say, what they ordered, and what we did. */
export function RoomColumn() {
  const desk = useDesk();
  const tab = desk.sideTab.value;
  const Panel = PANELS[tab];
  const TABS = ALL_TABS.filter((name) => (name !== "video" && name !== "people") || desk.may("produce"));
  const waiting = desk.moderation.held.value.length;
  const asked = desk.questions.value?.list.value.filter((one) => !one.isAnswered).length ?? 0;
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
            {name === "questions" && asked > 0 && <span class="tab-count num">{asked}</span>}
            {name === "chat" && waiting > 0 && <span class="tab-count num">{waiting}</span>}
          </button>
        ))}
      </div>
      <div class="side-body" role="tabpanel" id={`side-${tab}`} aria-labelledby={`tab-${tab}`}>
        <Panel key={tab} />
      </div>
    </section>
  );
}
