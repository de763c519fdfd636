"""Guests, accounts, sessions."""

from __future__ import annotations

import pyotp
import pytest

from commerce.errors import OutOfState
from live import identity
from live.identity import Caller, Guest, User
from tests.live.conftest import PASSWORD, PASSWORD_HASH, Shop

KEY = b"k" * 32


def test_a_guest_cookie_is_good_for_its_time_and_its_key_only() -> None:
    guest = Guest("gu_1", "Ann", True)
    cookie = identity.sign_guest(KEY, guest, 1000)
    assert identity.verify_guest(KEY, cookie, 2000) == guest
    assert identity.verify_guest(b"x" * 32, cookie, 2000) is None
    assert identity.verify_guest(KEY, cookie, 1000 + identity.GUEST_TTL_MS) is None
    assert identity.verify_guest(KEY, cookie[:-3] + "AAA", 2000) is None
    assert identity.verify_guest(KEY, "", 2000) is None


def test_passwords_match_only_themselves() -> None:
    assert identity.password_matches(PASSWORD_HASH, PASSWORD)
    assert not identity.password_matches(PASSWORD_HASH, "another")
    assert not identity.password_matches(None, PASSWORD)


def test_a_second_factor_is_asked_for_once_it_is_set_up() -> None:
    secret = pyotp.random_base32()
    assert identity.totp_matches(None, None)
    assert not identity.totp_matches(secret, None)
    assert identity.totp_matches(secret, pyotp.TOTP(secret).now())


def test_an_account_is_one_buyer_even_with_a_nickname() -> None:
    caller = Caller(Guest("gu_1", "Ann", ghost=True), User("us_1", "a@b.c", "Bea", {"rm_1": "host"}), "x")
    assert (caller.buyer_id, caller.name, caller.ghost) == ("us_1", "Bea", False)
    assert (caller.role_in("rm_1"), caller.role_in("rm_2")) == ("host", "viewer")
    assert Caller(None, None, "x").role_in("rm_1") is None


async def test_a_session_ends_with_its_time_or_when_closed(shop: Shop) -> None:
    database = shop.wiring.database
    async with database.begin() as c:
        token = await identity.open_session(c, "us_host", 1000)
        other = await identity.open_session(c, "us_host", 1000)
    async with database.read() as c:
        user = await identity.session_user(c, token, 2000)
        assert user is not None
        assert user.roles == {shop.room_id: "host"}
        assert await identity.session_user(c, token, 1000 + identity.SESSION_TTL_MS) is None
    async with database.begin() as c:
        await identity.close_session(c, token)
    async with database.read() as c:
        assert await identity.session_user(c, token, 2000) is None
        assert await identity.session_user(c, other, 2000) is not None


async def test_an_address_has_one_account(shop: Shop) -> None:
    with pytest.raises(OutOfState, match="account"):
        async with shop.wiring.database.begin() as c:
            await identity.add_user(
                c, user_id="us_2", email=" Host@Example.com ", name="x", password_hash="x", now_ms=1
            )


async def test_an_account_has_a_bounded_number_of_sessions_and_the_newest_stay(shop: Shop) -> None:
    database = shop.wiring.database
    tokens = []
    for number in range(identity.MAX_SESSIONS + 2):
        async with database.begin() as c:
            tokens.append(await identity.open_session(c, "us_owner", 1000 + number))
    async with database.read() as c:
        alive = [await identity.session_user(c, token, 2000) is not None for token in tokens]
    assert alive == [False, False] + [True] * identity.MAX_SESSIONS
