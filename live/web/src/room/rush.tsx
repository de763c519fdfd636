/** The rush of a sale as everybody may see it, with one's own taps as dots, and each tap's receipt. */

import { useEffect, useState } from "preact/hooks";
import { api } from "../shared/api";
import { CheckIcon, WarningIcon } from "../shared/icons";
import type { SaleState } from "../shared/types";
import { proves, type Receipt } from "./receipt";
import { w } from "./words";

interface Rush {
  opened_at_ms: number | null;
  bucket_ms: number;
  last_unit_t_ms: number | null;
  granted: number;
  refused: number;
  buckets: { t_ms: number; granted: number; refused: number; other: number }[];
  mine: { t_ms: number; decision: string; reason: string }[];
  complete: boolean;
}

interface Receipts {
  published: boolean;
  root: string | null;
  attempts: { position: number; decision: string; place: number | null; after_last_unit_ms: number | null; receipt: Receipt | null }[];
}

const REFRESH_MS = 4_000;
const WIDTH = 320;
const HEIGHT = 72;
const MAX_SHOWN_MS = 15_000;
const MIN_SHOWN_MS = 1_000;

/** What the server says of a sale, asked again while it may still change. */
function useAnswer<T extends { complete?: boolean; published?: boolean }>(path: string, state: SaleState): T | null {
  const [answer, setAnswer] = useState<T | null>(null);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isHere = true;
    const ask = async (): Promise<void> => {
      const found = await api.get<T>(path).catch(() => null);
      if (!isHere) return;
      if (found) setAnswer(found);
      if (!found?.complete && !found?.published) timer = setTimeout(() => void ask(), REFRESH_MS);
    };
    void ask();
    return () => {
      isHere = false;
      clearTimeout(timer);
    };
  }, [path, state]);
  return answer;
}

/** What counts as a tap among the log's entries. */
const TAPS: ReadonlySet<string> = new Set(["granted", "refused", "waiting"]);

/** When 95 of 100 taps had come. */
function untilMost(taps: readonly { t_ms: number; granted: number; refused: number }[]): number {
  const all = taps.reduce((sum, one) => sum + one.granted + one.refused, 0);
  let seen = 0;
  for (const one of taps) {
    seen += one.granted + one.refused;
    if (seen >= all * 0.95) return one.t_ms;
  }
  return 0;
}

const seconds = (ms: number): string => (ms / 1000).toFixed(2);

/** "The rush": how many tapped when, who got something, when the last unit went, and where I was. */
export function RushStrip({ saleId, state }: { saleId: string; state: SaleState }) {
  const rush = useAnswer<Rush>(`/api/sales/${encodeURIComponent(saleId)}/rush?bucket_ms=100`, state);
  if (!rush || rush.opened_at_ms === null || rush.granted + rush.refused === 0) return null;
  const taps = rush.buckets.filter((one) => one.granted + one.refused > 0);
  const mineTaps = rush.mine.filter((one) => TAPS.has(one.decision));
  const mine = mineTaps[0];
  // The rush is where nearly everybody was; stragglers would press it into one line. My own dot and the last unit are always inside.
  const shownMs = Math.min(
    MAX_SHOWN_MS,
    Math.max(MIN_SHOWN_MS, untilMost(taps) + rush.bucket_ms, (rush.last_unit_t_ms ?? 0) * 1.1, (mine?.t_ms ?? 0) * 1.05),
  );
  const most = Math.max(1, ...taps.map((one) => one.granted + one.refused));
  const x = (ms: number): number => (Math.min(ms, shownMs) / shownMs) * WIDTH;
  const barWidth = Math.max(1.5, x(rush.bucket_ms) - 0.5);
  const tall = (count: number): number => (count / most) * (HEIGHT - 14);
  return (
    <figure class="rush" data-testid="rush">
      <figcaption>
        <b>{w("rush")}</b> <span>{w("rush_sum", { taps: rush.granted + rush.refused, granted: rush.granted })}</span>
      </figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={w("rush_sum", { taps: rush.granted + rush.refused, granted: rush.granted })}>
        {taps
          .filter((one) => one.t_ms < shownMs)
          .map((one) => (
            <g key={one.t_ms}>
              <rect class="rush-refused" x={x(one.t_ms)} width={barWidth} y={HEIGHT - 12 - tall(one.granted + one.refused)} height={tall(one.refused)} />
              <rect class="rush-granted" x={x(one.t_ms)} width={barWidth} y={HEIGHT - 12 - tall(one.granted)} height={tall(one.granted)} />
            </g>
          ))}
        {rush.last_unit_t_ms !== null && (
          <line class="rush-last" x1={x(rush.last_unit_t_ms)} x2={x(rush.last_unit_t_ms)} y1={0} y2={HEIGHT - 12} />
        )}
        {mineTaps.map((one, index) => (
          <circle key={index} class={`rush-mine ${one.decision === "granted" ? "is-granted" : ""}`} cx={x(one.t_ms)} cy={HEIGHT - 6} r={4} />
        ))}
      </svg>
      {rush.last_unit_t_ms !== null && <p class="fields-hint">{w("rush_last", { s: seconds(rush.last_unit_t_ms) })}</p>}
      {mine && (
        <p class="rush-me">
          {mine.decision === "granted" || rush.last_unit_t_ms === null || mine.t_ms <= rush.last_unit_t_ms
            ? w("rush_me", { s: seconds(mine.t_ms) })
            : w("rush_me_late", { s: seconds(mine.t_ms), late: seconds(mine.t_ms - rush.last_unit_t_ms) })}
        </p>
      )}
    </figure>
  );
}

/** Each entry of mine in the public log, to keep and to check. */
export function ReceiptList({ saleId, state }: { saleId: string; state: SaleState }) {
  const answer = useAnswer<Receipts>(`/api/sales/${encodeURIComponent(saleId)}/receipts`, state);
  if (!answer || (answer.attempts.length === 0 && !answer.published)) return null;
  if (!answer.published) return <p class="fields-hint">{w("receipt_later")}</p>;
  return (
    <ul class="receipts">
      {answer.root && (
        <li class="receipt-root" data-testid="log-root">
          {w("receipt_root")} <span class="mono hash">{answer.root}</span>
        </li>
      )}
      {answer.attempts.map((one) => one.receipt && <ReceiptRow key={one.position} receipt={one.receipt} />)}
      <li>
        <a class="button button-quiet" href={`/api/sales/${encodeURIComponent(saleId)}/log`} download>
          {w("receipt_log")}
        </a>
      </li>
    </ul>
  );
}

function ReceiptRow({ receipt }: { receipt: Receipt }) {
  const [verdict, setVerdict] = useState<"good" | "bad" | "unknown" | null>(null);
  const check = (): void => {
    proves(receipt).then(
      (isGood) => setVerdict(isGood ? "good" : "bad"),
      () => setVerdict("unknown"),
    );
  };
  const file = `data:application/json;charset=utf-8,${encodeURIComponent(JSON.stringify(receipt))}`;
  return (
    <li class="receipt" data-testid="receipt">
      <span class="num">{w("fair_seq", { n: receipt.position })}</span>
      <button type="button" class="button button-quiet" data-testid="verify" onClick={check}>
        {w("receipt_verify")}
      </button>
      <a class="button button-quiet" href={file} download={`receipt-${receipt.sale_id}-${receipt.position}.json`}>
        {w("receipt_keep")}
      </a>
      {verdict && (
        <p class={verdict === "good" ? "fact-good" : "fact-bad"} role="status" data-testid="verdict">
          {verdict === "good" ? <CheckIcon size={16} /> : <WarningIcon size={16} />} {w(`receipt_${verdict}`)}
        </p>
      )}
    </li>
  );
}
