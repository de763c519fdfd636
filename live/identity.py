"""Who is calling: guests carry a signed cookie and no row, hosts sign in with a password (argon2id) and have a session that can be ended.

Sessions are random tokens stored as SHA-256. Time-based codes follow RFC 6238 through pyotp.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, get_args

import jwt
import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.errors import OutOfState
from live.schema import room_role, session, user

GUEST_AUDIENCE: Final = "guest"
GUEST_TTL_MS: Final = 30 * 86_400_000
SESSION_TTL_MS: Final = 14 * 86_400_000
MAX_NAME_CHARACTERS: Final = 24
STAFF: Final = frozenset({"moderator", "analyst", "seller", "host", "owner"})

TOTP_GOOD_FOR_MS: Final = 120_000
"""Longer than a code is accepted: its own half minute and the two beside it."""
MAX_SESSIONS: Final = 50

_hasher = PasswordHasher()
_hashing = ThreadPoolExecutor(2, thread_name_prefix="argon2")


@dataclass(frozen=True, slots=True)
class Guest:
    """A viewer with a nickname. `ghost` marks the simulated audience, which is never counted as people."""

    viewer_id: str
    name: str
    ghost: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with an account; `roles` is room id -> role."""

    user_id: str
    email: str
    name: str
    roles: Mapping[str, str]


Source = Literal["key", "mouse", "touch", "command", "api"]
"""How a thing was done: a key or a pointer at the console, a command (the console's `/` line, a terminal), or a call of a program."""
SOURCES: Final[tuple[Source, ...]] = get_args(Source)


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request: a guest, a user, both, or nobody. `source`: how they did it; None when nothing says so."""

    guest: Guest | None
    user: User | None
    address: str
    source: Source | None = None

    @property
    def buyer_id(self) -> str | None:
        """Whose orders and holds are meant: an account is one buyer on all its devices."""
        if self.user is not None:
            return self.user.user_id
        return self.guest.viewer_id if self.guest is not None else None

    @property
    def name(self) -> str:
        if self.user is not None:
            return self.user.name
        return self.guest.name if self.guest is not None else ""

    @property
    def ghost(self) -> bool:
        return self.user is None and self.guest is not None and self.guest.ghost

    @property
    def principal(self) -> str:
        """What limits and idempotency keys belong to."""
        return self.buyer_id or f"address:{self.address}"

    def role_in(self, room_id: str) -> str | None:
        """The role in a room; "viewer" for anybody who has at least a nickname, None for nobody."""
        if self.user is not None:
            return self.user.roles.get(room_id, "viewer")
        return "viewer" if self.guest is not None else None


def sign_guest(key: bytes, guest: Guest, now_ms: int) -> str:
    """The guest's cookie: a JWT (RFC 7519, HS256), good for 30 days."""
    claims = {
        "aud": GUEST_AUDIENCE,
        "sub": guest.viewer_id,
        "name": guest.name,
        "ghost": guest.ghost,
        "exp_ms": now_ms + GUEST_TTL_MS,
    }
    return jwt.encode(claims, key, algorithm="HS256")


def verify_guest(key: bytes, cookie: str, now_ms: int) -> Guest | None:
    """The guest behind a cookie; None when it is forged, old or not a guest's."""
    try:
        claims = jwt.decode(cookie, key, algorithms=["HS256"], audience=GUEST_AUDIENCE)
        guest = Guest(str(claims["sub"]), str(claims["name"]), bool(claims["ghost"]))
        return guest if now_ms < int(claims["exp_ms"]) else None
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        return None


@lru_cache(maxsize=1)
def _unknown_user_hash() -> str:
    return _hasher.hash(secrets.token_hex(16))


def hash_password(password: str) -> str:
    """argon2id with the library's current parameters. Takes tens of milliseconds: call it in a thread."""
    return _hasher.hash(password)


def password_matches(password_hash: str | None, password: str) -> bool:
    """Whether it is the password; an unknown account (None) takes as long as a wrong password. It blocks: see `check_password`."""
    try:
        matches = _hasher.verify(password_hash or _unknown_user_hash(), password)
    except VerificationError:
        return False
    return matches and password_hash is not None


async def hash_password_apart(password: str) -> str:
    """`hash_password` without blocking the loop."""
    return await asyncio.get_running_loop().run_in_executor(_hashing, hash_password, password)


async def check_password(password_hash: str | None, password: str) -> bool:
    """`password_matches` without blocking the loop, two at a time in a process: each takes 64 MiB and a core."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_hashing, password_matches, password_hash, password)


def totp_matches(secret: str | None, code: str | None) -> bool:
    """True when the account has no second factor, or the code is of this half minute or a neighbour."""
    if secret is None:
        return True
    return code is not None and pyotp.TOTP(secret).verify(code, valid_window=1)


async def add_user(
    c: AsyncConnection,
    *,
    user_id: str,
    email: str,
    name: str,
    password_hash: str,
    now_ms: int,
    totp_secret: str | None = None,
) -> None:
    """Raises OutOfState `email_taken`."""
    try:
        await c.execute(
            insert(user).values(
                user_id=user_id,
                email=email.strip().lower(),
                name=name,
                password_hash=password_hash,
                totp_secret=totp_secret,
                created_at_ms=now_ms,
            )
        )
    except IntegrityError:
        raise OutOfState("email_taken", "There is an account with this e-mail address.") from None


async def credentials(c: AsyncConnection, email: str) -> tuple[str, str, str | None] | None:
    """(user id, password hash, TOTP secret) of an account."""
    query = select(user).where(user.c.email == email.strip().lower())
    row = (await c.execute(query)).first()
    return (row.user_id, row.password_hash, row.totp_secret) if row is not None else None


async def get_user(c: AsyncConnection, user_id: str) -> User | None:
    row = (await c.execute(select(user).where(user.c.user_id == user_id))).first()
    if row is None:
        return None
    roles = await c.execute(
        select(room_role.c.room_id, room_role.c.role).where(room_role.c.user_id == user_id)
    )
    return User(row.user_id, row.email, row.name, {one.room_id: one.role for one in roles})


async def open_session(c: AsyncConnection, user_id: str, now_ms: int) -> str:
    """A new session's token; those of the account that have ended are swept away, and the oldest above 50."""
    token = secrets.token_urlsafe(32)
    await c.execute(delete(session).where(session.c.user_id == user_id, session.c.expires_at_ms <= now_ms))
    await c.execute(
        insert(session).values(
            token_hash=_token_hash(token),
            user_id=user_id,
            created_at_ms=now_ms,
            expires_at_ms=now_ms + SESSION_TTL_MS,
        )
    )
    theirs = select(session.c.token_hash).where(session.c.user_id == user_id)
    newest_first = theirs.order_by(session.c.created_at_ms.desc(), session.c.token_hash)
    surplus = list((await c.execute(newest_first.offset(MAX_SESSIONS).limit(1000))).scalars())
    if surplus:
        await c.execute(delete(session).where(session.c.token_hash.in_(surplus)))
    return token


async def session_user(c: AsyncConnection, token: str, now_ms: int) -> User | None:
    """The user of a living session."""
    query = select(session.c.user_id).where(
        session.c.token_hash == _token_hash(token), session.c.expires_at_ms > now_ms
    )
    user_id = (await c.execute(query)).scalar()
    return await get_user(c, user_id) if user_id is not None else None


async def close_session(c: AsyncConnection, token: str) -> None:
    await c.execute(delete(session).where(session.c.token_hash == _token_hash(token)))


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
