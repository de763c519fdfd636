"""Who may publish into a room, and who may watch it: short signed tokens, one audience each, scoped to one room."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import jwt

Audience = Literal["whip", "whep", "relay", "recordings", "replay"]

PUBLISH_TTL_MS: Final = 12 * 3_600_000
"""A show's length: the same token ends the session it has begun."""
PLAY_TTL_MS: Final = 3_600_000
RECORDINGS_TTL_MS: Final = 6 * 3_600_000
"""A long film's download, with pauses."""
RELAY_TTL_MS: Final = 30_000
TICKET_TTL_MS: Final = 30_000
MAX_HIDDEN: Final = 200
"""As many recordings as are listed."""
MAX_TOKEN_CHARACTERS: Final = 5_120
"""A replay's with 200 hidden recordings has some 4,700."""


class BadToken(Exception):
    """The token opens nothing here: forged, too old, or for another room or purpose."""


@dataclass(frozen=True, slots=True)
class MediaToken:
    """Who (`subject`: user or viewer id) may do what (`audience`) in which room, until when."""

    audience: Audience
    room_id: str
    subject: str
    expires_at_ms: int
    opened_by: str | None = None
    """Of a ticket: the digest of the token that the same client has shown elsewhere, and will show here."""
    hidden: tuple[int, ...] = ()
    """Of a replay's: the recordings that it does not open, each by the start of its show. The media process can't look them up."""


def digest(signed: str) -> str:
    """By which a token is known again without being kept."""
    return hashlib.sha256(signed.encode()).hexdigest()


def sign(key: bytes, token: MediaToken) -> str:
    """A JWT (RFC 7519, HS256); `key` is `settings.key("media")`."""
    claims: dict[str, str | int | list[int]] = {
        "aud": token.audience,
        "room": token.room_id,
        "sub": token.subject,
        "exp_ms": token.expires_at_ms,
    }
    if token.opened_by is not None:
        claims["by"] = token.opened_by
    if token.hidden:
        claims["hidden"] = list(token.hidden)
    return jwt.encode(claims, key, algorithm="HS256")


def ticket(key: bytes, token: MediaToken, signed: str, now_ms: int) -> str:
    """For the URL of a redirect, good for 30 s: a browser, like most clients, shows its `Authorization` to no other origin by itself."""
    return sign(key, replace(token, expires_at_ms=now_ms + TICKET_TTL_MS, opened_by=digest(signed)))


def publish_token(key: bytes, room_id: str, user_id: str, now_ms: int) -> str:
    """What a host's browser or OBS shows to publish by WHIP, for 12 h."""
    return sign(key, MediaToken("whip", room_id, user_id, now_ms + PUBLISH_TTL_MS))


def play_token(key: bytes, room_id: str, viewer_id: str, now_ms: int) -> str:
    """What a viewer's page shows to watch by WHEP; it must begin within 1 h, then may go on."""
    return sign(key, MediaToken("whep", room_id, viewer_id, now_ms + PLAY_TTL_MS))


def relay_token(key: bytes, room_id: str, process_id: str, now_ms: int) -> str:
    """What one media process shows another to pull a room; it must begin within 30 s, then may go on."""
    return sign(key, MediaToken("relay", room_id, process_id, now_ms + RELAY_TTL_MS))


def recordings_token(key: bytes, room_id: str, user_id: str, now_ms: int) -> str:
    """What opens a room's recordings to its owner, for 6 h: list, download, delete."""
    return sign(key, MediaToken("recordings", room_id, user_id, now_ms + RECORDINGS_TTL_MS))


def replay_token(key: bytes, room_id: str, viewer_id: str, now_ms: int, hidden: Sequence[int] = ()) -> str:
    """What opens the finished films of a room, without those that are hidden now (at most 200), to a viewer, for 6 h."""
    assert len(hidden) <= MAX_HIDDEN
    return sign(
        key, MediaToken("replay", room_id, viewer_id, now_ms + RECORDINGS_TTL_MS, hidden=tuple(hidden))
    )


def verify(key: bytes, signed: str, audience: Audience, room_id: str, now_ms: int) -> MediaToken:
    """The token's content. Raises BadToken, which doesn't say what is wrong to whoever guesses."""
    if len(signed) > MAX_TOKEN_CHARACTERS:
        raise BadToken
    try:
        claims = jwt.decode(signed, key, algorithms=["HS256"], audience=audience)
        token = MediaToken(
            audience,
            str(claims["room"]),
            str(claims["sub"]),
            int(claims["exp_ms"]),
            claims.get("by"),
            tuple(int(one) for one in claims.get("hidden", ())),
        )
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        raise BadToken from None
    if token.room_id != room_id or now_ms >= token.expires_at_ms:
        raise BadToken
    return token
