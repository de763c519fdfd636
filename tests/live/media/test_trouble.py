"""Trouble with the picture in a whole show of real processes: the room hears of it, video comes back, and nothing else notices."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from live.media import tokens
from live.seed import ROOM_ID
from live.settings import Settings
from loadtests.shop import GOOD_CARD, Buyer, Seller
from loadtests.show import Show
from tests.live.media.networks import Network
from tests.live.media.peers import publisher, watcher
from tests.services import wait_until

TOLD_WITHIN_MS = 3_000
NOISE_MS = 1_000
"""Two busy cores may be late with everything; the design has 0.5 s to spare."""


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Show]:
    with Show(tmp_path_factory.mktemp("show"), roles=("web", "hub", "worker", "media")) as running:
        yield running


class ShowMedia:
    """The media process of a show, for peers."""

    def __init__(self, show: Show) -> None:
        self.url = show.media_url
        self._key = Settings.read(show.environment).key("media")

    def token(self, audience: tokens.Audience, room_id: str, subject: str) -> str:
        sign = tokens.publish_token if audience == "whip" else tokens.play_token
        return sign(self._key, room_id, subject, int(time.time() * 1000))


class Page(Buyer):
    """A viewer's page as far as its connection goes."""

    @property
    def media(self) -> dict[str, Any]:
        return dict(self.room.values.get("media", (0, {}))[1] or {})

    @property
    def is_on_air(self) -> bool:
        return self.media.get("publishing") is True


@pytest.fixture
async def page(show: Show) -> AsyncIterator[Page]:
    page = Page(show.web_url)
    await page.enter(ROOM_ID)
    await page.room.joined.wait()
    yield page
    await page.aclose()


async def test_a_host_who_is_lost_is_away_within_three_seconds_and_comes_back_to_the_same_viewers(
    show: Show, page: Page
) -> None:
    door = ShowMedia(show)
    network = Network()
    async with publisher(door, room_id=ROOM_ID, network=network, brightness=60):
        async with watcher(door, room_id=ROOM_ID) as viewer:
            await wait_until(lambda: page.is_on_air, 15, "the room to be on air")
            await wait_until(lambda: abs(viewer.brightness - 60) <= 4, 15, "the host's picture")
            offsets, joins = page.room.offset, page.room.jumps
            network.up.is_dead = network.down.is_dead = True
            lost_ms = time.time() * 1000
            await wait_until(lambda: not page.is_on_air, 15, "the room to hear of it")
            assert page.media["since_ms"] - lost_ms <= TOLD_WITHIN_MS + NOISE_MS
            async with publisher(door, room_id=ROOM_ID, brightness=200):
                await wait_until(lambda: page.is_on_air, 15, "the room to be on air again")
                await wait_until(
                    lambda: abs(viewer.brightness - 200) <= 4, 15, "the picture in the same session"
                )
            assert viewer.connection.connectionState == "connected"
            assert (page.room.jumps, page.room.offset >= offsets) == (joins, True), "and nobody reloaded"


async def test_a_killed_media_process_takes_nothing_with_it_and_comes_back_by_itself(
    show: Show, page: Page
) -> None:
    door = ShowMedia(show)
    await wait_until(lambda: page.is_on_air, 30, "the test picture")
    seller = Seller(show.web_url)
    await seller.sign_in(*show.host_sign_in())
    shelf = await seller.variants()

    show.kill("media")
    killed_ms = time.time() * 1000
    said: list[str] = []
    page.room.on_event = lambda _, type_, data: said.append(data["text"]) if type_ == "comment" else None
    await page.command("comment", text="Is the picture gone?")
    sale_id = await seller.open_sale(
        {
            "variant_id": shelf[0]["variant_id"],
            "price_minor": 990,
            "quota": 1,
            "limit_per_buyer": 1,
            "countdown_ms": 1_000,
            "duration_ms": 600_000,
        }
    )
    await wait_until(
        lambda: (page.room.values.get(f"sale:{sale_id}", (0, {}))[1] or {}).get("state") == "open",
        15,
        "the sale",
    )
    held = await page.tap(sale_id)
    assert held["decision"] == "granted"
    order = await page.order(held["token"])
    paid = await page.pay(order["order_id"], GOOD_CARD)
    assert paid["order"]["state"] == "paid"
    await wait_until(lambda: "Is the picture gone?" in said, 10, "the comment")
    assert (page.room.jumps, page.room.close_codes) == (0, []), "the connection for chat and sales stood"

    await wait_until(lambda: not page.is_on_air, 15, "the room to hear that nobody publishes")
    assert page.media["since_ms"] - killed_ms <= TOLD_WITHIN_MS + NOISE_MS

    show.start("media")
    show.wait_until_ready()
    await wait_until(lambda: page.is_on_air, 30, "the picture to come back by itself")
    async with watcher(door, room_id=ROOM_ID, subject="gu_after") as viewer:
        await wait_until(lambda: viewer.frames >= 1, 15, "a picture")
    await seller.aclose()
