"""Rooms for more shows, and rehearsals that share no row with the show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from live import audit
from realtime.publisher import BrokerUnavailable
from tests.live.api.test_orders import place, tap
from tests.live.conftest import CARD, Browser, Shop


async def rehearse(shop: Shop, host: Browser) -> dict[str, Any]:
    answer = await host.post(f"/api/rooms/{shop.room_id}/rehearsal")
    assert answer.status_code == 200, answer.text
    room: dict[str, Any] = answer.json()
    return room


async def page(browser: Browser, room_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await browser.get(f"/api/rooms/{room_id}")).json()
    return found


async def test_an_owner_opens_another_room_and_owns_it(shop: Shop) -> None:
    owner = await shop.staff("owner")
    made = await owner.post("/api/rooms", {"title": "Tea at nine", "title_zh": "九点喝茶"})
    assert made.status_code == 201, made.text
    room = made.json()
    assert (room["title"], room["status"], room["rehearsal"]) == (
        {"en": "Tea at nine", "zh": "九点喝茶"},
        "preshow",
        False,
    )
    assert (await page(owner, room["room_id"]))["role"] == "owner"
    assert (await page(owner, room["room_id"]))["products"] == []
    item = {"title": "Cup", "price_minor": 900, "stock": 3}
    assert (await owner.post(f"/api/rooms/{room['room_id']}/products", item)).status_code == 201
    assert (await shop.wiring.broker.values(room["room_id"]))["room"][1]["title"]["en"] == "Tea at nine"
    log = (await owner.get(f"/api/rooms/{room['room_id']}/audit")).json()["entries"]
    assert "room_create" in {entry["action"] for entry in log}


async def test_only_owners_open_rooms(shop: Shop) -> None:
    for browser, status in ((await shop.guest(), 401), (await shop.staff("host"), 403)):
        assert (await browser.post("/api/rooms", {"title": "Mine"})).status_code == status
    owner = await shop.staff("owner")
    assert (await owner.post("/api/rooms", {"title": ""})).json()["code"] == "bad_fields"


async def test_a_room_is_opened_once_also_while_redis_is_away(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 503 after the room was made would have the console try again, and make another one."""

    async def unreachable(*_: Any, **__: Any) -> None:
        raise BrokerUnavailable

    owner = await shop.staff("owner")
    monkeypatch.setattr(shop.wiring.broker, "publish", unreachable)
    made = await owner.post("/api/rooms", {"title": "Tea at nine"})
    assert made.status_code == 201, made.text


async def test_the_number_of_rooms_is_bounded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("live.rooms.MAX_ROOMS", 1)
    owner = await shop.staff("owner")
    answer = await owner.post("/api/rooms", {"title": "One too many"})
    assert (answer.status_code, answer.json()["code"]) == (409, "rooms_full")


async def test_a_rehearsal_sells_copies_and_leaves_the_show_s_stock_alone(shop: Shop) -> None:
    host = await shop.staff("host")
    before = await page(host, shop.room_id)
    room = await rehearse(shop, host)
    assert (room["rehearsal"], room["rehearsal_of"]) == (True, shop.room_id)
    twin = await page(host, room["room_id"])
    assert twin["role"] == "host"
    assert [p["title"] for p in twin["products"]] == [p["title"] for p in before["products"]]
    ids = {p["product_id"] for p in (*twin["products"], *before["products"])}
    assert len(ids) == 2 * len(before["products"])
    variant = twin["products"][0]["variants"][0]
    sale = {"variant_id": variant["variant_id"], "price_minor": 100, "quota": 3}
    made = await host.post(f"/api/rooms/{room['room_id']}/sales", sale)
    assert made.status_code == 201, made.text
    assert (await host.post(f"/api/sales/{made.json()['sale_id']}/arm")).status_code == 200
    foreign = {**sale, "variant_id": shop.variant_id}
    refused = await host.post(f"/api/rooms/{room['room_id']}/sales", foreign)
    assert refused.json()["code"] == "not_in_room", "the show's own stock can't be sold in its rehearsal"
    assert (await page(host, shop.room_id))["products"] == before["products"]


async def test_a_rehearsal_begins_with_all_units_again_and_follows_the_show_s_run(shop: Shop) -> None:
    host = await shop.staff("host")
    first = await page(host, (await rehearse(shop, host))["room_id"])
    room_id = first["room"]["room_id"]
    live = await host.post(f"/api/rooms/{room_id}/status", {"status": "live"})
    assert live.status_code == 200
    same = await rehearse(shop, host)
    assert same["status"] == "live"
    assert (await page(host, room_id))["products"] == first["products"], "one that is on air stays as it is"
    await host.post(f"/api/rooms/{room_id}/status", {"status": "ended"})
    await host.post(f"/api/rooms/{shop.room_id}/products", {"title": "Cup", "price_minor": 900, "stock": 3})
    again = await page(host, (await rehearse(shop, host))["room_id"])
    assert again["room"]["room_id"] == room_id
    assert again["room"]["status"] == "preshow"
    assert len(again["products"]) == len(first["products"]) + 1
    assert not {p["product_id"] for p in again["products"]} & {p["product_id"] for p in first["products"]}


async def test_a_rehearsal_says_what_the_show_will_say(shop: Shop) -> None:
    host = await shop.staff("host")
    spoken = {"script": "Hold it up.", "minute": 4}
    for version, text in ((0, "Old."), (1, spoken["script"])):
        path = f"/api/rooms/{shop.room_id}/products/pr_mug/script"
        answer = await host.call("PUT", path, {**spoken, "script": text, "version": version})
        assert answer.status_code == 200, answer.text
        room_id = (await rehearse(shop, host))["room_id"]
        found = (await host.get(f"/api/rooms/{room_id}/scripts")).json()["scripts"]
        assert [(one["script"], one["minute"]) for one in found if one["script"]] == [(text, 4)]


async def test_a_rehearsal_has_no_rehearsal_and_needs_a_producer(shop: Shop) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    room_id = (await rehearse(shop, host))["room_id"]
    answer = await host.post(f"/api/rooms/{room_id}/rehearsal")
    assert (answer.status_code, answer.json()["code"]) == (409, "is_rehearsal")
    assert (await seller.post(f"/api/rooms/{shop.room_id}/rehearsal")).status_code == 403


async def test_no_real_money_moves_in_a_rehearsal(shop: Shop) -> None:
    host, ann = await shop.staff("host"), await shop.guest()
    room_id = (await rehearse(shop, host))["room_id"]
    shop.wiring.providers["stripe"] = shop.wiring.sandbox  # type: ignore[index]
    names = [
        [one["name"] for one in (await ann.get(f"/api/payment-providers?room_id={room}")).json()["providers"]]
        for room in (room_id, shop.room_id)
    ]
    assert names == [["sandbox"], ["sandbox", "stripe"]]
    twin = await page(host, room_id)
    variant_id = twin["products"][0]["variants"][0]["variant_id"]
    order = await ordered(shop, host, ann, room_id, variant_id)
    path = f"/api/orders/{order['order_id']}/payments"
    refused = await ann.post(path, {"provider": "stripe", "method": "page"})
    assert refused.json()["code"] == "rehearsal_payment", refused.text
    paid = await ann.post(path, {"provider": "sandbox", "method": "card", "card_number": CARD})
    assert paid.json()["order"]["state"] == "paid"


async def ordered(shop: Shop, host: Browser, buyer: Browser, room_id: str, variant_id: str) -> dict[str, Any]:
    """An order of one unit that is not paid."""
    sale = await host.post(
        f"/api/rooms/{room_id}/sales",
        {"variant_id": variant_id, "price_minor": 100, "quota": 2, "countdown_ms": 0, "duration_ms": 600_000},
    )
    sale_id = sale.json()["sale_id"]
    for action in ("arm", "fire"):
        assert (await host.post(f"/api/sales/{sale_id}/{action}")).status_code == 200
    await shop.wiring.sale_desk.tick()
    decision = await tap(replace(shop, room_id=room_id), buyer, sale_id)
    answer = await place(buyer, decision["token"])
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


# -- before the show


async def lights(browser: Browser, room_id: str) -> dict[str, dict[str, Any]]:
    answer = await browser.get(f"/api/rooms/{room_id}/preflight")
    assert answer.status_code == 200, answer.text
    return {one["check"]: one for one in answer.json()["checks"]}


async def test_the_preflight_says_what_is_missing_and_turns_green_with_it(shop: Shop) -> None:
    owner = await shop.staff("owner")
    room_id = (await owner.post("/api/rooms", {"title": "Tea at nine"})).json()["room_id"]
    first = await lights(owner, room_id)
    assert {name: one["light"] for name, one in first.items() if name != "space"} == {
        "picture": "warn",
        "clock": "good",
        "payments": "good",
        "stock": "bad",
        "floors": "good",
        "moderator": "warn",
        "words": "warn",
        "rehearsal": "warn",
    }
    item = {"title": "Cup", "price_minor": 900, "stock": 0}
    await owner.post(f"/api/rooms/{room_id}/products", item)
    assert (await lights(owner, room_id))["stock"] == {
        "check": "stock",
        "light": "warn",
        "facts": {"products": 1, "empty": 1},
    }
    await shop.wiring.broker.publish(room_id, values={"media": (1, {"publishing": True})})
    assert (await lights(owner, room_id))["picture"]["light"] == "good"
    assert (await lights(await shop.staff("owner"), shop.room_id))["moderator"]["light"] == "good"
    assert (await (await shop.guest()).get(f"/api/rooms/{room_id}/preflight")).status_code == 401


async def test_the_preflight_knows_when_this_run_of_show_was_rehearsed(shop: Shop) -> None:
    host = await shop.staff("host")
    twin_id = (await rehearse(shop, host))["room_id"]
    assert (await lights(host, shop.room_id))["rehearsal"]["facts"] == {}, "prepared is not rehearsed"
    await host.post(f"/api/rooms/{twin_id}/status", {"status": "live"})
    done = (await lights(host, shop.room_id))["rehearsal"]
    assert (done["light"], done["facts"]["changed"]) == ("good", 0)
    async with shop.wiring.database.read() as c:
        [line] = await audit.done_since(c, twin_id, {"status"}, 0, 5)
    assert done["facts"]["at_ms"] == line.at_ms
    await host.post(f"/api/rooms/{shop.room_id}/products", {"title": "Cup", "price_minor": 900, "stock": 3})
    changed = (await lights(host, shop.room_id))["rehearsal"]
    assert (changed["light"], changed["facts"]["changed"]) == ("warn", 1)
    assert "rehearsal" not in await lights(host, twin_id)
