import { useEffect, useState } from "preact/hooks";
import { formatDateTime } from "../shared/clock";
import { CloseIcon, TrashIcon } from "../shared/icons";
import { language } from "../shared/words";
import { ConfirmButton } from "./confirm-button";
import { useConsole, useDesk } from "./context";
import { FailureLine, ProblemLine } from "./parts";
import { givenBy, type Invite, type Person, PLACE, type StaffRole } from "./people";
import { t } from "./people-words";
import { SecondPersonForm } from "./second-person-form";
import { w } from "./words";

/** Who is here comes and goes. */
const AGAIN_MS = 10_000;

/** Who works here and as what; invitations that wait. */
export function PeoplePanel() {
  const desk = useDesk();
  const { people } = desk;
  useEffect(() => {
    void people.read();
    const timer = setInterval(() => void people.read(), AGAIN_MS);
    return () => clearInterval(timer);
  }, [people]);
  const list = people.people.value;
  return (
    <div class="people" data-testid="people">
      <AddPerson />
      {people.problem.value && <ProblemLine text={people.problem.value} />}
      <FailureLine runner={desk.runner} place={PLACE} />
      <NewLink />
      {list === null ? (
        !people.problem.value && (
          <p class="panel-wait" aria-busy="true">
            {w("loading_more")}
          </p>
        )
      ) : (
        <ul>
          {list.map((person) => (
            <PersonRow key={person.user_id} person={person} />
          ))}
        </ul>
      )}
      {people.invites.value.length > 0 && (
        <>
          <h3 class="small-head people-head">{t("invites")}</h3>
          <ul>
            {people.invites.value.map((invite) => (
              <InviteRow key={invite.invite_id} invite={invite} />
            ))}
          </ul>
        </>
      )}
      <SecondPersonForm />
    </div>
  );
}

function AddPerson() {
  const desk = useDesk();
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<StaffRole>("moderator");
  const waiting = desk.runner.isBusy(PLACE);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (email.includes("@") && (await desk.people.add(email.trim(), role))) setEmail("");
  };
  return (
    <form class="people-add" onSubmit={(event) => void submit(event)}>
      <input
        class="input"
        type="email"
        name="person-email"
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        placeholder={t("person_email")}
        aria-label={t("person_email")}
        value={email}
        onInput={(event) => setEmail(event.currentTarget.value)}
      />
      <RoleSelect label={t("person_role")} value={role} onChange={setRole} disabled={waiting} testid="new-role" />
      <button type="submit" class="button" disabled={waiting || !email.includes("@")} data-testid="add-person">
        {t("person_add")}
      </button>
    </form>
  );
}

interface RoleSelectProps {
  label: string;
  value: StaffRole;
  onChange: (role: StaffRole) => void;
  disabled: boolean;
  testid: string;
}

function RoleSelect({ label, value, onChange, disabled, testid }: RoleSelectProps) {
  const desk = useDesk();
  const given = givenBy(desk.role);
  return (
    <select class="select" aria-label={label} disabled={disabled || !given.includes(value)} value={value} data-testid={testid} onChange={(event) => onChange(event.currentTarget.value as StaffRole)}>
      {(given.includes(value) ? given : [value]).map((role) => (
        <option key={role} value={role}>
          {w(`staff_${role}`)}
        </option>
      ))}
    </select>
  );
}

function PersonRow({ person }: { person: Person }) {
  const desk = useDesk();
  const session = useConsole();
  const waiting = desk.runner.isBusy(PLACE);
  const isAtDesk = desk.hold.holder.value?.user_id === person.user_id;
  const isHere = desk.people.here.value.includes(person.user_id);
  const isMe = session.user.value?.user_id === person.user_id;
  return (
    <li class="person" data-testid="person" data-role={person.role} data-here={isHere ? "yes" : "no"}>
      <span class="person-text">
        <b>
          {person.name} {isMe && <span class="badge">{t("person_me")}</span>} {isAtDesk && <span class="badge badge-good">{t("person_at_desk")}</span>}{" "}
          {isHere && !isMe && <span class="badge badge-good">{t("person_here")}</span>}
        </b>
        <span>{person.email}</span>
      </span>
      <RoleSelect label={`${t("person_role")}: ${person.name}`} value={person.role} disabled={waiting} testid="role" onChange={(role) => void desk.people.setRole(person, role)} />
      <ConfirmButton
        class="person-out"
        label={`${t("person_remove")}: ${person.name}`}
        sure={w("take_out_sure")}
        disabled={waiting || isMe || !givenBy(desk.role).includes(person.role)}
        testid="remove-person"
        onConfirm={() => void desk.people.remove(person)}
      >
        <TrashIcon size={16} />
      </ConfirmButton>
    </li>
  );
}

function InviteRow({ invite }: { invite: Invite }) {
  const desk = useDesk();
  return (
    <li class="person" data-testid="invite">
      <span class="person-text">
        <b>{invite.email}</b>
        <span>{t("invite_until", { role: w(`staff_${invite.role}`), time: formatDateTime(invite.expires_at_ms, language.value) })}</span>
      </span>
      <ConfirmButton class="person-out" label={`${t("invite_withdraw")}: ${invite.email}`} sure={w("take_out_sure")} disabled={desk.runner.isBusy(PLACE)} testid="withdraw" onConfirm={() => void desk.people.withdraw(invite)}>
        <CloseIcon size={16} />
      </ConfirmButton>
    </li>
  );
}

function NewLink() {
  const desk = useDesk();
  const link = desk.people.link.value;
  const [isCopied, setCopied] = useState(false);
  useEffect(() => setCopied(false), [link?.url]);
  if (!link) return null;
  return (
    <div class="invite-link" role="status" data-testid="invite-link">
      <p>{t("invite_made", { email: link.email })}</p>
      <code>{link.url}</code>
      <button type="button" class="button" onClick={() => void navigator.clipboard?.writeText(link.url).then(() => setCopied(true))}>
        {t(isCopied ? "invite_copied" : "invite_copy")}
      </button>
    </div>
  );
}
