"""One person holds the sale desk; the others look until they take over."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.live.api.test_rooms import actions
from tests.live.conftest import Browser, Shop


async def held_by(shop: Shop) -> Any:
    return (await shop.wiring.broker.values(shop.room_id))["desk"][1]["holder_id"]


async def sale_of(shop: Shop, who: Browser) -> Any:
    body = {"variant_id": shop.variant_id, "price_minor": 5000, "quota": 5}
    return await who.post(f"/api/rooms/{shop.room_id}/sales", body)


async def test_the_first_who_acts_holds_the_desk_and_the_others_only_look(shop: Shop) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    path = f"/api/rooms/{shop.room_id}/desk"
    assert (await seller.get(path)).json() == {"holder": None}
    sale = (await sale_of(shop, host)).json()
    assert (await seller.get(path)).json()["holder"]["user_id"] == "us_host"
    assert await held_by(shop) == "us_host"
    for action, body in (("arm", {}), ("validate", {}), ("stock", {"delta": 1}), ("reconcile", {})):
        refused = await seller.post(f"/api/sales/{sale['sale_id']}/{action}", body)
        assert (refused.status_code, refused.json()["code"]) == (409, "desk_held"), action
        assert refused.json()["holder_name"] == "Host"
    changed = await seller.call("PATCH", f"/api/sales/{sale['sale_id']}", {"quota": 6})
    assert changed.json()["code"] == "desk_held"
    assert (await sale_of(shop, seller)).json()["code"] == "desk_held"
    assert (await host.post(f"/api/sales/{sale['sale_id']}/arm")).status_code == 200


async def test_a_take_over_is_told_to_all_and_locks_the_one_who_had_it(shop: Shop) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    path = f"/api/rooms/{shop.room_id}/desk"
    sale = (await sale_of(shop, host)).json()
    unasked = await seller.call("PUT", path, {})
    assert (unasked.status_code, unasked.json()["code"]) == (409, "desk_held")
    taken = await seller.call("PUT", path, {"take_over_from": "us_host"})
    assert (taken.status_code, taken.json()["holder"]["name"]) == (200, "Seller")
    assert await held_by(shop) == "us_seller"
    assert (await host.post(f"/api/sales/{sale['sale_id']}/arm")).json()["code"] == "desk_held"
    assert (await seller.post(f"/api/sales/{sale['sale_id']}/arm")).status_code == 200
    assert [name for name in await actions(shop) if name.startswith("desk_")] == [
        "desk_take",
        "desk_take_over",
    ]


async def test_of_two_who_take_over_at_once_one_is_asked_again(shop: Shop) -> None:
    host = await shop.staff("host")
    await sale_of(shop, host)
    path = f"/api/rooms/{shop.room_id}/desk"
    others = [await shop.staff("seller"), await shop.staff("owner")]
    answers = await asyncio.gather(*(one.call("PUT", path, {"take_over_from": "us_host"}) for one in others))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_who_leaves_the_desk_leaves_it_free_and_nobody_else_can_free_it(shop: Shop) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    path = f"/api/rooms/{shop.room_id}/desk"
    await host.call("PUT", path, {})
    assert (await seller.call("DELETE", path)).json()["holder"]["user_id"] == "us_host"
    assert (await host.call("DELETE", path)).json() == {"holder": None}
    assert await held_by(shop) is None
    assert (await sale_of(shop, seller)).status_code == 201
