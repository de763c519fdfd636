from __future__ import annotations

import asyncio
from typing import Any

import pytest

from realtime.broker import Broker, channel_of
from realtime.hub import HubSettings
from realtime.tickets import Viewer
from tests.realtime.hubs import running_hub, ticket, watching, wire
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


@pytest.mark.usefixtures("quick_peak")
async def test_a_room_without_viewers_is_let_go_and_taken_up_again(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    settings = HubSettings(room_idle_s=0.1, likes_interval_s=0.02, presence_interval_s=0.02)

    async def subscribers() -> int:
        ((_, count),) = await broker.redis.pubsub_numsub(channel_of(room_id))
        return int(count)

    async with running_hub(redis_url, settings) as hub:
        async with watching(hub.url, room_id) as viewer:
            await viewer.client.command("comment", text="a")
            await wait_until(lambda: (viewer.client.values.get("watching") or (0, {}))[1].get("count") == 1)
            assert await subscribers() == 1
        await wait_until(lambda: not hub.hub._rooms)

        async def is_unsubscribed() -> bool:
            return await subscribers() == 0

        await wait_until(is_unsubscribed)
        assert (await broker.values(room_id))["watching"][1] == {"count": 0, "peak": 1}
        await broker.publish(room_id, events=[("comment", {"text": "b"})])
        async with watching(hub.url, room_id) as viewer:
            assert viewer.texts == ["a", "b"]
            await viewer.client.command("comment", text="c")
            await wait_until(lambda: viewer.texts == ["a", "b", "c"])
        assert len(hub.hub._room_tasks) <= 1


@pytest.mark.usefixtures("quick_peak")
async def test_people_are_counted_once_over_tabs_and_hubs_and_ghosts_are_not_people(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    async with running_hub(redis_url) as one, running_hub(redis_url) as other:
        async with (
            watching(one.url, room_id, "gu_a"),
            watching(one.url, room_id, "gu_a"),
            watching(other.url, room_id, "gu_b") as viewer,
            watching(other.url, room_id, "gu_ghost", ghost=True),
        ):
            await wait_until(
                lambda: viewer.client.values.get("watching", (0, {}))[1] == {"count": 2, "peak": 2}
            )
            presence = await broker.presence(room_id)
            assert (presence.count, presence.ghosts) == (2, 1)
            await one.hub.aclose()
            await wait_until(lambda: viewer.client.values["watching"][1] == {"count": 1, "peak": 2})


async def test_likes_of_all_hubs_are_one_total(redis_url: str, room_id: str) -> None:
    async with running_hub(redis_url) as one, running_hub(redis_url) as other:
        async with watching(one.url, room_id) as a, watching(other.url, room_id) as b:
            await asyncio.gather(*(w.client.command("like", count=7) for w in (a, b) * 4))
            await wait_until(
                lambda: a.client.values.get("likes") == b.client.values.get("likes") == (56, {"total": 56})
            )


async def test_a_removed_value_is_told_and_not_part_of_snapshots(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    async with running_hub(redis_url) as hub, watching(hub.url, room_id) as viewer:
        await broker.publish(room_id, values={"sale:a": (1, {"state": "open"})})
        await wait_until(lambda: "sale:a" in viewer.client.values)
        await broker.publish(room_id, values={"sale:a": (2, None)})
        await wait_until(lambda: viewer.client.values["sale:a"] == (2, None))
        async with watching(hub.url, room_id) as later:
            assert "sale:a" not in later.client.values


async def test_a_drain_answers_what_was_asked_then_sends_everyone_elsewhere(
    redis_url: str, room_id: str
) -> None:
    answer = asyncio.Event()

    async def hold(viewer: Viewer, params: dict[str, Any]) -> dict[str, Any]:
        await answer.wait()
        return {"decision": "granted"}

    settings = HubSettings(drain_reconnect_ms=50)
    async with running_hub(redis_url, settings, {"hold": hold}) as old, running_hub(redis_url) as new:
        urls = [old.url]
        async with watching(lambda: urls[0], room_id) as viewer, wire(old.url) as buyer:
            await buyer.join(ticket(room_id))
            await buyer.send(2, "hold", {})
            await wait_until(lambda: old.hub._in_flight == 1)
            urls[0] = new.url
            draining = asyncio.create_task(old.hub.drain(0.2))
            await wait_until(lambda: viewer.client.close_codes == [1001])
            answer.set()
            assert (await buyer.reply(2))[2:] == [True, {"decision": "granted"}]
            assert await buyer.close_code() == 1001
            await draining
            assert not old.hub._connections
            await wait_until(viewer.client.joined.is_set)
            await viewer.client.command("comment", text="on the new one")
            await wait_until(lambda: viewer.texts == ["on the new one"])
            assert viewer.client.jumps == 0
