import { GripIcon, PinIcon, PlusIcon, TrashIcon } from "../shared/icons";
import { formatCount, formatMoney } from "../shared/money";
import { Picture } from "../room/picture";
import type { Product, Sale } from "../shared/types";
import { language, localised, shared } from "../shared/words";
import { ConfirmButton } from "./confirm-button";
import { useDesk } from "./context";
import { firstSale, isRunning } from "./desk-state";
import { type Drag, dropLine, useDrag } from "./drag-list";
import { Empty, FailureLine, StatePill } from "./parts";
import { late } from "../shared/late";
import { AskedChip, Lateness, Minute, RemindersChip, Requests, ScriptPanel } from "./script-panel";
import { w } from "./words";

const QuickItemSheet = late(() => import("./run-sheets").then((module) => module.QuickItemSheet));
const ImportSheet = late(() => import("./run-sheets").then((module) => module.ImportSheet));

/** The show's products in order, with what can be said of each at a glance. */
export function RunOfShow() {
  const desk = useDesk();
  const products = desk.products.value;
  const { list, drag, handle } = useDrag((from, to) => {
    const product = products[from];
    if (product) desk.run.move(product.product_id, to);
  });
  return (
    <section class="panel run" aria-label={w("run_of_show")} data-panel="show">
      <header class="panel-head">
        <h2>{w("run_of_show")}</h2>
        <Requests />
        <span class="panel-note num">{w("products_n", { n: products.length })}</span>
      </header>
      <FailureLine runner={desk.runner} place="pin" />
      <FailureLine runner={desk.runner} place="run" />
      {products.length === 0 ? (
        <Empty title={w("run_empty")} hint={w("run_empty_hint")}>
          <button type="button" class="button" onClick={() => (desk.run.sheet.value = "import")}>
            {w("import_csv")}
          </button>
        </Empty>
      ) : (
        <ol class="run-list" ref={list} data-testid="run-list">
          {products.map((product, index) => (
            <Row key={product.product_id} product={product} index={index} drag={drag} handle={handle(index)} />
          ))}
        </ol>
      )}
      {desk.may("sell") && (
        <footer class="run-foot">
          <button type="button" class="button button-small" data-testid="open-quick-item" onClick={() => (desk.run.sheet.value = "item")}>
            <PlusIcon size={15} />
            {w("quick_item")}
          </button>
          <button type="button" class="button button-small button-quiet" data-testid="open-import" onClick={() => (desk.run.sheet.value = "import")}>
            {w("import_csv")}
          </button>
        </footer>
      )}
      <ScriptPanel />
      {desk.run.sheet.value === "item" && <QuickItemSheet />}
      {desk.run.sheet.value === "import" && <ImportSheet />}
    </section>
  );
}

interface RowProps {
  product: Product;
  index: number;
  drag: Drag | null;
  handle: ReturnType<ReturnType<typeof useDrag>["handle"]>;
}

function Row({ product, index, drag, handle }: RowProps) {
  const desk = useDesk();
  const lang = language.value;
  const isChosen = desk.productId.value === product.product_id;
  const isPinned = desk.store.pin.value.product_id === product.product_id;
  const sale = firstSale(desk.salesOf(product.product_id));
  const title = localised(product.title);
  const pinning = desk.runner.waiting("pin");
  return (
    <li
      class={`run-row ${isChosen ? "is-chosen" : ""} ${isPinned ? "is-pinned" : ""} ${drag?.from === index ? "is-dragged" : ""}`}
      data-drop={dropLine(drag, index)}
      data-testid="product"
      data-product={product.product_id}
    >
      {desk.may("sell") && (
        <button
          type="button"
          class="run-grip"
          aria-label={`${w("move")}: ${title}`}
          title={w("move_hint")}
          data-testid="move"
          {...handle}
          onKeyDown={(event) => {
            const by = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" ? 1 : 0;
            if (!by) return;
            event.preventDefault();
            const grip = event.currentTarget;
            desk.run.move(product.product_id, index + by);
            // The row keeps its element; the browser may still have dropped the focus while it moved.
            requestAnimationFrame(() => grip.focus());
          }}
        >
          <GripIcon size={16} />
        </button>
      )}
      <button
        type="button"
        class="run-choose"
        aria-pressed={isChosen}
        aria-keyshortcuts={index < 9 ? String(index + 1) : undefined}
        onClick={() => {
          desk.select(product.product_id);
          if (desk.tab.peek() === "show") desk.tab.value = "desk";
        }}
      >
        <span class="run-key num" aria-hidden="true">
          {index < 9 ? index + 1 : ""}
        </span>
        <Picture product={product} class="run-picture" />
        <span class="run-text">
          <b class="run-title">{title}</b>
          <span class="run-facts num">
            <Minute minute={desk.scripts.of(product.product_id).minute} />
            {facts(product, lang)}
          </span>
          <span class="run-sale">
            <SaleLine sale={sale} isPinned={isPinned} />
            <AskedChip productId={product.product_id} />
            <RemindersChip productId={product.product_id} />
            <Lateness productId={product.product_id} listed />
          </span>
        </span>
      </button>
      {desk.may("sell") && (
        <button
          type="button"
          class="run-pin"
          aria-pressed={isPinned}
          aria-label={`${w(isPinned ? "unpin" : "pin")}: ${title}`}
          title={`${w(isPinned ? "unpin" : "pin")} (${isPinned ? "U" : `Shift+${index + 1}`})`}
          disabled={pinning !== null}
          data-testid="pin"
          onClick={() => void desk.pin(isPinned ? null : product.product_id)}
        >
          <PinIcon size={17} />
        </button>
      )}
      {desk.may("sell") && isChosen && !isPinned && !(sale && (isRunning(sale.state) || sale.state === "armed")) && (
        <ConfirmButton class="run-pin run-out" label={`${w("take_out")}: ${title}`} sure={w("take_out_sure")} testid="take-out" onConfirm={() => void desk.run.remove(product.product_id)}>
          <TrashIcon size={16} />
        </ConfirmButton>
      )}
    </li>
  );
}

function facts(product: Product, lang: "en" | "zh"): string {
  const prices = product.variants.map((variant) => variant.price_minor);
  const lowest = Math.min(...prices);
  const price = formatMoney(lowest, product.currency, lang);
  const stock = product.variants.reduce((sum, variant) => sum + variant.stock, 0);
  const parts = [Math.max(...prices) > lowest ? w("from_price", { price }) : price];
  parts.push(w("in_stock", { n: formatCount(stock, lang) }));
  return parts.join(" · ");
}

function SaleLine({ sale, isPinned }: { sale: Sale | null; isPinned: boolean }) {
  const desk = useDesk();
  const stock = sale && desk.stock(sale.sale_id);
  if (!sale && !isPinned) return null;
  return (
    <>
      {isPinned && !sale && (
        <span class="badge badge-pinned">
          <PinIcon size={11} />
          {w("pinned")}
        </span>
      )}
      {sale && <StatePill state={sale.state} />}
      {stock && sale && sale.state !== "draft" && sale.state !== "ready" && (
        <span class="run-left num" title={shared.t("stock_sentence", { available: stock.available, held: stock.held, sold: stock.sold, quota: stock.quota })}>
          {stock.available}/{stock.held}/{stock.sold}
        </span>
      )}
    </>
  );
}
