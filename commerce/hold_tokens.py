"""Signed soft holds: what Redis granted, in a form that SQL can act on when Redis has lost everything.

A token is a JWT (RFC 7519, HS256) over the decision's own fields, so the same decision always gives the same token.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Final

import jwt

from commerce.errors import Refused

AUDIENCE: Final = "bind"
MAX_TOKEN_CHARACTERS: Final = 1500


@dataclass(frozen=True, slots=True)
class HoldToken:
    """A granted soft hold: whose, of what, at which price (minor units), until when (UTC ms)."""

    hold_id: str
    sale_id: str
    room_id: str
    epoch: int
    seq: int
    buyer_id: str
    quantity: int
    price_minor: int
    currency: str
    granted_at_ms: int
    expires_at_ms: int
    ghost: bool


def sign(key: bytes, hold: HoldToken) -> str:
    return jwt.encode({"aud": AUDIENCE, **asdict(hold)}, key, algorithm="HS256")


def verify(key: bytes, token: str) -> HoldToken:
    """The hold behind a token, whether or not it has expired. Raises Refused `bad_token`."""
    refusal = Refused("bad_token", "This hold is not one of ours.")
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise refusal
    try:
        claims = jwt.decode(token, key, algorithms=["HS256"], audience=AUDIENCE)
        values = {field.name: claims[field.name] for field in fields(HoldToken)}
    except (jwt.InvalidTokenError, KeyError, ValueError) as error:
        raise refusal from error
    return HoldToken(**values)
