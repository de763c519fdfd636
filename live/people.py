"""Who has which role in a room. A room always keeps an owner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import upsert
from commerce.errors import NotFound, OutOfState
from live.schema import room_role, user

MAX_PEOPLE: Final = 200
OWNER: Final = "owner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An account with a role in a room."""

    user_id: str
    email: str
    name: str
    role: str


async def list_for_room(c: AsyncConnection, room_id: str) -> list[Person]:
    """Everybody with a role, by name."""
    columns = (user.c.user_id, user.c.email, user.c.name, room_role.c.role)
    query = select(*columns).join_from(room_role, user, room_role.c.user_id == user.c.user_id)
    query = query.where(room_role.c.room_id == room_id).order_by(user.c.name, user.c.user_id)
    return [Person(**row._mapping) for row in await c.execute(query.limit(MAX_PEOPLE))]


async def find(c: AsyncConnection, email: str) -> str:
    """The account with that e-mail address: its id. Raises NotFound("unknown_account")."""
    query = select(user.c.user_id).where(user.c.email == email.strip().lower())
    found: str | None = (await c.execute(query)).scalar()
    if found is None:
        raise NotFound("unknown_account", "There is no account with this e-mail address.")
    return found


async def role_of(c: AsyncConnection, room_id: str, user_id: str) -> str | None:
    query = select(room_role.c.role).where(room_role.c.room_id == room_id, room_role.c.user_id == user_id)
    return (await c.execute(query)).scalar()


async def give_role(c: AsyncConnection, room_id: str, user_id: str, role: str) -> str | None:
    """Give a role in place of the one that was there, which is returned. Raises OutOfState: last_owner, too_many_people."""
    before = await role_of(c, room_id, user_id)
    if before is None:
        count = select(func.count()).select_from(room_role).where(room_role.c.room_id == room_id)
        if (await c.execute(count)).scalar_one() >= MAX_PEOPLE:
            raise OutOfState("too_many_people", f"A room has at most {MAX_PEOPLE} people with a role.")
    row = upsert.insert_into(c, room_role).values(room_id=room_id, user_id=user_id, role=role)
    await c.execute(row.on_conflict_do_update(index_elements=["room_id", "user_id"], set_={"role": role}))
    if before == OWNER:
        await _require_owner(c, room_id)
    return before


async def take_role(c: AsyncConnection, room_id: str, user_id: str) -> str:
    """Take a role away; which it was. Raises NotFound("no_role"), OutOfState("last_owner")."""
    before = await role_of(c, room_id, user_id)
    if before is None:
        raise NotFound("no_role", "This account has no role in this room.")
    await c.execute(delete(room_role).where(room_role.c.room_id == room_id, room_role.c.user_id == user_id))
    if before == OWNER:
        await _require_owner(c, room_id)
    return before


async def _require_owner(c: AsyncConnection, room_id: str) -> None:
    """Looked at after the change, with the owners' rows locked: two owners who leave at once can't both go."""
    owners = select(room_role.c.user_id).where(room_role.c.room_id == room_id, room_role.c.role == OWNER)
    if (await c.execute(owners.with_for_update())).first() is None:
        raise OutOfState("last_owner", "A room needs an owner: make somebody else one first.")
