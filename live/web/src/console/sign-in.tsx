import { useState } from "preact/hooks";
import { BoltIcon, GlobeIcon } from "../shared/icons";
import { language, setLanguage, shared } from "../shared/words";
import { useConsole } from "./context";
import { ProblemLine } from "./parts";
import { w } from "./words";

export function SignIn() {
  const session = useConsole();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [totp, setTotp] = useState("");
  const [wantsTotp, setWantsTotp] = useState(false);
  const [missing, setMissing] = useState<"email" | "password" | null>(null);
  const showsTotp = wantsTotp || session.needsTotp.value;
  const isWaiting = session.isSigningIn.value;

  const submit = (event: Event): void => {
    event.preventDefault();
    const lacking = !email.trim() ? "email" : !password ? "password" : null;
    setMissing(lacking);
    if (lacking) document.getElementById(`sign-in-${lacking}`)?.focus();
    else void session.signIn(email.trim(), password, totp.trim());
  };

  return (
    <main class="door">
      <form class="door-card" onSubmit={submit} noValidate data-testid="sign-in">
        <div class="door-head">
          <span class="mark">
            <BoltIcon size={20} />
          </span>
          <span class="door-brand">Flashroom</span>
          <LanguageButton />
        </div>
        <h1>{w("sign_in_title")}</h1>
        <p class="door-hint">{w("sign_in_hint")}</p>
        {session.signInProblem.value && <ProblemLine text={session.signInProblem.value} />}
        <label class="field">
          <span>{w("email")}</span>
          <input
            id="sign-in-email"
            class="input"
            name="email"
            type="email"
            autocomplete="username"
            autocapitalize="none"
            spellcheck={false}
            value={email}
            aria-invalid={missing === "email"}
            onInput={(event) => setEmail(event.currentTarget.value)}
          />
          {missing === "email" && <em class="field-problem">{w("email_missing")}</em>}
        </label>
        <label class="field">
          <span>{w("password")}</span>
          <input
            id="sign-in-password"
            class="input"
            name="password"
            type="password"
            autocomplete="current-password"
            value={password}
            aria-invalid={missing === "password"}
            onInput={(event) => setPassword(event.currentTarget.value)}
          />
          {missing === "password" && <em class="field-problem">{w("password_missing")}</em>}
        </label>
        {showsTotp ? (
          <label class="field">
            <span>{w("totp")}</span>
            <input
              class="input num"
              name="totp"
              inputMode="numeric"
              autocomplete="one-time-code"
              maxLength={8}
              placeholder={w("totp_hint")}
              value={totp}
              onInput={(event) => setTotp(event.currentTarget.value)}
            />
          </label>
        ) : (
          <button type="button" class="link" onClick={() => setWantsTotp(true)}>
            {w("totp_have")}
          </button>
        )}
        <button type="submit" class="button button-primary button-wide" disabled={isWaiting} aria-busy={isWaiting}>
          {w(isWaiting ? "signing_in" : "sign_in")}
        </button>
      </form>
    </main>
  );
}

export function LanguageButton() {
  return (
    <button
      type="button"
      class="chip-button"
      aria-label={`${shared.t("language_label")}: ${shared.t("language_other")}`}
      data-testid="language"
      onClick={() => setLanguage(language.value === "zh" ? "en" : "zh")}
    >
      <GlobeIcon size={15} />
      <span lang={language.value === "zh" ? "en" : "zh-CN"}>{shared.t("language_other")}</span>
    </button>
  );
}
