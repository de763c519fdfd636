"""The simulated audience: what it is called, what it says, and that it leaves something for people."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import httpx
import pytest

from live import ghost_words, identity
from live.catalogue_sample import PRODUCTS
from live.ghosts import CARDS, Audience, Ghost
from live.settings import Settings
from realtime.protocol import MAX_COMMENT_CHARACTERS

SALE = {"sale_id": "sl_1", "quota": 20, "state": "armed", "price_minor": 9900, "currency": "CNY"}
WORDS = (
    ghost_words.ARRIVING,
    ghost_words.CHATTING,
    ghost_words.COUNTDOWN,
    ghost_words.OPENED,
    ghost_words.HELD,
    ghost_words.BOUGHT,
    ghost_words.ALL_HELD,
    ghost_words.SOLD_OUT,
    ghost_words.DECLINED,
    ghost_words.ENDED,
    *ghost_words.ABOUT.values(),
)


class Client:
    """Stands where RoomClient stands, and grants every hold."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []

    async def command(self, name: str, **params: Any) -> dict[str, Any]:
        self.sent.append((name, params))
        return {"decision": "refused", "reason": "sold_out"}


@pytest.fixture
def audience(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Audience:
    monkeypatch.setattr("live.ghosts.RUSH_S", 0.01)
    monkeypatch.setattr("live.ghosts.TRICKLE_S", 0.01)
    made = Audience(settings, httpx.AsyncClient(), "rm_demo", random.Random(7))
    for number in range(60):
        made._ghosts.append(made._new_ghost(number))
    return made


def present(audience: Audience) -> list[Client]:
    clients: list[Client] = []
    for ghost in audience._ghosts:
        client: Any = Client()
        ghost.client = client
        clients.append(client)
    return clients


def test_every_product_has_its_own_words() -> None:
    assert set(ghost_words.ABOUT) == {product.product_id for product in PRODUCTS}


def test_all_that_is_said_fits_the_protocol_in_both_languages() -> None:
    for words in WORDS:
        assert set(words) == {"zh", "en"}
        for lines in words.values():
            assert len(lines) >= 2
            assert all(
                0 < len(line.format(price="¥99999.99", left=999)) <= MAX_COMMENT_CHARACTERS for line in lines
            )


def test_the_cards_add_up_and_some_are_declined() -> None:
    assert sum(weight for _, weight in CARDS) == 100


def test_a_ghost_is_marked_in_its_cookie_and_no_two_share_a_name(
    audience: Audience, settings: Settings
) -> None:
    names = [ghost.name for ghost in audience._ghosts]
    assert len(set(names)) == len(names)
    for ghost in audience._ghosts:
        cookie = ghost.headers["Cookie"].partition("=")[2]
        guest = identity.verify_guest(settings.key("guest"), cookie, 0)
        assert guest is not None
        assert guest.ghost
        assert len(guest.name) <= identity.MAX_NAME_CHARACTERS


async def test_until_the_stragglers_come_ghosts_want_less_than_a_sale_has(
    audience: Audience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live.ghosts.SHARE_OF_STRAGGLERS", 0)
    clients = present(audience)
    for state in ("armed", "countdown", "open"):
        audience._take_value("sale:sl_1", {**SALE, "state": state})
    await asyncio.gather(*audience._shopping)
    taps = [params for client in clients for name, params in client.sent if name == "hold"]
    assert 1 <= len(taps) < SALE["quota"]
    assert all(params["sale_id"] == "sl_1" for params in taps)


async def test_stragglers_make_a_long_sale_sell_out(
    audience: Audience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live.ghosts.STRAGGLE_S", 0.01)
    clients = present(audience)
    for state in ("countdown", "open"):
        audience._take_value("sale:sl_1", {**SALE, "state": state})
    await asyncio.gather(*audience._shopping)
    assert sum(name == "hold" for client in clients for name, _ in client.sent) > SALE["quota"]


async def test_a_sale_that_was_open_when_a_ghost_came_starts_no_second_rush(audience: Audience) -> None:
    clients = present(audience)
    audience._take_value("sale:sl_1", {**SALE, "state": "open"})
    audience._take_value("sale:sl_1", {**SALE, "state": "open"})
    await asyncio.gather(*audience._shopping)
    assert all(client.sent == [] for client in clients)


async def test_a_refused_or_absent_ghost_takes_no_for_an_answer(audience: Audience) -> None:
    ghost = Ghost("Boo", "en", "cookie")
    assert await audience._command(ghost, "like", count=1) is None
