import { useEffect, useState } from "preact/hooks";
import { api, Problem } from "../shared/api";
import { BoltIcon } from "../shared/icons";
import type { Localised, Role } from "../shared/types";
import { localised } from "../shared/words";
import { useConsole } from "./context";
import { explain } from "./explain";
import { ProblemLine } from "./parts";
import { LanguageButton } from "./sign-in";
import { t } from "./people-words";
import { w } from "./words";

const MIN_PASSWORD = 10;
const MAX_NAME = 24;

interface Seen {
  email: string;
  role: Exclude<Role, "viewer">;
  room_id: string;
  room_title: Localised;
}

/** Whoever follows an invitation chooses a name and a password, and is in. */
export function AcceptInvite({ token, onDone }: { token: string; onDone: () => void }) {
  const session = useConsole();
  const [seen, setSeen] = useState<Seen | null>(null);
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [isSending, setSending] = useState(false);
  const fail = (error: unknown): void => {
    if (!(error instanceof Problem)) throw error;
    setProblem(explain(error));
  };
  useEffect(() => void api.post<Seen>("/api/invites/look", { token }).then(setSeen, fail), [token]);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!name.trim() || password.length < MIN_PASSWORD) {
      setProblem(t("invite_fields", { n: MIN_PASSWORD }));
      return;
    }
    setSending(true);
    setProblem(null);
    try {
      await api.post("/api/invites/accept", { token, name: name.trim(), password });
      history.replaceState(null, "", location.pathname);
      onDone();
      await session.start();
    } catch (error) {
      fail(error);
    } finally {
      setSending(false);
    }
  };
  return (
    <main class="door">
      <form class="door-card" onSubmit={(event) => void submit(event)} noValidate data-testid="accept-invite">
        <div class="door-head">
          <span class="mark">
            <BoltIcon size={20} />
          </span>
          <span class="door-brand">Flashroom</span>
          <LanguageButton />
        </div>
        <h1>{seen ? t("invite_title", { room: localised(seen.room_title) }) : t("invite")}</h1>
        {seen && <p class="door-hint">{t("invite_for", { email: seen.email, role: w(`staff_${seen.role}`) })}</p>}
        {problem && <ProblemLine text={problem} />}
        {seen && (
          <>
            <label class="field">
              <span>{t("invite_name")}</span>
              <input class="input" name="name" autocomplete="name" maxLength={MAX_NAME} value={name} onInput={(event) => setName(event.currentTarget.value)} />
            </label>
            <input class="visually-hidden" type="email" autocomplete="username" value={seen.email} readOnly tabIndex={-1} aria-hidden="true" />
            <label class="field">
              <span>{t("invite_password", { n: MIN_PASSWORD })}</span>
              <input class="input" name="password" type="password" autocomplete="new-password" value={password} onInput={(event) => setPassword(event.currentTarget.value)} />
            </label>
            <button type="submit" class="button button-primary button-wide" disabled={isSending} aria-busy={isSending}>
              {t("invite_accept")}
            </button>
          </>
        )}
        <button
          type="button"
          class="link"
          onClick={() => {
            history.replaceState(null, "", location.pathname);
            onDone();
          }}
        >
          {w("sign_in")}
        </button>
      </form>
    </main>
  );
}
