/** Who works in this room, as its hosts and owners see and change it. */

import { signal } from "@preact/signals";
import { api, Problem } from "../shared/api";
import type { Role } from "../shared/types";
import { explain } from "./explain";
import type { ActionRunner } from "./runner";

export type StaffRole = Exclude<Role, "viewer">;
export const STAFF_ROLES: readonly StaffRole[] = ["moderator", "analyst", "seller", "host", "owner"];
const BELOW_HOST: readonly StaffRole[] = ["moderator", "analyst", "seller"];

export interface Person {
  user_id: string;
  email: string;
  name: string;
  role: StaffRole;
}

export interface Invite {
  invite_id: string;
  email: string;
  role: StaffRole;
  expires_at_ms: number;
}

interface Added {
  person: Person | null;
  invite: Invite | null;
  link: string | null;
}

export const PLACE = "people";

/** The roles that one of this role gives and takes; the server judges. */
export function givenBy(role: Role | null): readonly StaffRole[] {
  return role === "owner" ? STAFF_ROLES : role === "host" ? BELOW_HOST : [];
}

export class People {
  readonly people = signal<readonly Person[] | null>(null);
  readonly invites = signal<readonly Invite[]>([]);
  /** Whose consoles are open. */
  readonly here = signal<readonly string[]>([]);
  readonly problem = signal<string | null>(null);
  /** The link of the invitation just made; it is told once. */
  readonly link = signal<{ email: string; url: string } | null>(null);

  constructor(
    private readonly path: (rest: string) => string,
    private readonly runner: ActionRunner,
  ) {}

  async read(): Promise<void> {
    try {
      const answer = await api.get<{ people: Person[]; invites: Invite[]; here: string[] | null }>(this.path("/people"));
      this.people.value = answer.people;
      this.invites.value = answer.invites;
      this.here.value = answer.here ?? [];
      this.problem.value = null;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problem.value = explain(error);
    }
  }

  async add(email: string, role: StaffRole): Promise<boolean> {
    this.link.value = null;
    const sent = await this.runner.send<Added>(PLACE, "add", "post", this.path("/people"), { email, role });
    if (sent.ok && sent.answer.link) this.link.value = { email, url: `${location.origin}${sent.answer.link}` };
    await this.read();
    return sent.ok;
  }

  async setRole(person: Person, role: StaffRole): Promise<void> {
    await this.runner.send(PLACE, "role", "put", this.path(`/people/${encodeURIComponent(person.user_id)}`), { role });
    await this.read();
  }

  async remove(person: Person): Promise<void> {
    await this.runner.send(PLACE, "remove", "delete", this.path(`/people/${encodeURIComponent(person.user_id)}`));
    await this.read();
  }

  async withdraw(invite: Invite): Promise<void> {
    await this.runner.send(PLACE, "withdraw", "delete", this.path(`/invites/${encodeURIComponent(invite.invite_id)}`));
    if (this.link.peek()?.email === invite.email) this.link.value = null;
    await this.read();
  }
}
