import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { LiveRegions } from "../shared/announce";
import { BoltIcon, WarningIcon } from "../shared/icons";
import { late } from "../shared/late";
import { Sheet } from "../shared/sheet";
import { language, localised, shared } from "../shared/words";
import { Bag } from "./bag";
import { Captions } from "./captions";
import { ChatLog, ChatOverlay, Composer } from "./chat";
import { Checkout } from "./checkout";
import { SessionContext, useSession } from "./context";
import { DelaySheet } from "./delay-sheet";
import { Dock } from "./dock";
import { EventBanner } from "./event-banner";
import { Fairness } from "./fairness";
import { Hearts } from "./hearts";
import { HeroCard } from "./hero-card";
import { KeysSheet, useKeys } from "./keys";
import { ProductSheet } from "./product-sheet";
import type { RoomSession } from "./session";
import { LeftSide, RightSide } from "./side";
import { ShareSheet } from "./share";
import { ShowCard } from "./show-card";
import { SignIn } from "./sign-in";
import { Stage } from "./stage";
import { StatusStrip } from "./status-strip";
import { Things } from "./things";
import { w } from "./words";

/** Most viewers never see it, so it is not in the first load. */
const Replay = late(
  () => import("./replay").then((module) => module.Replay),
  () => <p aria-busy="true">{w("loading")}</p>,
);

const wide = matchMedia("(min-width: 1024px)");
const isDesktop = signal(wide.matches);
wide.addEventListener("change", () => (isDesktop.value = wide.matches));

export function App({ session }: { session: RoomSession }) {
  return (
    <SessionContext.Provider value={session}>
      <Page />
      <LiveRegions />
    </SessionContext.Provider>
  );
}

function Page() {
  const session = useSession();
  const title = localised(session.store.room.value?.title);
  useEffect(() => {
    document.title = title ? `${title} · Flashroom` : "Flashroom";
  }, [title]);
  switch (session.phase.value) {
    case "loading":
      return (
        <main class="blank" aria-busy="true">
          <BoltIcon size={44} class="stage-bolt" />
          <p>{w("loading")}</p>
        </main>
      );
    case "missing":
    case "failed":
      return (
        <main class="blank">
          <WarningIcon size={36} />
          <p role="alert">{w(session.phase.value === "missing" ? "room_missing" : "room_failed")}</p>
          <button type="button" class="button" onClick={() => void session.open()}>
            {shared.t("retry")}
          </button>
        </main>
      );
    case "sign_in":
      return <SignIn />;
    case "in":
      return <Room />;
  }
}

function Room() {
  const session = useSession();
  const desktop = isDesktop.value;
  useKeys(session, desktop);
  return (
    <div class={`room ${desktop ? "room-desktop" : "room-phone"}`} lang={language.value === "zh" ? "zh-CN" : "en"}>
      {desktop && <LeftSide />}
      <main class="centre">
        <Stage />
        <div class="column">
          <StatusStrip />
          <div class="banners">
            <EventBanner />
          </div>
          <div class="column-space" />
          <div class="lower">
            <Captions />
            <div class="above-card">
              {!desktop && <ChatOverlay />}
              <Hearts />
            </div>
            <ShowCard />
            <HeroCard />
            {!desktop && <Dock />}
          </div>
        </div>
      </main>
      {desktop && <RightSide />}
      <Panels />
    </div>
  );
}

function Panels() {
  const session = useSession();
  const panel = session.panel.value;
  const close = (): void => {
    session.panel.value = null;
  };
  const isOpen = panel !== null;
  const wasOpen = useRef(false);
  useEffect(() => {
    // A dialog gives focus back by itself, but not to a Buy button that was disabled while it asked.
    if (wasOpen.current && !isOpen && document.activeElement === document.body) {
      const card = document.querySelector(".hero");
      (card?.querySelector<HTMLElement>("[data-testid=buy]:enabled") ?? card?.querySelector<HTMLElement>(".hero-picture"))?.focus();
    }
    wasOpen.current = isOpen;
  }, [isOpen]);
  switch (panel?.kind) {
    case undefined:
      return null;
    case "checkout":
      return <Checkout key={panel.holdId} holdId={panel.holdId} />;
    case "product":
      return <ProductSheet key={panel.productId} productId={panel.productId} />;
    case "share":
      return <ShareSheet />;
    case "keys":
      return <KeysSheet />;
    case "bag":
      return (
        <Sheet key="bag" title={`${w("bag")} · ${w("bag_count", { n: session.products.value.length })}`} onClose={close} testid="bag">
          <Bag />
        </Sheet>
      );
    case "things":
      return (
        <Sheet key="things" title={w("things")} onClose={close} testid="things">
          <Things />
        </Sheet>
      );
    case "fairness":
      return (
        <Sheet key="fairness" title={w("fairness")} onClose={close} testid="fairness">
          <Fairness />
        </Sheet>
      );
    case "replay":
      return (
        <Sheet key="replay" title={w("replay")} onClose={close} theme="dark" testid="replay-sheet">
          <Replay productId={panel.productId} />
        </Sheet>
      );
    case "delay":
      return <DelaySheet />;
    case "watching":
      return (
        <Sheet key="watching" title={shared.t("watching")} kind="dialog" onClose={close}>
          <p>{shared.t("watching_means")}</p>
          <button type="button" class="button button-wide fair-link" onClick={() => (session.panel.value = { kind: "fairness" })}>
            {w("fairness")}
          </button>
        </Sheet>
      );
    case "chat":
      return (
        <Sheet key="chat" title={w("chat")} onClose={close} theme="dark" class="chat-sheet" testid="chat" footer={<Composer id="comment-sheet" />}>
          <ChatLog />
        </Sheet>
      );
  }
}
