"""Who waits in line hears each time their place moves, and nobody hears what they know."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from commerce.hot_ledger import connect_redis
from live.wait_list_places import Places
from realtime.broker import Broker
from tests.commerce.hot_sale import HotSale


@pytest.fixture
async def sale(redis_url: str) -> AsyncIterator[HotSale]:
    redis = connect_redis(redis_url)
    made = HotSale(redis)
    await made.open(quota=1)
    await made.granted("gu_owner")
    for buyer in ("gu_a", "gu_b", "gu_c"):
        assert (await made.tap(buyer, wait=True)).decision == "waiting"
    yield made
    await redis.aclose()


async def told(broker: Broker, sale: HotSale, buyer_id: str) -> list[int]:
    import msgpack

    missed = await broker.personal_after(sale.room_id, buyer_id, 0)
    messages = [msgpack.unpackb(packed) for _, packed in missed.messages]
    return [data["place"] for type_, data in messages if type_ == "waitlist"]


async def test_places_move_up_when_somebody_before_leaves_or_is_served(sale: HotSale, redis_url: str) -> None:
    broker = await Broker.connect(redis_url)
    places = Places(sale.ledger, broker)
    assert await places.tell(*sale.key, 3) == 3
    assert await places.tell(*sale.key, 3) == 0
    await sale.ledger.leave(*sale.key, "gu_a")
    assert await places.tell(*sale.key, 2) == 2
    assert [await told(broker, sale, buyer) for buyer in ("gu_a", "gu_b", "gu_c")] == [[1], [2, 1], [3, 2]]
    assert await places.tell(*sale.key, 0) == 0
    await broker.aclose()
