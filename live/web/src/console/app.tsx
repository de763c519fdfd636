import { useEffect, useState } from "preact/hooks";
import { LiveRegions } from "../shared/announce";
import { BoltIcon, WarningIcon } from "../shared/icons";
import { language, localised, shared } from "../shared/words";
import type { ConsoleSession } from "./app-session";
import { ConsoleContext, DeskContext, useConsole, useDesk } from "./context";
import { DeskRequestCard } from "./desk-strip";
import { useKeys } from "./keys";
import { late } from "../shared/late";
import type { Tab } from "./room-desk";
import { RoomColumn } from "./room-column";
import { Rooms } from "./rooms";
import { RunOfShow } from "./run-of-show";
import { SaleDesk } from "./sale-desk";
import { SignIn } from "./sign-in";
import { Stage } from "./stage";
import { TopBar } from "./top-bar";
import { inviteToken, isPrompter } from "./view";
import { type ConsoleWord, w } from "./words";

/** Each is wanted now and then, so it is not in the first load. */
const AcceptInvite = late(() => import("./accept-invite").then((module) => module.AcceptInvite));
const ApprovalCards = late(() => import("./approval-cards").then((module) => module.ApprovalCards));
const KeysSheet = late(() => import("./keys-sheet").then((module) => module.KeysSheet));
const PreflightSheet = late(() => import("./preflight").then((module) => module.PreflightSheet));
const Prompter = late(() => import("./prompter/prompter").then((module) => module.Prompter));
const ScriptSheet = late(() => import("./script-sheet").then((module) => module.ScriptSheet));
const SummarySheet = late(() => import("./summary").then((module) => module.SummarySheet));

export function App({ session }: { session: ConsoleSession }) {
  return (
    <ConsoleContext.Provider value={session}>
      <Page />
      <LiveRegions />
    </ConsoleContext.Provider>
  );
}

function Page() {
  const session = useConsole();
  const desk = session.desk.value;
  const [invite, setInvite] = useState(inviteToken);
  switch (session.phase.value) {
    case "loading":
    case "opening":
      return (
        <main class="blank" aria-busy="true">
          <BoltIcon size={40} class="blank-bolt" />
          <p>{w(session.phase.value === "opening" ? "opening_room" : "loading")}</p>
        </main>
      );
    case "failed":
    case "room_failed":
      return (
        <main class="blank">
          <WarningIcon size={34} />
          <p role="alert">
            {session.phase.value === "room_failed" && `${w("room_failed")} `}
            {session.problem.value}
          </p>
          <button type="button" class="button" onClick={() => void (session.phase.value === "failed" ? session.start() : session.showRooms())}>
            {session.phase.value === "failed" ? shared.t("retry") : w("room_other")}
          </button>
        </main>
      );
    case "sign_in":
      return invite ? <AcceptInvite token={invite} onDone={() => setInvite(null)} /> : <SignIn />;
    case "rooms":
      return <Rooms />;
    case "in":
      return desk ? (
        <DeskContext.Provider value={desk}>
          <Room />
        </DeskContext.Provider>
      ) : null;
  }
}

const TABS: readonly (readonly [Tab, ConsoleWord])[] = [
  ["show", "show_tab"],
  ["desk", "desk_tab"],
  ["plots", "plots"],
  ["chat", "chat"],
  ["questions", "questions"],
  ["video", "video"],
  ["orders", "orders"],
  ["people", "people"],
  ["log", "log"],
];

/** The desk or the prompter, and what may lie over either. */
function Room() {
  const desk = useDesk();
  const room = desk.store.room.value;
  const title = localised(room?.title);
  useEffect(() => {
    document.title = `${title} · ${w("console")}`;
  }, [title, language.value]);
  // The ground under everything shows which show this is: a rehearsal can't be mistaken for the real thing.
  useEffect(() => {
    document.documentElement.dataset.show = room?.rehearsal ? "rehearsal" : "real";
    return () => delete document.documentElement.dataset.show;
  }, [room?.rehearsal]);
  return (
    <>
      {isPrompter.value ? <Prompter /> : <Desk />}
      <DeskRequestCard />
      {desk.scripts.editing.value && <ScriptSheet key={desk.scripts.editing.value} />}
    </>
  );
}

function Desk() {
  const desk = useDesk();
  useKeys(desk);
  const room = desk.store.room.value;
  const tab = desk.tab.value;
  return (
    <div class="console" data-tab={tab} data-testid="console" data-rehearsal={room?.rehearsal ? "yes" : "no"}>
      <TopBar />
      <RunOfShow />
      <main class="centre">
        <Stage />
        <SaleDesk />
      </main>
      <RoomColumn />
      <nav class="tabs-bottom" aria-label={w("console")}>
        {TABS.filter(([name]) => (name !== "video" && name !== "people") || desk.may("produce")).map(([name, word]) => (
          <button
            key={name}
            type="button"
            aria-current={tab === name ? "page" : undefined}
            data-testid={`bottom-${name}`}
            onClick={() => {
              desk.tab.value = name;
              if (name !== "show" && name !== "desk" && name !== "plots") desk.sideTab.value = name;
            }}
          >
            {w(word)}
          </button>
        ))}
      </nav>
      {desk.approvals.toAnswer.value.length > 0 && <ApprovalCards />}
      {desk.isKeysOpen.value && <KeysSheet />}
      {desk.isSummaryOpen.value && <SummarySheet />}
      {desk.isPreflightOpen.value && <PreflightSheet />}
    </div>
  );
}
