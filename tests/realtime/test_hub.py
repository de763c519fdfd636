from __future__ import annotations

import asyncio

from realtime.broker import Broker
from tests.realtime.hubs import running_hub, watching
from tests.services import wait_until


async def test_a_comment_sent_to_one_hub_arrives_at_the_other(redis_url: str, room_id: str) -> None:
    async with running_hub(redis_url) as one, running_hub(redis_url) as other:
        async with watching(one.url, room_id) as a, watching(other.url, room_id) as b:
            reply = await a.client.command("comment", text="  hello 你好 ")
            await wait_until(lambda: b.texts == ["hello 你好"], what="the comment on the other hub")
            await wait_until(lambda: a.texts == ["hello 你好"])
            assert b.events == a.events
            offset, _, data = b.events[0]
            assert offset == reply["offset"] == 1
            assert data["id"] == reply["comment_id"]
            assert (data["viewer_id"], data["name"], data["role"]) == (
                a.viewer_id,
                a.viewer_id.upper(),
                "viewer",
            )


async def test_every_viewer_sees_the_same_order(redis_url: str, broker: Broker, room_id: str) -> None:
    async with running_hub(redis_url) as one, running_hub(redis_url) as other:
        async with watching(one.url, room_id) as a, watching(other.url, room_id) as b:
            await asyncio.gather(
                *(broker.publish(room_id, events=[("comment", {"text": f"p{i}"})]) for i in range(50)),
                *(one.broker.publish(room_id, events=[("comment", {"text": f"a{i}"})]) for i in range(50)),
                *(other.broker.publish(room_id, events=[("comment", {"text": f"b{i}"})]) for i in range(50)),
            )
            await wait_until(lambda: len(a.events) == len(b.events) == 150)
            assert a.events == b.events
            assert a.offsets == list(range(1, 151))
