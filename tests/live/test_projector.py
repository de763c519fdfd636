"""What viewers see of commerce, on a real Redis and SQL."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgpack
import pytest

from commerce import outbox
from commerce.hot_ledger import HoldRequest
from commerce.payments.provider import PaymentAnswer
from live.projector import masked_name
from tests.live.api.test_orders import place, tap
from tests.live.conftest import ADDRESS, CARD, Shop

Message = tuple[str, list[Any]]


@asynccontextmanager
async def published(shop: Shop) -> AsyncIterator[list[list[Any]]]:
    """What is published to the room inside the block, decoded by hand: `['room', epoch, first, events, values]` and the like."""
    seen: list[list[Any]] = []
    pubsub = shop.wiring.redis.pubsub()
    await pubsub.subscribe(f"{{room:{shop.room_id}}}:rt:live")
    while (message := await pubsub.get_message(timeout=1)) and message["type"] != "subscribe":
        pass
    yield seen
    while message := await pubsub.get_message(ignore_subscribe_messages=True, timeout=0.1):
        seen.append(msgpack.unpackb(message["data"], raw=True))
    await pubsub.aclose()


async def relay(shop: Shop) -> int:
    sent = await outbox.relay(shop.wiring.database, shop.wiring.projector.deliver, owner=uuid.uuid4().hex)
    await shop.wiring.projector.publish_moved()
    return sent


async def events_of(shop: Shop) -> list[tuple[str, dict[str, Any]]]:
    return [event for _, event in await shop.wiring.broker.history(shop.room_id, 0, 1000)]


async def buy(shop: Shop, sale_id: str) -> tuple[Any, str]:
    """A guest holds, orders and pays one unit; gives the browser and the viewer id."""
    guest = await shop.guest("Alice Chen")
    viewer_id = (await guest.get("/api/me")).json()["viewer"]["viewer_id"]
    from commerce.hold_desk import HoldDesk

    desk = HoldDesk(
        shop.wiring.hot_ledger, shop.wiring.settings.key("hold token"), shop.wiring.projector.publish_numbers
    )
    decision = await desk.hold(shop.room_id, sale_id, HoldRequest("request-1", viewer_id, 1))
    await desk.aclose()
    body = {
        "hold_token": decision["token"],
        "name": "Alice Chen",
        "address": {**ADDRESS, "contact": f"{decision['hold_id']}@example.com"},
    }
    order = (await guest.post("/api/orders", body)).json()
    paid = await guest.post(
        f"/api/orders/{order['order_id']}/payments", {"method": "card", "card_number": CARD}
    )
    assert paid.json()["payment"]["state"] == "succeeded"
    return guest, viewer_id


async def test_a_fired_sale_is_an_event_and_two_values(shop: Shop) -> None:
    sale = await shop.open_sale(await shop.staff("host"))
    await relay(shop)
    states = [data["state"] for type_, data in await events_of(shop) if type_ == "sale"]
    assert states == ["armed", "countdown", "open"]
    values = await shop.wiring.broker.values(shop.room_id)
    assert values[f"sale:{sale['sale_id']}"][1]["state"] == "open"
    stock = values[f"stock:{sale['sale_id']}"][1]
    assert (stock["quota"], stock["available"], stock["held"], stock["sold"]) == (2, 2, 0, 0)


async def test_a_draft_is_nobody_elses_business(shop: Shop) -> None:
    host = await shop.staff("host")
    body = {"variant_id": shop.variant_id, "price_minor": 5000, "quota": 2}
    created = await host.post(f"/api/rooms/{shop.room_id}/sales", body)
    await host.post(f"/api/sales/{created.json()['sale_id']}/validate")
    await relay(shop)
    await shop.wiring.projector.publish_room(shop.room_id)
    assert not any(key.startswith("sale:") for key in await shop.wiring.broker.values(shop.room_id))
    assert await events_of(shop) == []


async def test_a_disarmed_sale_disappears_and_comes_back_when_armed_again(shop: Shop) -> None:
    host = await shop.staff("host")
    body = {"variant_id": shop.variant_id, "price_minor": 5000, "quota": 2}
    sale_id = (await host.post(f"/api/rooms/{shop.room_id}/sales", body)).json()["sale_id"]

    async def shown() -> bool:
        await relay(shop)
        return f"sale:{sale_id}" in await shop.wiring.broker.values(shop.room_id)

    await host.post(f"/api/sales/{sale_id}/arm")
    assert await shown()
    await host.post(f"/api/sales/{sale_id}/disarm")
    assert not await shown()
    await host.post(f"/api/sales/{sale_id}/arm")
    assert await shown()


async def test_a_paid_order_is_a_masked_ticker_line_a_personal_message_and_a_count(shop: Shop) -> None:
    sale = await shop.open_sale(await shop.staff("host"))
    _, viewer_id = await buy(shop, sale["sale_id"])
    await relay(shop)
    ticker = [data for type_, data in await events_of(shop) if type_ == "order"]
    assert [(line["name"], line["product_id"], line["quantity"]) for line in ticker] == [
        ("A***n", shop.product_id, 1)
    ]
    assert "ghost" not in ticker[0]
    missed = await shop.wiring.broker.personal_after(shop.room_id, viewer_id, 0)
    told = [msgpack.unpackb(packed) for _, packed in missed.messages]
    assert [(type_, data["state"]) for type_, data in told] == [("order", "placed"), ("order", "paid")]
    assert told[0][1]["order_number"] == told[1][1]["order_number"]
    values = await shop.wiring.broker.values(shop.room_id)
    assert values["orders"][1] == {"placed": 1, "paid": 1}
    assert values[f"stock:{sale['sale_id']}"][1]["sold"] == 1


async def test_orders_that_arrive_together_move_a_rooms_values_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale = await shop.open_sale(await shop.staff("host"))
    for _ in range(2):
        await buy(shop, sale["sale_id"])
    counted: list[str] = []
    count = shop.wiring.projector._order_values

    async def counting(self: object, room_id: str) -> Any:
        counted.append(room_id)
        return await count(room_id)

    monkeypatch.setattr("live.projector.Projector._order_values", counting)
    assert await relay(shop) >= 4
    assert counted == [shop.room_id]
    assert (await shop.wiring.broker.values(shop.room_id))["orders"][1] == {"placed": 2, "paid": 2}


async def test_an_event_delivered_twice_is_seen_once(shop: Shop) -> None:
    sale = await shop.open_sale(await shop.staff("host"))
    _, viewer_id = await buy(shop, sale["sale_id"])
    delivered: list[outbox.OutboxEvent] = []

    async def deliver(event: outbox.OutboxEvent) -> None:
        await shop.wiring.projector.deliver(event)
        delivered.append(event)

    await outbox.relay(shop.wiring.database, deliver, owner=uuid.uuid4().hex)
    before = await events_of(shop)
    personal = await shop.wiring.broker.personal_after(shop.room_id, viewer_id, 0)
    assert delivered
    for event in delivered:
        await shop.wiring.projector.deliver(event)
    assert await events_of(shop) == before
    assert await shop.wiring.broker.personal_after(shop.room_id, viewer_id, 0) == personal


async def test_an_emptied_redis_is_filled_again_with_the_same_versions(shop: Shop) -> None:
    sale = await shop.open_sale(await shop.staff("host"))
    await relay(shop)
    before = await shop.wiring.broker.values(shop.room_id)
    await shop.wiring.redis.delete(f"{{room:{shop.room_id}}}:rt:values")
    assert await shop.wiring.broker.values(shop.room_id) == {}
    await shop.wiring.projector.publish_room(shop.room_id)
    after = await shop.wiring.broker.values(shop.room_id)
    key = f"sale:{sale['sale_id']}"
    assert after[key] == before[key]
    assert after[f"stock:{sale['sale_id']}"][1]["quota"] == 2


async def test_publishing_unchanged_values_again_sends_nothing(shop: Shop) -> None:
    await shop.open_sale(await shop.staff("host"))
    await shop.wiring.projector.publish_room(shop.room_id)
    async with published(shop) as seen:
        await shop.wiring.projector.publish_room(shop.room_id)
    assert seen == []
    async with published(shop) as seen:  # positive control: a changed value is sent
        await shop.wiring.broker.publish(shop.room_id, values={"orders": (99, {"placed": 99, "paid": 0})})
    assert len(seen) == 1


async def test_old_finished_sales_leave_the_snapshot(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    host = await shop.staff("host")
    sale = await shop.open_sale(host, hold_ms=1000)
    await host.post(f"/api/sales/{sale['sale_id']}/end", {"reason": "host"})
    await shop.wiring.sale_desk.tick(sale["closes_at_ms"] + 60_000)
    await shop.wiring.projector.publish_room(shop.room_id)
    assert await shop.wiring.projector.forget_old_sales(shop.room_id) == 0
    monkeypatch.setattr("live.projector.FINISHED_SALES_SHOWN", 1)
    other = await shop.open_sale(host, variant_id="va_mug_red")
    assert await shop.wiring.projector.forget_old_sales(shop.room_id) == 2
    values = await shop.wiring.broker.values(shop.room_id)
    assert f"sale:{sale['sale_id']}" not in values
    assert f"sale:{other['sale_id']}" in values


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("Alice Chen", "A***n"),
        ("张伟", "张***"),
        ("Bo", "B***"),
        ("王小明", "王***明"),
        ("  ", "***"),
        ("", "***"),
    ],
)
def test_a_masked_name_gives_away_two_characters_at_most(name: str, masked: str) -> None:
    assert masked_name(name) == masked


async def test_a_pending_payment_that_is_declined_is_told_at_once(shop: Shop) -> None:
    sale = await shop.open_sale(await shop.staff("host"))
    ann = await shop.guest("Ann")
    decision = await tap(shop, ann, sale["sale_id"])
    order = (await place(ann, decision["token"])).json()
    slow = {"method": "card", "card_number": "4000000000000341"}
    answer = (await ann.post(f"/api/orders/{order['order_id']}/payments", slow)).json()
    assert answer["payment"]["state"] == "pending"
    declined = PaymentAnswer(outcome="declined", reason="card_declined")
    await shop.wiring.cashier.settle(answer["payment"]["attempt_id"], declined, "webhook")
    await relay(shop)
    viewer_id = (await ann.get("/api/me")).json()["viewer"]["viewer_id"]
    missed = await shop.wiring.broker.personal_after(shop.room_id, viewer_id, 0)
    told = [msgpack.unpackb(packed) for _, packed in missed.messages]
    assert [
        "payment",
        {
            "order_id": order["order_id"],
            "hold_id": decision["hold_id"],
            "sale_id": sale["sale_id"],
            "reason": "card_declined",
            "state": "declined",
        },
    ] in told
