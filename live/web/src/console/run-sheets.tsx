import { useRef, useState } from "preact/hooks";
import { minorDigits, parseMoney } from "../shared/money";
import { Sheet } from "../shared/sheet";
import { useDesk } from "./context";
import { FailureLine, ProblemLine } from "./parts";
import { MAX_CSV_CHARACTERS } from "./run";
import { unitsOf } from "./sale-form";
import { t } from "./run-sheets-words";
import { w } from "./words";

const MAX_UNITS = 10_000_000;
const EXAMPLE = 'title,title_zh,variant,price,stock,minute,script\nLinen shirt,亚麻衬衫,S,129.00,10,5,"Hold it up.\n[Link up]"\nLinen shirt,亚麻衬衫,M,129.00,8,,\nGreen tea,绿茶,,59.90,40,12,';

/** One item, added while people watch: a name, a price, how many. */
export function QuickItemSheet() {
  const desk = useDesk();
  const currency = desk.products.value[0]?.currency ?? "CNY";
  const [title, setTitle] = useState("");
  const [titleZh, setTitleZh] = useState("");
  const [price, setPrice] = useState("");
  const [stock, setStock] = useState("");
  const [isBad, setBad] = useState(false);
  const waiting = desk.runner.isBusy("run-item");
  const close = (): void => void (desk.run.sheet.value = null);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const price_minor = parseMoney(price, currency);
    const units = stock.trim() === "0" ? 0 : unitsOf(stock, MAX_UNITS);
    const isRight = title.trim() !== "" && price_minor !== null && price_minor > 0 && units !== null;
    setBad(!isRight);
    if (!isRight) return;
    if (await desk.run.add({ title: title.trim(), price_minor, stock: units, ...(titleZh.trim() ? { title_zh: titleZh.trim() } : {}) })) close();
  };
  return (
    <Sheet title={w("quick_item")} kind="dialog" theme="dark" onClose={close} testid="quick-item" focus="input">
      <form class="sheet-form" onSubmit={(event) => void submit(event)} noValidate>
        <label class="field">
          <span>{t("item_title")}</span>
          <input class="input" name="title" maxLength={80} value={title} onInput={(event) => setTitle(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>{t("item_title_zh")}</span>
          <input class="input" name="title_zh" maxLength={80} value={titleZh} onInput={(event) => setTitleZh(event.currentTarget.value)} />
        </label>
        <div class="sheet-pair">
          <label class="field">
            <span>
              {t("item_price")} ({currency})
            </span>
            <input class="input num" name="price" inputMode={minorDigits(currency) ? "decimal" : "numeric"} value={price} onInput={(event) => setPrice(event.currentTarget.value)} />
          </label>
          <label class="field">
            <span>{t("item_stock")}</span>
            <input class="input num" name="stock" inputMode="numeric" value={stock} onInput={(event) => setStock(event.currentTarget.value)} />
          </label>
        </div>
        {isBad && (
          <em class="field-problem" role="alert">
            {t("item_bad")}
          </em>
        )}
        <FailureLine runner={desk.runner} place="run-item" />
        <button type="submit" class="button button-strong button-wide" disabled={waiting} data-testid="add-item">
          {t(waiting ? "item_adding" : "item_add")}
        </button>
      </form>
    </Sheet>
  );
}

/** Many items from a file. What is wrong is named by row and column, and then nothing is taken. */
export function ImportSheet() {
  const desk = useDesk();
  const file = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const waiting = desk.runner.isBusy("run-import");
  const errors = desk.run.rowErrors.value;
  const tooLong = text.length > MAX_CSV_CHARACTERS;
  const rows = rowsIn(text);
  const close = (): void => {
    desk.run.rowErrors.value = [];
    desk.runner.dismiss("run-import");
    desk.run.sheet.value = null;
  };
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (text.trim() && !tooLong && (await desk.run.importCsv(text)) !== null) close();
  };
  const read = async (chosen: File | undefined): Promise<void> => {
    // A character has at most four bytes: what is longer than that is not even read.
    if (chosen) setText(chosen.size > MAX_CSV_CHARACTERS * 4 ? " ".repeat(MAX_CSV_CHARACTERS + 1) : await chosen.text());
  };
  return (
    <Sheet title={w("import_csv")} kind="dialog" theme="dark" class="sheet-wide" onClose={close} testid="import-sheet" focus="button">
      <form class="sheet-form" onSubmit={(event) => void submit(event)}>
        <p class="sheet-text">
          {t("csv_format")}{" "}
          {desk.products.value.length > 0 && (
            <a class="link" href={desk.path("/products.csv")} download data-testid="export-csv">
              {t("csv_export")}
            </a>
          )}
        </p>
        <div class="csv-choose">
          <button type="button" class="button" onClick={() => file.current?.click()}>
            {t("csv_choose")}
          </button>
          <input ref={file} class="visually-hidden" type="file" accept=".csv,text/csv" tabIndex={-1} aria-label={t("csv_choose")} data-testid="csv-file" onChange={(event) => void read(event.currentTarget.files?.[0])} />
          <span>{t("csv_paste")}</span>
        </div>
        <textarea
          class="input csv-text"
          rows={7}
          spellcheck={false}
          aria-label={t("csv_paste")}
          placeholder={EXAMPLE}
          value={tooLong && !text.trim() ? "" : text}
          data-testid="csv-text"
          onInput={(event) => setText(event.currentTarget.value)}
        />
        {tooLong && <ProblemLine text={t("csv_too_long", { n: MAX_CSV_CHARACTERS })} />}
        <FailureLine runner={desk.runner} place="run-import" />
        {errors.length > 0 && (
          <div class="csv-errors" tabIndex={0} role="region" aria-label={t("csv_wrong")}>
            <table>
              <thead>
                <tr>
                  <th scope="col">{t("csv_row")}</th>
                  <th scope="col">{t("csv_column")}</th>
                  <th scope="col">{t("csv_wrong")}</th>
                </tr>
              </thead>
              <tbody>
                {errors.map((one, index) => (
                  <tr key={index} data-testid="row-error">
                    <td class="num">{one.row}</td>
                    <td>{one.column || "–"}</td>
                    <td lang="en">{one.message}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
        <button type="submit" class="button button-strong button-wide" disabled={waiting || !text.trim() || tooLong} data-testid="import-csv">
          {t(waiting ? "csv_importing" : "csv_import")}
          {!tooLong && rows > 0 && ` · ${t("csv_read", { n: rows })}`}
        </button>
      </form>
    </Sheet>
  );
}

/** Rows below the header; a cell in quotes may hold many lines. */
function rowsIn(text: string): number {
  return text.replace(/"[^"]*"/g, "x").split("\n").filter((line) => line.trim()).length - 1;
}
