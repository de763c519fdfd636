import { useState } from "preact/hooks";
import { Problem, api } from "../shared/api";
import { formatDateTime } from "../shared/clock";
import { BoltIcon, ClockIcon, UsersIcon } from "../shared/icons";
import { language, localised, setLanguage, shared } from "../shared/words";
import { useSession } from "./context";
import { Picture } from "./picture";
import { explainError } from "./reasons";
import { type RoomWord, w } from "./words";

const NAME_KEY = "flashroom.nickname";
const MAX_NAME = 24;
const MIN_PASSWORD = 10;

/** A name is enough to come in; an account is one buyer on all its devices. */
type Way = "guest" | "sign_in" | "new_account";

interface Filled {
  name: string;
  email: string;
  password: string;
  totp: string;
}

/** What is wrong before anybody is asked; null when nothing is. */
export function problemOf(way: Way, filled: Filled): RoomWord | null {
  const name = filled.name.trim();
  if (way !== "sign_in" && (!name || [...name].length > MAX_NAME)) return "nickname_bad";
  if (way === "guest") return null;
  if (!/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(filled.email.trim())) return "email_bad";
  if (way === "new_account" && filled.password.length < MIN_PASSWORD) return "password_short";
  return filled.password ? null : "password_missing";
}

/** The door: a name, remembered, and in. */
export function SignIn() {
  const session = useSession();
  const [way, setWay] = useState<Way>("guest");
  const [filled, setFilled] = useState<Filled>(() => ({
    name: localStorage.getItem(NAME_KEY) ?? "",
    email: "",
    password: "",
    totp: "",
  }));
  const [needsTotp, setNeedsTotp] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const room = session.store.room.value;
  const shown = session.products.value.slice(0, 12);
  const fill = (field: keyof Filled) => (event: Event) =>
    setFilled({ ...filled, [field]: (event.currentTarget as HTMLInputElement).value });

  async function enter(): Promise<void> {
    const name = filled.name.trim();
    const email = filled.email.trim();
    if (way === "guest") {
      await session.signIn(name);
      localStorage.setItem(NAME_KEY, name);
      return;
    }
    if (way === "new_account") await api.post("/api/accounts", { email, name, password: filled.password });
    else await api.post("/api/sessions", { email, password: filled.password, ...(filled.totp ? { totp: filled.totp.trim() } : {}) });
    session.enterWithAccount();
  }

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    const wrong = problemOf(way, filled);
    if (wrong) {
      setProblem(w(wrong));
      return;
    }
    setBusy(true);
    setProblem(null);
    try {
      await enter();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.code === "totp_required") setNeedsTotp(true);
      setProblem(explained(error, way));
    } finally {
      setBusy(false);
    }
  }

  function choose(next: Way): void {
    setWay(next);
    setProblem(null);
  }

  return (
    <main class="door">
      <div class="door-wall" aria-hidden="true">
        {shown.map((product) => (
          <Picture key={product.product_id} product={product} eager />
        ))}
      </div>
      <form class="door-card" data-theme="light" noValidate onSubmit={(event) => void submit(event)}>
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
        {room?.status === "preshow" && room.starts_at_ms !== null && (
          <p class="door-host">
            <ClockIcon size={18} /> {w("starts_at", { time: formatDateTime(room.starts_at_ms, language.value) })}
          </p>
        )}
        {way !== "sign_in" && (
          <label class="field">
            <span>{w("nickname")}</span>
            <input
              class="input"
              data-testid="nickname"
              name="nickname"
              value={filled.name}
              maxLength={MAX_NAME * 2}
              autocomplete="nickname"
              autofocus
              aria-invalid={problem ? "true" : undefined}
              aria-describedby="nickname-hint"
              onInput={fill("name")}
            />
          </label>
        )}
        {way !== "guest" && (
          <>
            <label class="field">
              <span>{w("email")}</span>
              <input
                class="input"
                data-testid="email"
                name="email"
                type="email"
                autocomplete="username"
                autocapitalize="none"
                spellcheck={false}
                value={filled.email}
                onInput={fill("email")}
              />
            </label>
            <label class="field">
              <span>{w("password")}</span>
              <input
                class="input"
                data-testid="password"
                name="password"
                type="password"
                autocomplete={way === "sign_in" ? "current-password" : "new-password"}
                value={filled.password}
                onInput={fill("password")}
              />
            </label>
            {needsTotp && way === "sign_in" && (
              <label class="field">
                <span>{w("totp")}</span>
                <input class="input num" name="totp" inputMode="numeric" autocomplete="one-time-code" value={filled.totp} onInput={fill("totp")} />
              </label>
            )}
          </>
        )}
        <p class={problem ? "field-problem" : "fields-hint"} id="nickname-hint" role={problem ? "alert" : undefined}>
          {problem ?? w(way === "guest" ? "join_hint" : "account_hint")}
        </p>
        <button type="submit" class="button button-primary button-wide door-enter" data-testid="join" disabled={isBusy}>
          {isBusy ? w("joining") : w(way === "guest" ? "join" : way === "sign_in" ? "sign_in" : "new_account")}
        </button>
        <p class="door-ways">
          {(["guest", "sign_in", "new_account"] as const)
            .filter((one) => one !== way)
            .map((one) => (
              <button key={one} type="button" class="link" data-testid={`way-${one}`} onClick={() => choose(one)}>
                {w(`way_${one}`)}
              </button>
            ))}
        </p>
      </form>
    </main>
  );
}

function explained(error: Problem, way: Way): string {
  if (error.status === 0) return shared.t("network_error");
  if (error.code === "email_taken") return w("email_taken");
  if (error.code === "totp_required") return w("totp_wanted");
  if (error.code === "wrong_credentials") return w("wrong_credentials");
  if (error.status === 422) return w(way === "guest" ? "nickname_bad" : "account_bad");
  return explainError(error.code, Number(error.facts["retry_after_ms"] ?? 0));
}
