import { heartbeat } from "../shared/clock";
import { BellIcon, HandIcon, PencilIcon, PrompterIcon } from "../shared/icons";
import { formatCount } from "../shared/money";
import { language, localised } from "../shared/words";
import { useDesk, useTicking } from "./context";
import { Menu } from "./menu";
import { mostAsked } from "./requests";
import type { RoomDesk } from "./room-desk";
import { openPrompter, prompterAddress } from "./view";
import { w } from "./words";

/** "12′": a minute of the show. */
export function Minute({ minute }: { minute: number | null }) {
  if (minute === null) return null;
  return (
    <span class="run-minute num" title={w("planned_for", { n: minute })}>
      {minute}′
    </span>
  );
}

/** How late the show is at this item, or early; nothing while nothing can be said. In the list what is on time needs no word. */
export function Lateness({ productId, listed = false }: { productId: string; listed?: boolean }) {
  const by = useLateness(useDesk(), productId);
  if (by === null || (listed && by === 0)) return null;
  return (
    <span class={`late ${by > 0 ? "is-late" : ""}`} data-testid="late" data-by={by}>
      {lateText(by)}
    </span>
  );
}

/** In minutes, for one item or for whichever it is. */
export function useLateness(desk: RoomDesk, productId: string | null): number | null {
  return useTicking(() => {
    void heartbeat.value;
    const late = desk.scripts.late.value;
    return late && (productId === null || late.productId === productId) ? late.by : null;
  }, [desk, productId]);
}

export function lateText(by: number): string {
  return by === 0 ? w("on_time") : w(by > 0 ? "min_late" : "min_early", { n: Math.abs(by) });
}

/** How many ask to see this item. */
export function AskedChip({ productId }: { productId: string }) {
  const { items } = useDesk().store.requests.value;
  const count = items[productId]?.[0] ?? 0;
  if (!count) return null;
  const most = Math.max(...Object.values(items).map(([one]) => one));
  return <Chip word="asked_n" Icon={HandIcon} count={count} isMost={count === most && most > 1} />;
}

/** How many want to be told when this item goes on sale. */
export function RemindersChip({ productId }: { productId: string }) {
  const count = useDesk().numbers.stats.value?.reminders?.[productId];
  return count ? <Chip word="reminders_n" Icon={BellIcon} count={count} /> : null;
}

function Chip({ word, Icon, count, isMost }: { word: "asked_n" | "reminders_n"; Icon: typeof HandIcon; count: number; isMost?: boolean }) {
  const n = formatCount(count, language.value);
  const text = w(word, { n });
  return (
    <span class={`asked num ${isMost ? "is-most" : ""}`} title={text} data-testid={word.slice(0, -2)} data-count={count}>
      <Icon size={13} />
      <span class="visually-hidden">{text}</span>
      <span aria-hidden="true">{n}</span>
    </span>
  );
}

/** All that is asked for, most wanted first. The run itself stays in the host's order. */
export function Requests() {
  const desk = useDesk();
  const requests = desk.store.requests.value;
  const asked = mostAsked(requests, desk.products.value);
  if (!asked.length) return null;
  const total = formatCount(requests.total, language.value);
  return (
    <Menu
      name={w("requests_n", { n: total })}
      align="right"
      class="requests-menu"
      testid="requests"
      label={
        <>
          <HandIcon size={15} />
          <span class="num">{total}</span>
        </>
      }
    >
      {(close) => (
        <div class="menu-group">
          <p class="menu-note">{w("requests_hint")}</p>
          {asked.slice(0, 12).map(({ product, count }) => (
            <button
              key={product.product_id}
              type="button"
              class="menu-item asked-item"
              data-testid="asked-item"
              onClick={() => {
                close();
                desk.select(product.product_id);
              }}
            >
              <span>{localised(product.title)}</span>
              <b class="num">{formatCount(count, language.value)}</b>
            </button>
          ))}
        </div>
      )}
    </Menu>
  );
}

/** What the host says of the item in hand. */
export function ScriptPanel() {
  const desk = useDesk();
  const product = desk.product(desk.productId.value);
  if (!product) return null;
  const { script, minute } = desk.scripts.of(product.product_id);
  const edit = (): void => void (desk.scripts.editing.value = product.product_id);
  return (
    <section class="script" aria-label={`${w("script")}: ${localised(product.title)}`} data-testid="script">
      <header class="script-head">
        <h3>{w("script")}</h3>
        <Minute minute={minute} />
        <Lateness productId={product.product_id} />
        <span class="script-tools">
          {desk.may("sell") && script && (
            <button type="button" class="icon-button" aria-label={w("script_edit")} title={w("script_edit")} data-testid="edit-script" onClick={edit}>
              <PencilIcon size={16} />
            </button>
          )}
          <a
            class="icon-button"
            href={prompterAddress(desk.roomId)}
            aria-label={w("prompter")}
            title={w("prompter_hint")}
            data-testid="open-prompter"
            onClick={(event) => {
              // Another window, if one was asked for by the usual keys; else this one.
              if (event.ctrlKey || event.metaKey || event.shiftKey) return;
              event.preventDefault();
              openPrompter();
            }}
          >
            <PrompterIcon size={18} />
          </a>
        </span>
      </header>
      {script ? (
        <p class="script-text" tabIndex={0} role="region" aria-label={w("script")}>
          {script}
        </p>
      ) : (
        <div class="script-none">
          <p>{w("script_none")}</p>
          {desk.may("sell") && (
            <button type="button" class="button button-small" data-testid="edit-script" onClick={edit}>
              {w("script_write")}
            </button>
          )}
        </div>
      )}
    </section>
  );
}
