import { api } from "../shared/api";
import { useSession } from "./context";
import { w } from "./words";

/** Who I am here; with an account, a way out of it. */
export function AccountLine() {
  const user = useSession().user.value;
  if (!user) return null;
  async function signOut(): Promise<void> {
    await api.delete("/api/sessions/current");
    location.reload();
  }
  return (
    <p class="account-line" data-testid="account">
      <span>{w("signed_in_as", { name: user.email })}</span>
      <button type="button" class="link" data-testid="sign-out" onClick={() => void signOut()}>
        {w("sign_out")}
      </button>
    </p>
  );
}
