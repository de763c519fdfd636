"""Connection tickets: who joins which room, signed by web, read by the hub without asking anybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import jwt

AUDIENCE: Final = "hub"
TICKET_TTL_MS: Final = 10 * 60 * 1000


class TicketRefused(Exception):
    """The ticket is forged, expired, or not for the hub."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is behind a connection. `ghost` marks simulated viewers, which are never counted as people."""

    viewer_id: str
    name: str
    role: str
    room_id: str
    ghost: bool = False
    account: bool = False


def sign_ticket(key: bytes, viewer: Viewer, now_ms: int, ttl_ms: int = TICKET_TTL_MS) -> str:
    """A JWT (RFC 7519, HS256) that lets `viewer` join its room until `now_ms + ttl_ms`."""
    return jwt.encode(
        {
            "aud": AUDIENCE,
            "sub": viewer.viewer_id,
            "name": viewer.name,
            "role": viewer.role,
            "room": viewer.room_id,
            "ghost": viewer.ghost,
            "account": viewer.account,
            "exp_ms": now_ms + ttl_ms,
        },
        key,
        algorithm="HS256",
    )


def verify_ticket(key: bytes, token: str, now_ms: int) -> Viewer:
    """Raises TicketRefused."""
    try:
        claims = jwt.decode(
            token, key, algorithms=["HS256"], audience=AUDIENCE, options={"require": ["aud", "sub"]}
        )
        viewer = Viewer(
            viewer_id=str(claims["sub"]),
            name=str(claims["name"]),
            role=str(claims["role"]),
            room_id=str(claims["room"]),
            ghost=bool(claims["ghost"]),
            account=bool(claims["account"]),
        )
        expires_at_ms = int(claims["exp_ms"])
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as error:
        raise TicketRefused("ticket not valid") from error
    if now_ms >= expires_at_ms:
        raise TicketRefused("ticket expired")
    return viewer
