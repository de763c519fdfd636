"""Messages arrive at least once, repeats carry the same id, and what can't arrive is kept where somebody can see it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping

import pytest
from sqlalchemy import select

from commerce import crash_points
from commerce.database import Database
from commerce.errors import Invalid, NotFound, OutOfState
from commerce.merchant_webhooks import deliveries, endpoints
from commerce.merchant_webhooks.deliveries import PAUSES_MS, Sender
from commerce.merchant_webhooks.endpoints import MAX_ENDPOINTS, OLD_SECRET_MS, WebhookEndpoint
from commerce.schema import webhook_delivery
from tests.commerce.world import Clock

KEY = b"k" * 32
PAYLOAD = {"order_id": "or_1", "room_id": "rm_1", "at_ms": 1_000, "ghost": False}


class Receiver:
    """A merchant's system: answers in turn what it is told to, the last one for ever."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers or [200])
        self.heard: list[tuple[str, str]] = []
        self.signatures: list[str] = []

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str | None]:
        self.heard.append((url, headers["webhook-id"]))
        self.signatures.append(headers["webhook-signature"])
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return status, None if status else "ConnectError"


class Desk:
    """A room with endpoints, a sender and a clock."""

    def __init__(self, database: Database, receiver: Receiver) -> None:
        self.database, self.receiver, self.clock = database, receiver, Clock()
        self.sender = Sender(database, KEY, receiver.post, self.clock, random.Random(1))

    async def endpoint(self, name: str = "we_1", types: tuple[str, ...] = ()) -> WebhookEndpoint:
        async with self.database.begin() as c:
            url = f"https://shop.example/{name}"
            return await endpoints.create(c, name, "rm_1", url, types, self.clock())

    async def happens(self, number: int = 1, event: str = "order_paid") -> int:
        async with self.database.begin() as c:
            return await deliveries.enqueue(c, f"evt_{number}", event, PAYLOAD, self.clock())

    async def rows(self) -> list[tuple[str, int, int | None]]:
        async with self.database.read() as c:
            found = await c.execute(select(webhook_delivery).order_by(webhook_delivery.c.delivery_id))
            return [(row.state, row.tries, row.last_status) for row in found]

    async def state(self, name: str = "we_1") -> tuple[str, str | None]:
        async with self.database.read() as c:
            found = await endpoints.get(c, "rm_1", name)
        return found.state, found.disabled_reason


async def test_an_event_is_one_row_per_endpoint_that_wants_it_however_often_it_is_told(
    database: Database,
) -> None:
    desk = Desk(database, Receiver())
    await desk.endpoint("we_all")
    await desk.endpoint("we_paid", ("order.paid",))
    await desk.endpoint("we_refunds", ("refund.succeeded",))
    assert await desk.happens() == 2
    assert await desk.happens() == 2
    assert await desk.happens(2, "sale_changed") == 0
    assert await desk.sender.send_due() == 2
    assert sorted(desk.receiver.heard) == [
        ("https://shop.example/we_all", "evt_1"),
        ("https://shop.example/we_paid", "evt_1"),
    ]
    assert await desk.sender.send_due() == 0


async def test_failures_are_repeated_with_growing_pauses_and_the_same_id_until_they_arrive(
    database: Database,
) -> None:
    desk = Desk(database, Receiver(500, 0, 302, 200))
    await desk.endpoint()
    await desk.happens()
    for pause_ms in (0, *PAUSES_MS[:3]):
        assert await desk.rows() != [("delivered", 4, 200)]
        desk.clock.pass_ms(round(pause_ms * 1.2) + 1)
        await desk.sender.send_due()
        assert await desk.sender.send_due() == 0  # not at once again
    assert await desk.rows() == [("delivered", 4, 200)]
    assert {heard[1] for heard in desk.receiver.heard} == {"evt_1"}


async def test_what_never_arrives_dies_switches_the_endpoint_off_and_can_be_replayed(
    database: Database,
) -> None:
    desk = Desk(database, Receiver(503))
    await desk.endpoint()
    await desk.happens()
    for pause_ms in (0, *PAUSES_MS):
        desk.clock.pass_ms(round(pause_ms * 1.2) + 1)
        await desk.sender.send_due()
    assert await desk.rows() == [("dead", len(PAUSES_MS) + 1, 503)]
    assert await desk.state() == ("disabled", "nothing arrived for days: answered 503")
    assert await desk.happens(2) == 0  # a switched-off endpoint collects nothing
    desk.receiver.answers = [204]
    async with database.begin() as c:
        await endpoints.enable(c, "rm_1", "we_1")
        assert await deliveries.replay_dead(c, "we_1", 0, desk.clock()) == 1
    assert await desk.sender.send_due() == 1
    assert await desk.rows() == [("delivered", 1, 204)]
    async with database.begin() as c:
        ((one,), _) = await deliveries.list_for_endpoint(c, "we_1", "delivered", 10, None)
        await deliveries.replay(c, "we_1", one.delivery_id, desk.clock())
        with pytest.raises(NotFound):
            await deliveries.replay(c, "we_1", one.delivery_id + 1, desk.clock())
    assert await desk.sender.send_due() == 1


async def test_gone_means_gone(database: Database) -> None:
    desk = Desk(database, Receiver(410))
    await desk.endpoint()
    await desk.happens()
    await desk.sender.send_due()
    assert (await desk.rows())[0][0] == "dead"
    assert (await desk.state())[0] == "disabled"


async def test_a_sender_that_dies_after_sending_sends_again_with_the_same_id(database: Database) -> None:
    desk = Desk(database, Receiver())
    await desk.endpoint()
    await desk.happens()
    with crash_points.armed("webhook.sent") as fired, pytest.raises(crash_points.Crashed):
        await desk.sender.send_due()
    assert fired == ["webhook.sent"]
    assert await Sender(database, KEY, desk.receiver.post, desk.clock).send_due() == 1
    assert [event_id for _, event_id in desk.receiver.heard] == ["evt_1", "evt_1"]


async def test_two_senders_send_each_message_once(database: Database) -> None:
    desk = Desk(database, Receiver())
    await desk.endpoint()
    for number in range(10):
        await desk.happens(number)
    other = Sender(database, KEY, desk.receiver.post, desk.clock)
    await asyncio.gather(desk.sender.send_due(), other.send_due())
    await desk.sender.send_due()
    assert sorted(event_id for _, event_id in desk.receiver.heard) == [f"evt_{n}" for n in range(10)]


async def test_after_a_rotation_both_secrets_sign_for_a_day(database: Database) -> None:
    desk = Desk(database, Receiver())
    await desk.endpoint()
    async with database.begin() as c:
        for _ in range(2):  # a repeated call rotates once
            assert (await endpoints.rotate(c, "rm_1", "we_1", 1, desk.clock())).generation == 2
    await desk.happens(1)
    await desk.sender.send_due()
    desk.clock.pass_ms(OLD_SECRET_MS)
    await desk.happens(2)
    await desk.sender.send_due()
    assert [len(signatures.split()) for signatures in desk.receiver.signatures] == [2, 1]


async def test_bounds_and_bad_input(database: Database) -> None:
    desk = Desk(database, Receiver())
    for number in range(MAX_ENDPOINTS):
        await desk.endpoint(f"we_{number}")
    await desk.endpoint("we_0")  # made before: no new one
    with pytest.raises(OutOfState):
        await desk.endpoint("we_more")
    async with database.begin() as c:
        with pytest.raises(NotFound):
            await endpoints.get(c, "rm_other", "we_0")
        await endpoints.remove(c, "rm_1", "we_0")
    for url in (
        "",
        "ftp://x",
        "http://shop.example",
        "https://",
        "https://u:p@x",
        "https://x#f",
        "https://x y",
    ):
        with pytest.raises(Invalid) as bad:
            endpoints.check(url, (), https_only=True)
        assert bad.value.code == "bad_url"
    with pytest.raises(Invalid):
        endpoints.check("https://shop.example", ("order.eaten",), https_only=True)


async def test_old_deliveries_are_forgotten(database: Database) -> None:
    desk = Desk(database, Receiver())
    await desk.endpoint()
    await desk.happens()
    await desk.sender.send_due()
    async with database.begin() as c:
        assert await deliveries.forget_old(c, desk.clock() + deliveries.KEEP_DONE_MS) == 0
        assert await deliveries.forget_old(c, desk.clock() + deliveries.KEEP_DONE_MS + 1) == 1
