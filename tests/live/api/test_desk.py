"""One person holds the sale desk; the others look, and a take-over asks both."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from live import desk_holder
from tests.live.api.test_rooms import actions
from tests.live.conftest import Browser, Shop


async def held_by(shop: Shop) -> Any:
    return (await shop.wiring.broker.values(shop.room_id))["desk"][1]["holder_id"]


async def sale_of(shop: Shop, who: Browser) -> Any:
    body = {"variant_id": shop.variant_id, "price_minor": 5000, "quota": 5}
    return await who.post(f"/api/rooms/{shop.room_id}/sales", body)


async def ask(shop: Shop, who: Browser) -> Any:
    return await who.call("PUT", f"/api/rooms/{shop.room_id}/desk/request")


async def say(shop: Shop, who: Browser, answer: str, asker: str = "seller") -> Any:
    body = {"asker_id": f"us_{asker}", "answer": answer}
    return await who.post(f"/api/rooms/{shop.room_id}/desk/answer", body)


async def take_from_host(shop: Shop, who: Browser) -> Any:
    return await who.call("PUT", f"/api/rooms/{shop.room_id}/desk", {"take_over_from": "us_host"})


async def go_away(shop: Shop) -> None:
    """No console of the holder was heard for a while."""
    await shop.wiring.redis.delete(f"flashroom:consoles:{shop.room_id}")


async def test_the_first_who_acts_holds_the_desk_and_the_others_only_look(shop: Shop) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    path = f"/api/rooms/{shop.room_id}/desk"
    assert (await seller.get(path)).json() == {"holder": None, "request": None}
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
    sale = (await sale_of(shop, host)).json()
    for unasked in ({}, {"take_over_from": "us_host"}):
        refused = await seller.call("PUT", f"/api/rooms/{shop.room_id}/desk", unasked)
        assert (refused.status_code, refused.json()["code"]) == (409, "desk_held")
    asked = (await ask(shop, seller)).json()["request"]
    assert (asked["name"], asked["answer"]) == ("Seller", None)
    assert asked["answer_by_ms"] == asked["asked_at_ms"] + desk_holder.ANSWER_WITHIN_MS
    assert (await take_from_host(shop, seller)).json()["code"] == "desk_held"  # the holder has time to answer
    assert (await say(shop, host, "hand_over")).json()["request"]["answer"] == "hand_over"
    assert await held_by(shop) == "us_host"  # until the other side has pressed, too
    taken = await take_from_host(shop, seller)
    assert (taken.status_code, taken.json()["holder"]["name"]) == (200, "Seller")
    assert taken.json()["request"] is None
    assert await held_by(shop) == "us_seller"
    assert (await host.post(f"/api/sales/{sale['sale_id']}/arm")).json()["code"] == "desk_held"
    assert (await seller.post(f"/api/sales/{sale['sale_id']}/arm")).status_code == 200
    assert [name for name in await actions(shop) if name.startswith("desk_")] == [
        "desk_take",
        "desk_request",
        "desk_hand_over",
        "desk_take_over",
    ]


async def test_without_an_answer_in_time_the_desk_may_be_taken(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    await sale_of(shop, host)
    await ask(shop, seller)
    assert (await take_from_host(shop, seller)).status_code == 409
    monkeypatch.setattr(desk_holder, "ANSWER_WITHIN_MS", 0)
    assert (await say(shop, host, "keep")).json()["code"] == "desk_request_gone"
    assert (await take_from_host(shop, seller)).status_code == 200


async def test_a_holder_who_is_away_is_not_waited_for(shop: Shop) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    await sale_of(shop, host)
    await go_away(shop)
    await host.get(f"/api/rooms/{shop.room_id}/stats")  # an open console is heard
    assert (await ask(shop, seller)).json()["request"]["answer"] is None
    await seller.call("DELETE", f"/api/rooms/{shop.room_id}/desk/request")
    await go_away(shop)
    assert (await ask(shop, seller)).json()["request"]["answer"] == "away"
    assert (await take_from_host(shop, seller)).status_code == 200


async def test_a_holder_who_keeps_the_desk_is_not_asked_again_at_once(shop: Shop) -> None:
    host, seller, owner = await shop.staff("host"), await shop.staff("seller"), await shop.staff("owner")
    await sale_of(shop, host)
    await ask(shop, seller)
    assert (await ask(shop, owner)).json()["code"] == "desk_asked"
    assert (await say(shop, host, "keep")).json()["request"]["answer"] == "keep"
    assert (await take_from_host(shop, seller)).json()["code"] == "desk_held"
    await seller.call("DELETE", f"/api/rooms/{shop.room_id}/desk/request")
    again = (await ask(shop, seller)).json()
    assert again["code"] == "desk_kept"
    assert 0 < again["retry_after_ms"] <= desk_holder.REST_MS
    assert (await ask(shop, owner)).json()["request"]["name"] == "Owner"
    assert (await say(shop, host, "hand_over")).json()["code"] == "desk_request_gone"  # the seller's is
    assert (await say(shop, seller, "hand_over", "owner")).json()["code"] == "desk_request_gone"


async def test_a_request_is_forgotten_after_a_minute(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    await sale_of(shop, host)
    await ask(shop, seller)
    await say(shop, host, "hand_over")
    monkeypatch.setattr(desk_holder, "REQUEST_LASTS_MS", 0)
    assert (await seller.get(f"/api/rooms/{shop.room_id}/desk")).json()["request"] is None
    assert (await take_from_host(shop, seller)).json()["code"] == "desk_held"


async def test_of_two_who_ask_at_once_one_is_told_of_the_other(shop: Shop) -> None:
    host = await shop.staff("host")
    await sale_of(shop, host)
    others = [await shop.staff("seller"), await shop.staff("owner")]
    answers = await asyncio.gather(*(ask(shop, one) for one in others))
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_who_leaves_the_desk_leaves_it_free_and_nobody_else_can_free_it(shop: Shop) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    path = f"/api/rooms/{shop.room_id}/desk"
    await host.call("PUT", path, {})
    assert (await seller.call("DELETE", path)).json()["holder"]["user_id"] == "us_host"
    await ask(shop, seller)
    assert (await host.call("DELETE", path)).json() == {"holder": None, "request": None}
    assert await held_by(shop) is None
    assert (await ask(shop, seller)).json()["code"] == "desk_free"
    assert (await sale_of(shop, seller)).status_code == 201
