import { formatRemaining, heartbeat } from "../shared/clock";
import { CheckIcon, PauseIcon, PlayIcon, PlusIcon, MinusIcon, WarningIcon } from "../shared/icons";
import { formatCount, formatMoney } from "../shared/money";
import { StockBar } from "../shared/stock-bar";
import type { Sale, StockValue } from "../shared/types";
import { language, shared } from "../shared/words";
import { type Controls, useControls, useDesk, useTicking } from "./context";
import { abortLeftMs, sumHolds } from "./desk-state";
import { HoldButton } from "./hold-button";
import { isEndKeyDown } from "./obey";
import { Happened } from "./happened";
import { FailureLine, span } from "./parts";
import { TrayPanel } from "./trays";
import { WaitingMoney } from "./waiting-money";
import { type ConsoleWord, w } from "./words";

/** How long the server counts down before a paused sale goes on. */
const RESUME_MS = 5_000;

/** A sale on air: its clock, its sum, its controls. */
export function SaleRunning({ sale }: { sale: Sale }) {
  const desk = useDesk();
  const controls = useControls(desk, sale);
  const stock = desk.stock(sale.sale_id);
  return (
    <>
      <div class="desk-body running" tabIndex={0} role="region" aria-label={w("desk_body")}>
        <Clock sale={sale} stock={stock} />
        {stock && <Sum stock={stock} />}
        <Facts sale={sale} stock={stock} />
        <Happened sale={sale} />
      </div>
      <div class="controls">
        <WaitingMoney target={sale.sale_id} />
        <FailureLine runner={desk.runner} place={desk.place(sale.sale_id)} />
        {desk.tray.value && <TrayPanel sale={sale} stock={stock} tray={desk.tray.value} waiting={controls.waiting} />}
        <RunningControls sale={sale} stock={stock} controls={controls} />
      </div>
    </>
  );
}

interface ClockView {
  caption: string;
  text: string;
  isUrgent: boolean;
  /** Share of the sale's time that is left, for the line under the clock. */
  left: number;
}

function Clock({ sale, stock }: { sale: Sale; stock: StockValue | null }) {
  const desk = useDesk();
  const isStale = desk.truth.isStale.value;
  const view = useTicking(() => {
    void heartbeat.value;
    return clockView(sale, stock, desk.store.serverNow(), desk.pausedLeftMs(sale), desk.wasOpen(sale));
  }, [desk, sale, stock, language.value]);
  return (
    <div class={`clock clock-${sale.state} ${view.isUrgent ? "is-urgent" : ""} ${isStale ? "is-unconfirmed" : ""}`} data-testid="sale-clock">
      <span class="clock-caption">{view.caption}</span>
      <time class="clock-time num" role="timer" aria-live="off">
        {view.text}
      </time>
      <span class="clock-line" aria-hidden="true">
        <i style={{ transform: `scaleX(${view.left})` }} />
      </span>
    </div>
  );
}

/** Below ten seconds with tenths: that is where the operator counts along. The word "ended" is the server's alone. */
function clockView(sale: Sale, stock: StockValue | null, nowMs: number, pausedLeftMs: number | null, wasOpen: boolean): ClockView {
  const count = (untilMs: number | null, totalMs: number, caption: ConsoleWord, over: ConsoleWord): ClockView => {
    const leftMs = (untilMs ?? nowMs) - nowMs;
    if (leftMs <= 0) return { caption: w(over), text: "0.0", isUrgent: true, left: 0 };
    const text = leftMs < 10_000 ? (Math.ceil(leftMs / 100) / 10).toFixed(1) : formatRemaining(leftMs);
    return { caption: w(caption), text, isUrgent: leftMs < 10_000, left: totalMs ? Math.round(Math.min(1, leftMs / totalMs) * 400) / 400 : 0 };
  };
  switch (sale.state) {
    case "countdown":
      return wasOpen
        ? count(sale.opens_at_ms, RESUME_MS, "resumes_in_big", "opening")
        : count(sale.opens_at_ms, sale.countdown_ms, "opens_in_big", "opening");
    case "paused":
      return {
        caption: w("paused_clock"),
        text: pausedLeftMs === null ? "–:––" : formatRemaining(pausedLeftMs),
        isUrgent: false,
        left: pausedLeftMs === null || !sale.duration_ms ? 0 : Math.min(1, pausedLeftMs / sale.duration_ms),
      };
    case "draining":
      if (stock && stock.held === 0) return { caption: w("draining_none"), text: "0:00", isUrgent: false, left: 0 };
      return { ...count(stock?.next_hold_ends_at_ms ?? null, sale.hold_ms, "next_hold", "draining_clock"), isUrgent: false };
    default:
      return count(sale.closes_at_ms, sale.duration_ms, "ends_in_big", "closing");
  }
}

/** quota = available + held + sold, in numbers large enough to read from across the studio. */
function Sum({ stock }: { stock: StockValue }) {
  const lang = language.value;
  const isRight = sumHolds(stock);
  const part = (name: "available" | "held" | "sold") => (
    <span class={`sum-part sum-${name}`}>
      <b class="num">{formatCount(stock[name], lang)}</b>
      <span>{shared.t(name)}</span>
    </span>
  );
  return (
    <div class={`sum ${isRight ? "" : "is-wrong"}`} data-testid="sum" data-right={isRight ? "yes" : "no"}>
      <div class="sum-line">
        <span class="sum-part sum-quota">
          <b class="num">{formatCount(stock.quota, lang)}</b>
          <span>{w("quota")}</span>
        </span>
        <i aria-hidden="true">{isRight ? "=" : "≠"}</i>
        {part("available")}
        <i aria-hidden="true">+</i>
        {part("held")}
        <i aria-hidden="true">+</i>
        {part("sold")}
        <span class="sum-mark" aria-hidden="true">
          {isRight ? <CheckIcon size={18} /> : <WarningIcon size={18} />}
        </span>
      </div>
      <StockBar stock={stock} legend={false} />
    </div>
  );
}

function Facts({ sale, stock }: { sale: Sale; stock: StockValue | null }) {
  const desk = useDesk();
  const lang = language.value;
  const nextAtMs = stock?.held ? stock.next_hold_ends_at_ms : null;
  const next = useTicking(() => {
    if (nextAtMs === null) return "–";
    void heartbeat.value;
    return formatRemaining(nextAtMs - desk.store.serverNow());
  }, [desk, nextAtMs]);
  const rows: [string, string][] = [
    [w("price"), formatMoney(sale.price_minor, sale.currency, lang)],
    [w("next_hold"), next],
    [w("waiting"), formatCount(stock?.waiting ?? 0, lang)],
    [w("limit"), String(sale.limit_per_buyer)],
    [w("hold_time"), span(sale.hold_ms, w)],
    [w("revenue"), formatMoney((stock?.sold ?? 0) * sale.price_minor, sale.currency, lang)],
  ];
  return (
    <dl class="facts num">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function RunningControls({ sale, stock, controls }: { sale: Sale; stock: StockValue | null; controls: Controls }) {
  const desk = useDesk();
  const { may, waiting } = controls;
  const toggle = (tray: "pause" | "add_stock" | "withdraw_stock"): void => {
    desk.tray.value = desk.tray.peek() === tray ? null : tray;
    desk.runner.dismiss(desk.place(sale.sale_id));
  };
  const tray = desk.tray.value;
  if (sale.state === "countdown" && !desk.wasOpen(sale)) return <CountdownControls sale={sale} controls={controls} />;
  return (
    <div class="controls-row">
      {sale.state === "paused" ? (
        <button type="button" class="button button-resume" disabled={!may("resume")} aria-keyshortcuts="Space" data-testid="resume" title={w("resume_hint")} onClick={() => void desk.act(sale, "resume")}>
          <PlayIcon size={17} />
          {w(waiting === "resume" ? "resuming" : "resume")}
        </button>
      ) : (
        sale.state !== "draining" && <button type="button" class="button" disabled={!may("pause")} aria-expanded={tray === "pause"} aria-keyshortcuts="Space" data-testid="pause" onClick={() => toggle("pause")}>
          <PauseIcon size={17} />
          {w(waiting === "pause" ? "pausing" : "pause")}
        </button>
      )}
      <button type="button" class="button" disabled={!may("add_stock")} aria-expanded={tray === "add_stock"} aria-keyshortcuts="+" data-testid="add-stock" onClick={() => toggle("add_stock")}>
        <PlusIcon size={17} />
        {w(waiting === "add_stock" ? "adding" : "add_stock")}
      </button>
      {sale.state === "draining" ? (
        <button type="button" class="button" disabled={!may("reconcile")} data-testid="reconcile" onClick={() => void desk.act(sale, "reconcile")}>
          {w(waiting === "reconcile" ? "reconciling" : "reconcile")}
        </button>
      ) : (
        <button type="button" class="button" disabled={!may("withdraw_stock")} aria-expanded={tray === "withdraw_stock"} data-testid="withdraw" onClick={() => toggle("withdraw_stock")}>
          <MinusIcon size={17} />
          {w(waiting === "withdraw_stock" ? "withdrawing" : "withdraw")}
        </button>
      )}
      {sale.extendable_ms > 0 && sale.state !== "draining" && (
        <button type="button" class="button" disabled={!may("extend")} data-testid="extend" onClick={() => void desk.act(sale, "extend")}>
          {waiting === "extend" ? w("extending") : w("extend", { time: span(sale.extendable_ms, w) })}
        </button>
      )}
      <p class="controls-note">{sale.state === "draining" ? w("draining_hint") : ""}</p>
      {sale.state !== "draining" && (
        <HoldButton
          tone="danger"
          class="danger-slot"
          hint={holdsLine(stock?.held ?? 0)}
          keyHint="Shift+E"
          disabled={!may("end_early")}
          isKeyDown={isEndKeyDown.value}
          keyshortcuts="Shift+E"
          testid="end"
          onFire={() => void desk.act(sale, "end_early", { reason: "host" })}
        >
          {w(waiting === "end_early" ? "ending" : "end_early")}
        </HoldButton>
      )}
    </div>
  );
}

function holdsLine(held: number): string {
  if (held === 0) return w("end_holds_none");
  return held === 1 ? w("end_holds_1") : w("end_holds", { n: held });
}

function CountdownControls({ sale, controls }: { sale: Sale; controls: Controls }) {
  const desk = useDesk();
  const { may, waiting } = controls;
  const left = useTicking(() => {
    void heartbeat.value;
    const leftMs = abortLeftMs(sale, desk.store.serverNow());
    return leftMs > 0 ? formatRemaining(leftMs) : null;
  }, [desk, sale]);
  return (
    <div class="controls-row">
      <p class="controls-note">{left ? w("abort_left", { time: left }) : w("abort_over")}</p>
      <button
        type="button"
        class="button button-danger danger-slot"
        disabled={!may("abort")}
        aria-expanded={desk.tray.value === "abort"}
        data-testid="abort"
        onClick={() => (desk.tray.value = desk.tray.peek() === "abort" ? null : "abort")}
      >
        {w(waiting === "abort" ? "aborting" : "abort")}
      </button>
    </div>
  );
}
