"""Hold tokens: only ours are accepted, and they say exactly what was granted."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, replace

import jwt
import pytest

from commerce.errors import Refused
from commerce.hold_tokens import MAX_TOKEN_CHARACTERS, HoldToken, sign, verify

KEY = b"k" * 32
HOLD = HoldToken(
    hold_id="hd_1",
    sale_id="sl_1",
    room_id="rm_1",
    epoch=3,
    seq=17,
    buyer_id="gu_ana",
    quantity=2,
    price_minor=9_900,
    currency="CNY",
    granted_at_ms=1_800_000_000_000,
    expires_at_ms=1_800_000_120_000,
    ghost=False,
)


def test_a_token_gives_back_the_hold_it_was_signed_for() -> None:
    assert verify(KEY, sign(KEY, HOLD)) == HOLD


def test_the_same_hold_always_has_the_same_token() -> None:
    assert sign(KEY, HOLD) == sign(KEY, replace(HOLD))
    assert sign(KEY, HOLD) != sign(KEY, replace(HOLD, quantity=1))


def test_expiry_is_the_binds_business_not_the_tokens() -> None:
    assert verify(KEY, sign(KEY, replace(HOLD, expires_at_ms=1))).expires_at_ms == 1


def _segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _altered_price() -> str:
    header, _, signature = sign(KEY, HOLD).split(".")
    return f"{header}.{_segment({'aud': 'bind', **asdict(replace(HOLD, price_minor=1))})}.{signature}"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="empty"),
        pytest.param("a.b.c", id="no token"),
        pytest.param("ключ" * 10, id="not ASCII"),
        pytest.param("x" * (MAX_TOKEN_CHARACTERS + 1), id="too long"),
        pytest.param(sign(b"x" * 32, HOLD), id="another key"),
        pytest.param(sign(KEY, HOLD)[:-4], id="cut signature"),
        pytest.param(_altered_price(), id="altered price"),
        pytest.param(
            f"{_segment({'alg': 'none', 'typ': 'JWT'})}.{_segment({'aud': 'bind', **asdict(HOLD)})}.",
            id="no signature",
        ),
        pytest.param(jwt.encode({**asdict(HOLD), "aud": "ticket"}, KEY), id="made for another purpose"),
        pytest.param(jwt.encode(asdict(HOLD), KEY), id="made for no purpose"),
        pytest.param(jwt.encode({"aud": "bind", "hold_id": "hd_1"}, KEY), id="fields missing"),
        pytest.param(
            jwt.encode({"aud": "bind", **asdict(HOLD)}, KEY, algorithm="HS512"), id="other algorithm"
        ),
    ],
)
def test_whatever_is_not_ours_is_refused_with_one_code(token: str) -> None:
    with pytest.raises(Refused) as refused:
        verify(KEY, token)
    assert refused.value.code == "bad_token"


def test_every_flipped_character_is_noticed() -> None:
    token = sign(KEY, HOLD)
    for place in range(len(token) - 1):  # the last character's low bits are padding
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(Refused):
            verify(KEY, token[:place] + other + token[place + 1 :])
