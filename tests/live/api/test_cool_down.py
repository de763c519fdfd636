"""After a money action the same person's next one waits a moment."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx

from live.app import attach
from tests.live.api.test_after_sales import paid_order
from tests.live.api.test_approvals import answer, limited, listed, refund
from tests.live.api.test_orders import place, tap
from tests.live.conftest import Browser, Shop

CENT = {"reason": "a scratch", "amount_minor": 1}
COOL_DOWN_MS = 60_000  # longer than any test


def cooling(shop: Shop, cool_down_ms: int = COOL_DOWN_MS) -> None:
    settings = replace(shop.wiring.settings, cool_down_ms=cool_down_ms)
    attach(shop.app, replace(shop.wiring, settings=settings))


async def cancel(browser: Browser, order: dict[str, Any]) -> httpx.Response:
    return await browser.post(f"/api/orders/{order['order_id']}/cancel")


async def test_a_second_refund_waits_and_says_how_long(shop: Shop) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    order = await paid_order(shop, host, await shop.guest())
    cooling(shop)
    assert (await listed(shop, host))["cooling_until_ms"] is None
    key = {"Idempotency-Key": "refund-1"}
    first = await refund(host, order, CENT, headers=key)
    assert first.status_code == 200
    late = await refund(host, order, CENT)
    assert (late.status_code, late.json()["code"]) == (429, "cooling_down")
    assert 0 < late.json()["retry_after_ms"] <= COOL_DOWN_MS
    assert 0 < int(late.headers["Retry-After"]) <= 60
    assert (
        await refund(await shop.staff("host"), order, CENT)
    ).status_code == 429  # the person, not the session
    assert (await refund(host, order, CENT, headers=key)).json() == first.json()
    assert (await listed(shop, host))["cooling_until_ms"] is not None
    assert (await listed(shop, seller))["cooling_until_ms"] is None
    assert (await refund(seller, order, CENT)).status_code == 200


async def test_a_refused_key_goes_through_once_it_has_cooled_down(shop: Shop) -> None:
    host = await shop.staff("host")
    order = await paid_order(shop, host, await shop.guest())
    cooling(shop, 300)
    key = {"Idempotency-Key": "refund-2"}
    assert (await refund(host, order, CENT)).status_code == 200
    refused = await refund(host, order, CENT, headers=key)
    if refused.status_code == 429:  # on a slow machine it has cooled down already
        await asyncio.sleep(refused.json()["retry_after_ms"] / 1000 + 0.05)
        assert (await refund(host, order, CENT, headers=key)).status_code == 200


async def test_of_two_calls_at_once_one_cools_down(shop: Shop) -> None:
    host = await shop.staff("host")
    order = await paid_order(shop, host, await shop.guest())
    cooling(shop)
    answers = await asyncio.gather(*(refund(host, order, CENT) for _ in range(2)))
    assert sorted(one.status_code for one in answers) == [200, 429]


async def test_a_refusal_cools_nobody_down(shop: Shop) -> None:
    host = await shop.staff("host")
    order = await paid_order(shop, host, await shop.guest())
    cooling(shop)
    above = await refund(host, order, {"reason": "x", "amount_minor": 5001})
    assert above.json()["code"] == "refund_above_paid"
    assert (await refund(host, order, CENT)).status_code == 200


async def test_cancelling_for_a_buyer_cools_down_and_the_sale_desk_does_not(shop: Shop) -> None:
    host, ann = await shop.staff("host"), await shop.guest()
    sale = await shop.open_sale(host)
    order = (await place(ann, (await tap(shop, ann, sale["sale_id"]))["token"])).json()
    cooling(shop)
    assert (await cancel(host, order)).json()["state"] == "cancelled"
    assert (await cancel(host, order)).json()["code"] == "cooling_down"
    for _ in range(2):
        added = await host.post(f"/api/sales/{sale['sale_id']}/stock", {"delta": 1})
        assert added.status_code == 200
    assert (await cancel(ann, order)).status_code == 200  # her own


async def test_approving_neither_waits_nor_cools_down(shop: Shop) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    order = await paid_order(shop, host, await shop.guest())
    await limited(shop)
    cooling(shop)
    assert (await refund(seller, order, CENT)).status_code == 200
    asked = (await refund(host, order)).json()
    assert (await answer(shop, seller, asked["approval_id"])).json()["state"] == "done"
    assert (await listed(shop, host))["cooling_until_ms"] is None


async def test_it_can_be_switched_off(shop: Shop) -> None:
    host = await shop.staff("host")
    order = await paid_order(shop, host, await shop.guest())
    cooling(shop, 0)
    for _ in range(2):
        assert (await refund(host, order, CENT)).status_code == 200
