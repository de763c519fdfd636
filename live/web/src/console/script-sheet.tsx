import { useState } from "preact/hooks";
import { Sheet } from "../shared/sheet";
import { localised } from "../shared/words";
import { useDesk } from "./context";
import { FailureLine } from "./parts";
import { t } from "./script-words";
import { MAX_CHARACTERS, MAX_MINUTE, PLACE, type Script } from "./scripts";
import { w } from "./words";

/** One item's script. What somebody else saved meanwhile is shown beside what was typed, and neither is lost. */
export function ScriptSheet() {
  const desk = useDesk();
  const productId = desk.scripts.editing.value ?? "";
  const kept = desk.scripts.drafts.get(productId);
  const [base, setBase] = useState<Script>(() => kept ?? desk.scripts.of(productId));
  const [text, setText] = useState(base.script);
  const [minuteText, setMinuteText] = useState(base.minute === null ? "" : String(base.minute));
  const [isOld, setOld] = useState(kept !== undefined);
  const [theirs, setTheirs] = useState<Script | null>(null);
  const [isBad, setBad] = useState(false);
  const waiting = desk.runner.isBusy(PLACE);
  const close = (): void => {
    desk.runner.dismiss(PLACE);
    desk.scripts.editing.value = null;
  };
  const type = (script: string, minute: string): void => {
    setText(script);
    setMinuteText(minute);
    desk.scripts.drafts.set(productId, { ...base, script, minute: minuteOf(minute) ?? null });
  };
  const take = (script: Script): void => {
    desk.scripts.drafts.delete(productId);
    setBase(script);
    setText(script.script);
    setMinuteText(script.minute === null ? "" : String(script.minute));
    setOld(false);
    setTheirs(null);
  };
  const save = async (version: number): Promise<void> => {
    const minute = minuteOf(minuteText);
    setBad(minute === undefined);
    if (minute === undefined) return;
    const saved = await desk.scripts.write({ product_id: productId, script: text, minute, version });
    if (saved.is === "saved") close();
    if (saved.is === "changed") setTheirs(saved.theirs);
  };
  return (
    <Sheet title={`${w("script")} · ${localised(desk.product(productId)?.title)}`} kind="dialog" theme="dark" class="sheet-wide" onClose={close} testid="script-sheet" focus="textarea">
      <form
        class="sheet-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void save(base.version);
        }}
      >
        {isOld && (
          <p class="script-old" role="status">
            {t("draft")}{" "}
            <button type="button" class="link" data-testid="drop-draft" onClick={() => take(desk.scripts.of(productId))}>
              {t("draft_drop")}
            </button>
          </p>
        )}
        <label class="field">
          <span>{t("text")}</span>
          <textarea class="input script-input" name="script" rows={10} maxLength={MAX_CHARACTERS} value={text} aria-describedby="script-hint" onInput={(event) => type(event.currentTarget.value, minuteText)} />
        </label>
        <p class="script-hint" id="script-hint">
          <span>{t("text_hint")}</span>
          <span class="num">{t("count", { n: text.length, most: MAX_CHARACTERS })}</span>
        </p>
        <label class="field script-minute">
          <span>
            {t("minute")} <em>{t("minute_hint")}</em>
          </span>
          <input class="input num" name="minute" inputMode="numeric" maxLength={4} value={minuteText} onInput={(event) => type(text, event.currentTarget.value)} />
        </label>
        {isBad && (
          <em class="field-problem" role="alert">
            {t("minute_bad", { most: MAX_MINUTE })}
          </em>
        )}
        <FailureLine runner={desk.runner} place={PLACE} />
        {theirs ? (
          <section class="script-theirs" role="alert" data-testid="script-theirs">
            <p>{t("changed")}</p>
            <b>
              {t("theirs")}
              {theirs.minute !== null && <span class="num"> · {theirs.minute}′</span>}
            </b>
            <p class="script-text" tabIndex={0} role="region" aria-label={t("theirs")}>
              {theirs.script || t("theirs_empty")}
            </p>
            <div class="sheet-pair">
              <button type="button" class="button" disabled={waiting} data-testid="take-theirs" onClick={() => take(theirs)}>
                {t("take_theirs")}
              </button>
              <button type="button" class="button button-strong" disabled={waiting} data-testid="keep-mine" onClick={() => void save(theirs.version)}>
                {t("keep_mine")}
              </button>
            </div>
          </section>
        ) : (
          <button type="submit" class="button button-strong button-wide" disabled={waiting} data-testid="save-script">
            {t(waiting ? "saving" : "save")}
          </button>
        )}
      </form>
    </Sheet>
  );
}

/** A minute as typed: null for none, undefined for what is none. */
function minuteOf(text: string): number | null | undefined {
  const typed = text.trim();
  if (!typed) return null;
  return /^\d{1,4}$/.test(typed) && Number(typed) <= MAX_MINUTE ? Number(typed) : undefined;
}
