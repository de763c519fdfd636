"""Who works in a room: roles given and taken away, and invitations for those who have no account yet.

An owner may do everything; a host gives and takes the roles below their own. A room that has an owner keeps one.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.errors import Forbidden, NotFound, OutOfState
from live.schema import invite, room, room_role
from live.schema import user as user_table

GIVES: Final[Mapping[str, frozenset[str]]] = {
    "owner": frozenset({"moderator", "analyst", "seller", "host", "owner"}),
    "host": frozenset({"moderator", "analyst", "seller"}),
}
"""Role -> the roles it may give, change and take away."""
SELLS: Final = frozenset({"seller", "host", "owner"})
INVITE_TTL_MS: Final = 7 * 86_400_000
MAX_PEOPLE: Final = 200
MAX_INVITES: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    user_id: str
    email: str
    name: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invite:
    """A link that waits to be used, once, by whoever has it."""

    invite_id: str
    room_id: str
    email: str
    role: str
    created_at_ms: int
    expires_at_ms: int


async def list_people(c: AsyncConnection, room_id: str) -> list[Person]:
    """Everybody with a role in the room, by name."""
    query = (
        select(user_table.c.user_id, user_table.c.email, user_table.c.name, room_role.c.role)
        .join_from(room_role, user_table)
        .where(room_role.c.room_id == room_id)
        .order_by(user_table.c.name, user_table.c.user_id)
        .limit(MAX_PEOPLE)
    )
    return [Person(**row._mapping) for row in await c.execute(query)]


async def list_invites(c: AsyncConnection, room_id: str, now_ms: int) -> list[Invite]:
    """Invitations that can still be used, newest first."""
    query = (
        select(*_SHOWN)
        .where(invite.c.room_id == room_id, invite.c.expires_at_ms > now_ms)
        .order_by(invite.c.created_at_ms.desc(), invite.c.invite_id)
        .limit(MAX_INVITES)
    )
    return [Invite(**row._mapping) for row in await c.execute(query)]


_SHOWN: Final = [column for column in invite.c if column.name != "token_hash"]


async def find(c: AsyncConnection, room_id: str, user_id: str) -> Person:
    """Raises NotFound `unknown_person`."""
    query = (
        select(user_table.c.user_id, user_table.c.email, user_table.c.name, room_role.c.role)
        .join_from(room_role, user_table)
        .where(room_role.c.room_id == room_id, room_role.c.user_id == user_id)
    )
    row = (await c.execute(query)).first()
    if row is None:
        raise NotFound("unknown_person", "Nobody of this id works in this room.")
    return Person(**row._mapping)


async def user_id_of(c: AsyncConnection, email: str) -> str | None:
    """The account with this e-mail address."""
    query = select(user_table.c.user_id).where(user_table.c.email == email.strip().lower())
    found: str | None = (await c.execute(query)).scalar()
    return found


async def add(c: AsyncConnection, actor_role: str | None, room_id: str, user_id: str, role: str) -> Person:
    """Give a role to an account that has none here. Raises Forbidden `role_above_yours`, OutOfState `already_here`."""
    _check(actor_role, role)
    query = select(room_role.c.role).where(room_role.c.room_id == room_id, room_role.c.user_id == user_id)
    if (await c.execute(query)).scalar() is not None:
        raise OutOfState("already_here", "This account works in this room already. Change its role instead.")
    await c.execute(insert(room_role).values(room_id=room_id, user_id=user_id, role=role))
    return await find(c, room_id, user_id)


async def give(c: AsyncConnection, room_id: str, user_id: str, role: str) -> str | None:
    """Give a role in place of the one that was there, which is returned. For the terminal, which nobody stands above.

    Raises OutOfState `last_owner`.
    """
    query = select(room_role.c.role).where(room_role.c.room_id == room_id, room_role.c.user_id == user_id)
    before: str | None = (await c.execute(query)).scalar()
    if before is None:
        await c.execute(insert(room_role).values(room_id=room_id, user_id=user_id, role=role))
    else:
        await change_role(c, "owner", room_id, user_id, role)
    return before


async def change_role(
    c: AsyncConnection, actor_role: str | None, room_id: str, user_id: str, role: str
) -> tuple[Person, Person]:
    """The person before and after. Raises Forbidden `role_above_yours`, OutOfState `last_owner`, NotFound."""
    before = await find(c, room_id, user_id)
    _check(actor_role, before.role, role)
    await _keep_an_owner(c, room_id, before, role)
    await c.execute(
        update(room_role)
        .where(room_role.c.room_id == room_id, room_role.c.user_id == user_id)
        .values(role=role)
    )
    if role not in SELLS:
        await _off_the_desk(c, room_id, user_id)
    return before, await find(c, room_id, user_id)


async def remove(c: AsyncConnection, actor_role: str | None, room_id: str, user_id: str) -> Person:
    """Take the role away; the account stays. Raises Forbidden `role_above_yours`, OutOfState `last_owner`, NotFound."""
    before = await find(c, room_id, user_id)
    _check(actor_role, before.role)
    await _keep_an_owner(c, room_id, before, None)
    await c.execute(delete(room_role).where(room_role.c.room_id == room_id, room_role.c.user_id == user_id))
    await _off_the_desk(c, room_id, user_id)
    return before


def _check(actor_role: str | None, *roles: str) -> None:
    if not set(roles) <= GIVES.get(actor_role or "", frozenset()):
        raise Forbidden("role_above_yours", "Only an owner may give or take the roles of hosts and owners.")


async def _keep_an_owner(c: AsyncConnection, room_id: str, before: Person, role: str | None) -> None:
    if before.role != "owner" or role == "owner":
        return
    # Locked, so that two owners who remove each other at once don't leave the room without one.
    query = select(room_role.c.user_id).where(room_role.c.room_id == room_id, room_role.c.role == "owner")
    owners = list((await c.execute(query.with_for_update())).scalars())
    if owners == [before.user_id]:
        raise OutOfState("last_owner", "A room keeps one owner. Make somebody else owner first.")


async def _off_the_desk(c: AsyncConnection, room_id: str, user_id: str) -> None:
    await c.execute(
        update(room)
        .where(room.c.room_id == room_id, room.c.desk_user_id == user_id)
        .values(
            desk_user_id=None,
            desk_since_ms=None,
            desk_asker_id=None,
            desk_asked_at_ms=None,
            desk_answer=None,
            version=room.c.version + 1,
        )
    )


# -- invitations


async def make_invite(
    c: AsyncConnection,
    actor_role: str | None,
    room_id: str,
    email: str,
    role: str,
    *,
    invite_id: str,
    now_ms: int,
) -> tuple[Invite, str]:
    """The invitation and its token, which is told once. A new one for an address ends the one before.

    Raises Forbidden `role_above_yours`, OutOfState `too_many_invites`.
    """
    _check(actor_role, role)
    address, token = email.strip().lower(), secrets.token_urlsafe(24)
    await c.execute(delete(invite).where(invite.c.room_id == room_id, invite.c.expires_at_ms <= now_ms))
    await c.execute(delete(invite).where(invite.c.room_id == room_id, invite.c.email == address))
    if len(await list_invites(c, room_id, now_ms)) >= MAX_INVITES:
        raise OutOfState("too_many_invites", f"At most {MAX_INVITES} invitations may wait.")
    made = Invite(
        invite_id=invite_id,
        room_id=room_id,
        email=address,
        role=role,
        created_at_ms=now_ms,
        expires_at_ms=now_ms + INVITE_TTL_MS,
    )
    row = {name: getattr(made, name) for name in Invite.__dataclass_fields__}
    await c.execute(insert(invite).values(**row, token_hash=_hash(token)))
    return made, token


async def find_invite(c: AsyncConnection, token: str, now_ms: int) -> Invite:
    """Raises NotFound `invite_over` when it was used, withdrawn or is too old."""
    query = select(*_SHOWN).where(invite.c.token_hash == _hash(token), invite.c.expires_at_ms > now_ms)
    row = (await c.execute(query)).first()
    if row is None:
        raise NotFound("invite_over", "This invitation was used or withdrawn, or its week is over.")
    return Invite(**row._mapping)


async def use_invite(c: AsyncConnection, found: Invite, user_id: str) -> None:
    """Give the role and end the invitation. Raises NotFound `invite_over` when somebody else was faster."""
    gone = await c.execute(delete(invite).where(invite.c.invite_id == found.invite_id))
    if not gone.rowcount:
        raise NotFound("invite_over", "This invitation was used or withdrawn, or its week is over.")
    await c.execute(insert(room_role).values(room_id=found.room_id, user_id=user_id, role=found.role))


async def withdraw_invite(c: AsyncConnection, actor_role: str | None, room_id: str, invite_id: str) -> Invite:
    """Raises NotFound `unknown_invite`, Forbidden `role_above_yours`."""
    query = select(*_SHOWN).where(invite.c.room_id == room_id, invite.c.invite_id == invite_id)
    row = (await c.execute(query)).first()
    if row is None:
        raise NotFound("unknown_invite", "There is no such invitation.")
    found = Invite(**row._mapping)
    _check(actor_role, found.role)
    await c.execute(delete(invite).where(invite.c.invite_id == invite_id))
    return found


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
