"""The sample show: catalogue, a room on air in rehearsal, a host and a moderator. Put in once; a second time changes nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import catalogue
from commerce.database import Database
from live import identity, people, rooms, scripts
from live.catalogue_sample import PRODUCTS
from live.schema import user as user_table
from live.scripts_sample import SCRIPTS

log = logging.getLogger("flashroom.seed")

ROOM_ID: Final = "rm_demo"
ROOM_TITLE: Final = {"en": "Evening finds: skin, tea and desk", "zh": "今晚好物：护肤·茶·桌面"}
HOST_NAME: Final = "Ana 安娜"
PINNED: Final = "pr_serum"
PASSWORD_FILE: Final = "demo-host.txt"
MODERATOR_FILE: Final = "demo-moderator.txt"


@dataclass(frozen=True, slots=True)
class Account:
    """A sample account: who it is, its role in the sample room, and the file that its password is written to."""

    user_id: str
    email: str
    name: str
    role: str
    file: str


ACCOUNTS: Final = (
    Account("us_demo_host", "host@flashroom.local", HOST_NAME, "owner", PASSWORD_FILE),
    Account("us_demo_moderator", "moderator@flashroom.local", "Mo 小莫", "moderator", MODERATOR_FILE),
)


async def seed(database: Database, data_dir: Path, now_ms: int) -> bool:
    """Put in whatever of the sample show is missing; True when the room is new.

    Changes that a host made since (prices stay the sample's, stock and pins are theirs) are left alone.
    """
    async with database.read() as c:
        is_new = not any(room.room_id == ROOM_ID for room in await rooms.list_all(c))
    async with database.begin() as c:
        for product in PRODUCTS:
            await catalogue.put_product(c, product)
        await rooms.create(
            c,
            room_id=ROOM_ID,
            title=ROOM_TITLE,
            host_name=HOST_NAME,
            rehearsal=True,
            product_ids=[product.product_id for product in PRODUCTS],
            now_ms=now_ms,
        )
        if is_new:
            await rooms.set_status(c, ROOM_ID, "live", now_ms)
            await rooms.pin(c, ROOM_ID, PINNED, now_ms)
            await scripts.put(c, ROOM_ID, SCRIPTS)
    for account in ACCOUNTS:
        await _seed_account(database, data_dir / account.file, account, now_ms)
    return is_new


async def _seed_account(database: Database, file: Path, account: Account, now_ms: int) -> None:
    """The account, with a password that its file tells. A lost file means a new password: nobody can sign in with the old one."""
    async with database.read() as c:
        known = await _exists(c, account.user_id)
    if known and read_sign_in(file) is not None:
        return
    password = secrets.token_urlsafe(12)
    password_hash = await asyncio.to_thread(identity.hash_password, password)
    # The file first: a crash in between leaves a password that fails and is replaced on the next start.
    _write_private(file, f"email: {account.email}\npassword: {password}\n")
    async with database.begin() as c:
        if await _exists(c, account.user_id):
            await c.execute(
                update(user_table)
                .where(user_table.c.user_id == account.user_id)
                .values(password_hash=password_hash)
            )
        else:
            await identity.add_user(
                c,
                user_id=account.user_id,
                email=account.email,
                name=account.name,
                password_hash=password_hash,
                now_ms=now_ms,
            )
            await people.give(c, ROOM_ID, account.user_id, account.role)
    log.info("%s may sign in; the password is in %s", account.email, file)


async def _exists(c: AsyncConnection, user_id: str) -> bool:
    query = select(user_table.c.user_id).where(user_table.c.user_id == user_id)
    return (await c.execute(query)).first() is not None


def read_sign_in(file: Path) -> tuple[str, str] | None:
    """(e-mail, password) from a file that `seed` wrote, or None when it isn't there or is damaged."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    email, password = fields.get("email"), fields.get("password")
    return (email, password) if email and password else None


def _write_private(file: Path, text: str) -> None:
    """Readable by its owner alone from its first byte on."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(f".{os.getpid()}.new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    fresh.replace(file)
