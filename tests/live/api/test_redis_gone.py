"""Planes fail apart: with Redis gone pages and orders go on, and what needs it says so at once."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from live.settings import Settings
from tests.live.api.test_orders import place, tap
from tests.live.conftest import CARD, Shop, opened
from tests.services import RedisServer, running_redis, wait_until

SOON_S = 4.0


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    with running_redis(tmp_path / "redis") as one:
        yield one


@pytest.fixture
async def shop(server: RedisServer, tmp_path: Path, empty_database: Path) -> AsyncIterator[Shop]:
    shutil.copy(empty_database, tmp_path / "flashroom.db")
    environment = {"FLASHROOM_DATA_DIR": str(tmp_path), "FLASHROOM_REDIS_URL": server.url}
    async with opened(Settings.read(environment)) as made:
        yield made


async def test_a_granted_hold_becomes_a_paid_order_without_redis(shop: Shop, server: RedisServer) -> None:
    host, ann = await shop.staff("host"), await shop.guest()
    sale = await shop.open_sale(host)
    token = (await tap(shop, ann, sale["sale_id"]))["token"]
    server.kill()
    started_s = time.monotonic()
    order = (await place(ann, token)).json()
    assert order["state"] == "placed"
    paid = await ann.post(
        f"/api/orders/{order['order_id']}/payments", {"method": "card", "card_number": CARD}
    )
    assert (paid.status_code, paid.json()["order"]["state"]) == (200, "paid")
    assert time.monotonic() - started_s < SOON_S


async def test_a_page_still_shows_its_room_and_what_needs_redis_says_so(
    shop: Shop, server: RedisServer
) -> None:
    host, ann = await shop.staff("host"), await shop.guest()
    sale = await shop.open_sale(host)
    server.kill()
    started_s = time.monotonic()
    page = await ann.get(f"/api/rooms/{shop.room_id}")
    assert page.status_code == 200
    shown = page.json()["sales"][0]
    assert (shown["sale_id"], shown["state"], shown["stock"]) == (sale["sale_id"], "open", None)
    for browser, path in (
        (ann, f"/api/rooms/{shop.room_id}/mine"),
        (host, f"/api/rooms/{shop.room_id}/stats"),
        (host, f"/api/rooms/{shop.room_id}/held-comments"),
        (ann, "/readyz"),
    ):
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json"), path
    assert (await ann.get("/healthz")).status_code == 200
    assert time.monotonic() - started_s < SOON_S


async def test_a_control_pressed_while_redis_is_gone_counts_and_is_logged(
    shop: Shop, server: RedisServer
) -> None:
    host = await shop.staff("host")
    sale = await shop.open_sale(host)
    server.kill()
    ended = await host.post(f"/api/sales/{sale['sale_id']}/end")
    assert (ended.status_code, ended.json()["state"]) == (200, "draining")
    log = (await host.get(f"/api/rooms/{shop.room_id}/audit")).json()["entries"]
    assert log[0]["action"] == "sale_end"


async def test_a_pin_that_viewers_were_not_told_of_is_repeated_with_its_key(
    shop: Shop, server: RedisServer
) -> None:
    host = await shop.staff("host")
    path, key = f"/api/rooms/{shop.room_id}/pin", {"Idempotency-Key": "pin-the-mug"}
    server.kill()
    failed = await host.call("PUT", path, {"product_id": "pr_mug"}, headers=key)
    assert failed.status_code == 503
    server.start()

    async def pinned() -> bool:
        again = await host.call("PUT", path, {"product_id": "pr_mug"}, headers=key)
        return again.status_code == 200

    await wait_until(pinned, what="the pin to be told")
    events = [event for _, event in await shop.wiring.broker.history(shop.room_id, 0, 10)]
    assert [kind for kind, _ in events] == ["pin"]
    log = (await host.get(f"/api/rooms/{shop.room_id}/audit")).json()["entries"]
    assert [entry["action"] for entry in log] == ["pin"]


async def test_a_redis_that_hangs_hangs_nothing_else(shop: Shop, server: RedisServer) -> None:
    ann = await shop.guest()
    server.freeze()
    try:
        started_s = time.monotonic()
        for path in ("/api/me", "/api/rooms", f"/api/rooms/{shop.room_id}"):
            assert (await ann.get(path)).status_code == 200
        assert time.monotonic() - started_s < SOON_S
    finally:
        server.thaw()
