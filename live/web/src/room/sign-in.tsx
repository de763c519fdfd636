import { useState } from "preact/hooks";
import { Problem } from "../shared/api";
import { BoltIcon, UsersIcon } from "../shared/icons";
import { language, localised, setLanguage, shared } from "../shared/words";
import { useSession } from "./context";
import { Picture } from "./picture";
import { explainError } from "./reasons";
import { w } from "./words";

const NAME_KEY = "flashroom.nickname";
const MAX_NAME = 24;

/** The door: a name, remembered, and in. */
export function SignIn() {
  const session = useSession();
  const [name, setName] = useState(() => localStorage.getItem(NAME_KEY) ?? "");
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const room = session.store.room.value;
  const shown = session.products.value.slice(0, 12);

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    const nickname = name.trim();
    if (!nickname || [...nickname].length > MAX_NAME) {
      setProblem(w("nickname_bad"));
      return;
    }
    setBusy(true);
    setProblem(null);
    try {
      await session.signIn(nickname);
      localStorage.setItem(NAME_KEY, nickname);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      setProblem(error.status === 0 ? shared.t("network_error") : error.status === 422 ? w("nickname_bad") : explainError(error.code));
    } finally {
      setBusy(false);
    }
  }

  return (
    <main class="door">
      <div class="door-wall" aria-hidden="true">
        {shown.map((product) => (
          <Picture key={product.product_id} product={product} eager />
        ))}
      </div>
      <form class="door-card" data-theme="light" onSubmit={(event) => void submit(event)}>
        <div class="door-top">
          <span class="door-mark">
            <BoltIcon size={22} />
          </span>
          <button
            type="button"
            class="button button-quiet"
            lang={language.value === "zh" ? "en" : "zh"}
            onClick={() => setLanguage(language.value === "zh" ? "en" : "zh")}
          >
            {shared.t("language_other")}
          </button>
        </div>
        {room && (
          <p class="door-badges">
            <span class={`badge ${room.status === "live" ? "badge-live" : ""}`}>{shared.t(`status_${room.status}`)}</span>
            {room.rehearsal && <span class="badge badge-rehearsal">{shared.t("rehearsal")}</span>}
          </p>
        )}
        <h1 class="door-title">{localised(room?.title) || w("join_title")}</h1>
        {room?.host_name && (
          <p class="door-host">
            <UsersIcon size={18} /> {w("hosted_by", { name: room.host_name })}
          </p>
        )}
        <label class="field">
          <span>{w("nickname")}</span>
          <input
            class="input"
            data-testid="nickname"
            name="nickname"
            value={name}
            maxLength={MAX_NAME * 2}
            autocomplete="nickname"
            autofocus
            aria-invalid={problem ? "true" : undefined}
            aria-describedby="nickname-hint"
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <p class={problem ? "field-problem" : "fields-hint"} id="nickname-hint" role={problem ? "alert" : undefined}>
          {problem ?? w("join_hint")}
        </p>
        <button type="submit" class="button button-primary button-wide door-enter" data-testid="join" disabled={isBusy}>
          {isBusy ? w("joining") : w("join")}
        </button>
      </form>
    </main>
  );
}
