from __future__ import annotations

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.tickets import TICKET_TTL_MS, TicketRefused, Viewer, sign_ticket, verify_ticket

KEY = b"a key of thirty-two bytes or more"
VIEWER = Viewer("gu_a", "名字", "viewer", "rm_1", ghost=True, account=False)


def test_a_ticket_says_who_it_was_signed_for_until_it_expires() -> None:
    token = sign_ticket(KEY, VIEWER, 1000)
    assert verify_ticket(KEY, token, 1000 + TICKET_TTL_MS - 1) == VIEWER
    with pytest.raises(TicketRefused, match="expired"):
        verify_ticket(KEY, token, 1000 + TICKET_TTL_MS)


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "web"},
        {"sub": None},
        {"exp_ms": "soon"},
        {"exp_ms": None},
    ],
)
def test_a_ticket_with_other_claims_is_refused(claims: dict[str, object]) -> None:
    body = jwt.decode(sign_ticket(KEY, VIEWER, 0), KEY, algorithms=["HS256"], audience="hub") | claims
    body = {name: value for name, value in body.items() if value is not None}
    with pytest.raises(TicketRefused):
        verify_ticket(KEY, jwt.encode(body, KEY, algorithm="HS256"), 0)


def test_another_key_or_algorithm_or_none_at_all_is_refused() -> None:
    body = jwt.decode(sign_ticket(KEY, VIEWER, 0), KEY, algorithms=["HS256"], audience="hub")
    for token in (
        sign_ticket(b"another key of thirty-two bytes..", VIEWER, 0),
        jwt.encode(body, "", algorithm="none"),
        jwt.encode(body, KEY * 2, algorithm="HS512"),
    ):
        with pytest.raises(TicketRefused):
            verify_ticket(KEY, token, 0)


@given(st.text(max_size=300))
def test_no_text_crashes_the_check(token: str) -> None:
    with pytest.raises(TicketRefused):
        verify_ticket(KEY, token, 0)


@given(st.integers(0, 300), st.integers(1, 255))
def test_a_ticket_with_one_changed_byte_is_refused_or_the_same(position: int, change: int) -> None:
    token = sign_ticket(KEY, VIEWER, 0).encode()
    position %= len(token)
    changed = token[:position] + bytes([token[position] ^ change]) + token[position + 1 :]
    try:
        # Only the unused bits of base64's last character may differ.
        assert verify_ticket(KEY, changed.decode("latin-1"), 0) == VIEWER
        assert position == len(token) - 1
    except TicketRefused:
        pass
