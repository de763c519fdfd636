"""`flashroom account add|list`, `role give|take` and `room add`: who may do what where, from the machine's own terminal.

The first owner of a room is made here; everybody else can be given a role in the console.
"""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.clock import wall_clock_ms
from commerce.database import Database, create_database
from commerce.errors import CommerceError, NotFound
from live import audit, identity, people, rooms
from live.identity import Caller, User
from live.schema import user
from live.settings import Settings
from live.wiring import new_id

MIN_PASSWORD: Final = 10
MAX_LISTED: Final = 500
TERMINAL: Final = Caller(guest=None, user=User("terminal", "", "terminal", {}), address="", source="command")


def add_account(settings: Settings, email: str, name: str) -> int:
    """Make an account; the password is asked for twice, or is one line of standard input when that is no terminal."""
    password = _ask_password()
    if password is None or len(password) < MIN_PASSWORD or "@" not in email or not name.strip():
        print(
            f"flashroom account: it needs an e-mail address, a name, and twice the same password of at least {MIN_PASSWORD} characters",
            file=sys.stderr,
        )
        return 1

    async def work(database: Database) -> None:
        user_id, hashed = new_id("us"), identity.hash_password(password)
        async with database.begin() as c:
            await identity.add_user(
                c,
                user_id=user_id,
                email=email,
                name=name.strip(),
                password_hash=hashed,
                now_ms=wall_clock_ms(),
            )
        print(f"{user_id} {email.strip().lower()}")

    return _run(settings, work)


def _ask_password() -> str | None:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass.getpass("password: ")
    return first if getpass.getpass("once more: ") == first else None


def list_accounts(settings: Settings) -> int:
    """The newest 500 accounts with their roles."""

    async def work(database: Database) -> None:
        async with database.read() as c:
            newest = select(user.c.user_id).order_by(user.c.created_at_ms.desc()).limit(MAX_LISTED)
            for user_id in list((await c.execute(newest)).scalars()):
                found = await identity.get_user(c, user_id)
                assert found is not None
                roles = ", ".join(f"{role} of {room}" for room, role in sorted(found.roles.items()))
                print(f"{user_id} {found.email} {found.name!r}: {roles or 'no role'}")

    return _run(settings, work)


def give_role(settings: Settings, room_id: str, email: str, role: str) -> int:
    """Give an account a role in a room, in place of the one it had."""

    async def work(database: Database) -> None:
        async with database.begin() as c:
            await rooms.get(c, room_id)
            user_id = await _account(c, email)
            before = await people.give(c, room_id, user_id, role)
            await _note(c, room_id, "person_role", user_id, before, role)
        print(f"{email} is {role} of {room_id}")

    return _run(settings, work)


def take_role(settings: Settings, room_id: str, email: str) -> int:
    """Take an account's role in a room away."""

    async def work(database: Database) -> None:
        async with database.begin() as c:
            removed = await people.remove(c, "owner", room_id, await _account(c, email))
            await _note(c, room_id, "person_remove", removed.user_id, removed.role, None)
        print(f"{email} has no role in {room_id} any more")

    return _run(settings, work)


def add_room(settings: Settings, title: str, email: str) -> int:
    """Open a room whose owner is that account."""

    async def work(database: Database) -> None:
        room_id = new_id("rm")
        async with database.begin() as c:
            user_id = await _account(c, email)
            owner = await identity.get_user(c, user_id)
            assert owner is not None
            await rooms.create(
                c,
                room_id=room_id,
                title={"en": title},
                host_name=owner.name,
                rehearsal=False,
                product_ids=(),
                now_ms=wall_clock_ms(),
            )
            await people.give(c, room_id, user_id, "owner")
            await _note(c, room_id, "person_role", user_id, None, "owner")
        print(f"{room_id}: {settings.web_url}/console?room={room_id}")

    return _run(settings, work)


async def _account(c: AsyncConnection, email: str) -> str:
    user_id = await people.user_id_of(c, email)
    if user_id is None:
        raise NotFound("unknown_account", f"there is no account with the address {email}")
    return user_id


async def _note(
    c: AsyncConnection, room_id: str, action: str, user_id: str, before: str | None, after: str | None
) -> None:
    await audit.record(
        c,
        TERMINAL,
        room_id,
        action,
        user_id,
        at_ms=wall_clock_ms(),
        call_id=new_id("cl"),
        before=before,
        after=after,
    )


def _run(settings: Settings, work: Callable[[Database], Awaitable[None]]) -> int:
    async def run() -> int:
        async with aclosing(create_database(settings.database_url)) as database:
            try:
                await work(database)
            except CommerceError as error:
                print(f"flashroom: {error} ({error.code})", file=sys.stderr)
                return 1
        return 0

    return asyncio.run(run())
