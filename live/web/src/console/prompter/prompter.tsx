import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { formatElapsed, heartbeat } from "../../shared/clock";
import { Countdown } from "../../shared/countdown";
import { ChevronIcon, CloseIcon, HandIcon, MinusIcon, PauseIcon, PlayIcon, PlusIcon } from "../../shared/icons";
import { formatCount } from "../../shared/money";
import type { Product } from "../../shared/types";
import { language, localised, shared } from "../../shared/words";
import { useDesk, useTicking } from "../context";
import { firstSale, isRunning } from "../desk-state";
import { mostAsked } from "../requests";
import { lateText, useLateness } from "../script-panel";
import { closePrompter, prompterAddress } from "../view";
import { w } from "../words";
import { ExpandIcon, MirrorIcon, WindowIcon } from "./icons";
import "./prompter.css";
import { FIRST_WISH, linesOf, readWish, Scroll, SIZES, SPEEDS, stepped, type Wish } from "./scroll";
import { t } from "./words";

const KEPT = "flashroom.console.prompter";
const STAFF_SAID_MS = 90_000;

/** The script in letters to be read from two metres: follows what is pinned, and moves by itself. */
export function Prompter() {
  const desk = useDesk();
  const products = desk.products.value;
  const pinnedId = desk.store.pin.value.product_id;
  const [aheadId, setAhead] = useState<string | null>(null);
  useEffect(() => setAhead(null), [pinnedId]);
  const product = desk.product(aheadId) ?? desk.product(pinnedId) ?? desk.product(desk.productId.value) ?? products[0] ?? null;
  const next = product && products[products.indexOf(product) + 1];
  const look = (): void => setAhead(next?.product_id ?? null);
  const reader = useReader(product?.product_id ?? "");
  useKeys(reader, look);
  useWakeLock();
  return (
    <main class={`prompter ${reader.wish.isMirrored ? "is-mirrored" : ""}`} data-testid="prompter" data-product={product?.product_id} data-going={reader.isGoing ? "yes" : "no"}>
      <h1 class="visually-hidden">{t("none_hint")}</h1>
      <Facts product={product} isAhead={aheadId !== null} />
      {product ? <Text key={product.product_id} product={product} reader={reader} /> : <p class="prompter-none">{t("empty")}</p>}
      <Notes next={next || null} isAhead={aheadId !== null} onLook={aheadId ? () => setAhead(null) : look} />
      <Tools reader={reader} />
    </main>
  );
}

/** The show's clock, what is in hand, and what is left of it. */
function Facts({ product, isAhead }: { product: Product | null; isAhead: boolean }) {
  const desk = useDesk();
  const room = desk.store.room.value;
  const startedAtMs = room?.status === "live" || room?.status === "away" ? room.started_at_ms : null;
  const clock = useTicking(() => {
    void heartbeat.value;
    return startedAtMs === null ? null : formatElapsed(desk.store.serverNow() - startedAtMs);
  }, [desk, startedAtMs]);
  const late = useLateness(desk, null);
  const sale = product && firstSale(desk.salesOf(product.product_id));
  const isOn = sale && isRunning(sale.state);
  const stock = isOn ? desk.stock(sale.sale_id) : null;
  const left = stock ? stock.available : (product?.variants.reduce((sum, one) => sum + one.stock, 0) ?? null);
  const endsAtMs = !isOn ? null : sale.state === "countdown" ? sale.opens_at_ms : sale.state === "open" ? sale.closes_at_ms : null;
  return (
    <header class="prompter-facts prompter-flip">
      <div class="prompter-clock">
        <b class="num" data-testid="prompter-clock">
          {clock ?? shared.t(`status_${room?.status ?? "preshow"}`)}
        </b>
        {desk.truth.isStale.value ? (
          <span class="late is-late" role="status">
            {shared.t("reconnecting_now")}
          </span>
        ) : (
          late !== null && <span class={`late ${late > 0 ? "is-late" : ""}`}>{lateText(late)}</span>
        )}
      </div>
      <div class="prompter-item">
        <b>{localised(product?.title)}</b>
        <span>
          {isAhead ? t("peeking") : desk.store.pin.value.product_id === null ? t("nothing_shown") : w("pinned")}
          {product && desk.scripts.of(product.product_id).minute !== null && ` · ${desk.scripts.of(product.product_id).minute}′`}
        </span>
      </div>
      {left !== null && (
        <div class={`prompter-left ${stock ? "is-on" : ""}`} data-testid="prompter-left">
          <b class="num">{formatCount(left, language.value)}</b>
          <span>
            {t(stock ? "left" : "on_shelf")}
            {isOn && <> · {endsAtMs === null ? shared.t(`state_${sale.state}`) : <Countdown untilMs={endsAtMs} clock={desk.store.clock} />}</>}
          </span>
        </div>
      )}
    </header>
  );
}

function Text({ product, reader }: { product: Product; reader: Reader }) {
  const desk = useDesk();
  const { script } = desk.scripts.of(product.product_id);
  const lines = useMemo(() => linesOf(script), [script]);
  if (!script) {
    return (
      <div class="prompter-none" data-testid="prompter-empty">
        <b>{t("none")}</b>
        <p>{t("none_hint")}</p>
        {desk.may("sell") && (
          <button type="button" class="button button-strong" onClick={() => (desk.scripts.editing.value = product.product_id)}>
            {t("write")}
          </button>
        )}
      </div>
    );
  }
  return (
    <div class="prompter-window prompter-flip" ref={reader.box} tabIndex={0} role="region" aria-label={localised(product.title)} data-size={reader.wish.size} onClick={reader.toggle}>
      <div class="prompter-text" ref={reader.text} data-testid="prompter-text">
        {lines.map(({ text, isCue }, place) => (
          <p key={place} class={isCue ? "is-cue" : ""}>
            {text || "\u00a0"}
          </p>
        ))}
      </div>
    </div>
  );
}

/** What comes next, what is asked for, and what a colleague wrote just now. */
function Notes({ next, isAhead, onLook }: { next: Product | null; isAhead: boolean; onLook: () => void }) {
  const desk = useDesk();
  const minute = next ? desk.scripts.of(next.product_id).minute : null;
  const [most] = mostAsked(desk.store.requests.value, desk.products.value);
  const said = useTicking(() => {
    void heartbeat.value;
    const line = desk.store.comments.value.findLast((one) => one.role !== "viewer" && !one.deleted);
    return line && desk.store.serverNow() - line.at_ms < STAFF_SAID_MS ? { name: line.name, text: line.text } : null;
  }, [desk]);
  return (
    <aside class="prompter-notes prompter-flip">
      {said && (
        <p class="prompter-said" data-testid="prompter-said">
          <b>{said.name}</b> {said.text}
        </p>
      )}
      <button type="button" class="prompter-next" data-testid="prompter-next" disabled={!next && !isAhead} onClick={onLook}>
        <span>{isAhead ? t("peek_back") : next ? t("next") : t("next_none")}</span>
        {!isAhead && next && <b>{localised(next.title)}</b>}
        {!isAhead && minute !== null && <span class="num">{minute}′</span>}
        <ChevronIcon size={20} />
      </button>
      {most && (
        <p class="prompter-asked">
          <HandIcon size={18} />
          {t("asked", { n: formatCount(most.count, language.value), name: localised(most.product.title) })}
        </p>
      )}
    </aside>
  );
}

function Tools({ reader }: { reader: Reader }) {
  const desk = useDesk();
  const { wish, change, isGoing } = reader;
  return (
    <footer class="prompter-tools">
      <div class="prompter-group">
        <button type="button" class="icon-button" aria-label={t("slower")} title={t("slower")} onClick={() => change({ speed: stepped(SPEEDS, wish.speed, -1) })}>
          <MinusIcon size={20} />
        </button>
        <button type="button" class={`button prompter-go ${isGoing ? "" : "button-strong"}`} aria-keyshortcuts="Space" aria-label={t(isGoing ? "stop" : "go")} data-testid="prompter-go" onClick={reader.toggle}>
          {isGoing ? <PauseIcon size={18} /> : <PlayIcon size={18} />}
          <span>{t(isGoing ? "stop" : "go")}</span>
        </button>
        <button type="button" class="icon-button" aria-label={t("faster")} title={t("faster")} data-testid="prompter-faster" onClick={() => change({ speed: stepped(SPEEDS, wish.speed, 1) })}>
          <PlusIcon size={20} />
        </button>
        <output class="prompter-speed num" aria-live="polite" data-testid="prompter-speed">
          {t("speed", { n: SPEEDS[wish.speed] ?? 0 })}
        </output>
      </div>
      <p class="prompter-keys">{t("keys")}</p>
      <div class="prompter-group">
        <button type="button" class="icon-button" aria-label={t("smaller")} title={t("smaller")} onClick={() => change({ size: stepped(SIZES, wish.size, -1) })}>
          <span class="prompter-a">A</span>
        </button>
        <button type="button" class="icon-button" aria-label={t("bigger")} title={t("bigger")} onClick={() => change({ size: stepped(SIZES, wish.size, 1) })}>
          <span class="prompter-a is-big">A</span>
        </button>
        <button type="button" class="icon-button" aria-label={t("mirror")} title={t("mirror")} aria-pressed={wish.isMirrored} data-testid="prompter-mirror" onClick={() => change({ isMirrored: !wish.isMirrored })}>
          <MirrorIcon size={20} />
        </button>
        {document.fullscreenEnabled && (
          <button type="button" class="icon-button prompter-full" aria-label={t("full")} title={t("full")} onClick={toggleFull}>
            <ExpandIcon size={20} />
          </button>
        )}
        <a class="icon-button prompter-window-link" href={prompterAddress(desk.roomId)} target="_blank" rel="noopener" aria-label={t("window")} title={t("window")}>
          <WindowIcon size={20} />
        </a>
        <button type="button" class="icon-button" aria-label={t("close")} title={t("close")} data-testid="close-prompter" onClick={closePrompter}>
          <CloseIcon size={20} />
        </button>
      </div>
    </footer>
  );
}

function toggleFull(): void {
  // A browser that won't has said so itself.
  void (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()).catch(() => undefined);
}

// --- moving ---------------------------------------------------------------------------------------------------------

function useReader(productId: string) {
  const box = useRef<HTMLDivElement>(null);
  const text = useRef<HTMLDivElement>(null);
  const [wish, setWish] = useState<Wish>(kept);
  const [isGoing, setGoing] = useState(false);
  const scroll = useMemo(() => new Scroll(), [productId]);
  useLayoutEffect(() => place(scroll, box.current, text.current), [scroll, wish.size]);
  useEffect(() => {
    if (!isGoing) return;
    const isSmooth = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    const speed = SPEEDS[wish.speed] ?? 0;
    let before = performance.now();
    let frame = requestAnimationFrame(function step(now) {
      const element = box.current;
      if (element) {
        // The reader's own hand on the text counts.
        if (Math.abs(element.scrollTop - Math.floor(scroll.px)) > 2) scroll.px = element.scrollTop;
        const goesOn = scroll.advance(now - before, speed, lineHeight(text.current), end(element), isSmooth);
        place(scroll, element, text.current);
        if (!goesOn) return setGoing(false);
      }
      before = now;
      frame = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(frame);
  }, [isGoing, scroll, wish.speed]);
  return {
    box,
    text,
    wish,
    isGoing,
    change(part: Partial<Wish>): void {
      const now = { ...wish, ...part };
      setWish(now);
      keep(now);
    },
    toggle: (): void => setGoing(!isGoing),
    jump(lines: number): void {
      const element = box.current;
      if (!element) return;
      scroll.px = element.scrollTop;
      scroll.jump(lines * lineHeight(text.current), end(element));
      place(scroll, element, text.current);
    },
  };
}

type Reader = ReturnType<typeof useReader>;

/** Whole pixels by scrolling, what is between them by a shift, so that slow text doesn't stutter. */
function place(scroll: Scroll, box: HTMLElement | null, text: HTMLElement | null): void {
  if (!box || !text) return;
  box.scrollTop = Math.floor(scroll.px);
  text.style.transform = `translateY(${Math.floor(scroll.px) - scroll.px}px)`;
}

function end(box: HTMLElement): number {
  return Math.max(0, box.scrollHeight - box.clientHeight);
}

function lineHeight(text: HTMLElement | null): number {
  return (text && Number.parseFloat(getComputedStyle(text).lineHeight)) || 60;
}

function useKeys(reader: Reader, onLook: () => void): void {
  useLayoutEffect(() => {
    const { wish, change } = reader;
    const onDown = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      const page = Math.max(1, Math.floor((reader.box.current?.clientHeight ?? 0) / lineHeight(reader.text.current)) - 3);
      const isOnButton = (event.target as Element).closest("button, a") !== null;
      const actions: Record<string, () => void> = {
        ArrowUp: () => reader.jump(-2),
        ArrowDown: () => reader.jump(2),
        ArrowLeft: () => change({ speed: stepped(SPEEDS, wish.speed, -1) }),
        ArrowRight: () => change({ speed: stepped(SPEEDS, wish.speed, 1) }),
        // What a presenter's clicker sends.
        PageUp: () => reader.jump(-page),
        PageDown: () => reader.jump(page),
        Home: () => reader.jump(-10_000),
        "+": () => change({ size: stepped(SIZES, wish.size, 1) }),
        "=": () => change({ size: stepped(SIZES, wish.size, 1) }),
        "-": () => change({ size: stepped(SIZES, wish.size, -1) }),
        m: () => change({ isMirrored: !wish.isMirrored }),
        f: toggleFull,
        n: onLook,
        Escape: closePrompter,
        ...(isOnButton ? {} : { " ": reader.toggle }),
      };
      const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
      if (!action) return;
      event.preventDefault();
      action();
    };
    document.addEventListener("keydown", onDown);
    return () => document.removeEventListener("keydown", onDown);
  });
}

/** A phone that stands as a prompter must not go dark. */
function useWakeLock(): void {
  useEffect(() => {
    let lock: WakeLockSentinel | undefined;
    const ask = (): void => {
      // Not every browser has it, and a weak battery may refuse it.
      if (!document.hidden) navigator.wakeLock?.request("screen").then((got) => (lock = got), () => undefined);
    };
    ask();
    document.addEventListener("visibilitychange", ask);
    return () => {
      document.removeEventListener("visibilitychange", ask);
      void lock?.release();
    };
  }, []);
}

function kept(): Wish {
  try {
    return readWish(localStorage.getItem(KEPT));
  } catch {
    return FIRST_WISH;
  }
}

function keep(wish: Wish): void {
  try {
    localStorage.setItem(KEPT, JSON.stringify(wish));
  } catch {
    // Then it holds for this window.
  }
}
