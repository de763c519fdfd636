"""Viewers ask to see an item: counted once each, shown to everybody, cleared when it is shown."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from realtime.broker import Broker, now_ms
from realtime.protocol import CommandError
from realtime.requests import MAX_ITEMS, PER_ADDRESS, PER_VIEWER, Requests
from realtime.settings import HubSettings
from realtime.tickets import Viewer
from tests.realtime.hubs import running_hub, watching
from tests.services import wait_until

QUICK = HubSettings(requests_interval_s=0.05, likes_interval_s=0.05)


@pytest.fixture
async def requests(broker: Broker, room_id: str) -> Requests:
    made = Requests(broker)
    await made.allow(room_id, ["pr_mug", "pr_lamp"])
    return made


def viewer(room_id: str, number: int = 1, **about: Any) -> Viewer:
    return Viewer(f"gu_{number}", "Ann", "viewer", room_id, **about)


async def code_of(requests: Requests, who: Viewer, item: Any = "pr_mug") -> str:
    with pytest.raises(CommandError) as refused:
        await requests.ask(who, {"product_id": item})
    return refused.value.code


async def test_a_viewer_counts_once_per_item_until_it_is_shown(requests: Requests, room_id: str) -> None:
    first = await requests.ask(viewer(room_id), {"product_id": "pr_mug"})
    again = await requests.ask(viewer(room_id), {"product_id": "pr_mug"})
    assert (first.count, first.is_news, again.count, again.is_news) == (1, True, 1, False)
    assert (await requests.ask(viewer(room_id, 2), {"product_id": "pr_mug"})).count == 2
    await requests.ask(viewer(room_id), {"product_id": "pr_lamp"})
    version, value = await requests.read(room_id)
    counts = {item: count for item, (count, _) in value["items"].items()}
    assert (value["total"], counts) == (3, {"pr_mug": 2, "pr_lamp": 1})
    assert abs(value["items"]["pr_mug"][1] - first.at_ms) < 50

    await requests.clear(room_id, ["pr_mug"])
    later, value = await requests.read(room_id)
    assert later > version
    assert list(value["items"]) == ["pr_lamp"]
    await asyncio.sleep(0.002)
    renewed = await requests.ask(viewer(room_id), {"product_id": "pr_mug"})
    assert (renewed.count, renewed.is_news) == (1, True)
    # Who asked before it was shown sees by `since_ms` that the wish was heard.
    assert (await requests.read(room_id))[1]["items"]["pr_mug"][1] > again.at_ms


async def test_what_is_shown_now_is_not_asked_for(requests: Requests, broker: Broker, room_id: str) -> None:
    await broker.publish(room_id, values={"pin": (1, {"product_id": "pr_mug", "at_ms": 10})})
    assert await code_of(requests, viewer(room_id)) == "shown_now"
    await broker.publish(room_id, values={"pin": (2, {"product_id": None, "at_ms": 10})})
    assert (await requests.ask(viewer(room_id), {"product_id": "pr_mug"})).count == 1


async def test_only_what_is_in_the_run_may_be_asked_for(requests: Requests, room_id: str) -> None:
    assert await code_of(requests, viewer(room_id), "pr_other") == "unknown_item"
    for wrong in ("", "x" * 65, "pr_mug}:{", None, 7, ["pr_mug"]):
        assert await code_of(requests, viewer(room_id), wrong) == "bad_params"
    await requests.allow(room_id, [])
    assert await code_of(requests, viewer(room_id)) == "unknown_item"


async def test_muted_and_banned_viewers_cannot_ask_and_ghosts_do_not_count(
    requests: Requests, broker: Broker, room_id: str
) -> None:
    await broker.mute(room_id, "gu_1", now_ms() + 60_000)
    await broker.ban(room_id, "gu_2")
    assert await code_of(requests, viewer(room_id, 1)) == "muted"
    assert await code_of(requests, viewer(room_id, 2)) == "banned"
    await requests.ask(viewer(room_id, 3), {"product_id": "pr_mug"})
    ghost = await requests.ask(viewer(room_id, 4, ghost=True), {"product_id": "pr_mug"})
    assert (ghost.count, ghost.is_news) == (1, False)


async def test_a_viewer_and_an_address_may_ask_only_so_often(requests: Requests, room_id: str) -> None:
    for _ in range(PER_VIEWER):
        await requests.ask(viewer(room_id), {"product_id": "pr_mug"})
    assert await code_of(requests, viewer(room_id)) == "rate_limited"
    crowd = [replace(viewer(room_id, n), address="203.0.113.9") for n in range(100, 101 + PER_ADDRESS)]
    answers = [requests.ask(one, {"product_id": "pr_mug"}) for one in crowd]
    done = await asyncio.gather(*answers, return_exceptions=True)
    refused = [one for one in done if isinstance(one, CommandError)]
    assert [one.code for one in refused] == ["rate_limited"]
    assert refused[0].extra["retry_after_ms"] > 0
    assert (await requests.read(room_id))[1]["total"] == 1 + PER_ADDRESS


async def test_the_value_is_bounded(requests: Requests, room_id: str) -> None:
    items = [f"pr_{n}" for n in range(MAX_ITEMS + 50)]
    await requests.allow(room_id, items)
    for number, item in enumerate(items[:MAX_ITEMS]):
        await requests.ask(viewer(room_id, number), {"product_id": item})
    assert await code_of(requests, viewer(room_id), items[-1]) == "unknown_item"
    assert len((await requests.read(room_id))[1]["items"]) == MAX_ITEMS


async def test_everybody_sees_the_count_soon_and_many_taps_are_one_value(
    requests: Requests, redis_url: str, room_id: str
) -> None:
    async with (
        running_hub(redis_url, QUICK) as hub,
        watching(hub.url, room_id, "gu_ann") as ann,
        watching(hub.url, room_id, "gu_bob") as bob,
    ):
        answer = await ann.client.command("request", product_id="pr_mug")
        assert answer["count"] == 1
        assert abs(answer["at_ms"] - now_ms()) < 5000
        assert (await bob.client.command("request", product_id="pr_mug"))["count"] == 2
        await wait_until(lambda: bob.client.values.get("requests", (0, {"total": 0}))[1]["total"] == 2)
        assert bob.client.values["requests"][1]["items"]["pr_mug"][0] == 2
        async with watching(hub.url, room_id) as late:
            await wait_until(lambda: "requests" in late.client.values)
        await requests.clear(room_id)
        await wait_until(lambda: ann.client.values["requests"][1] == {"total": 0, "items": {}})


async def test_what_redis_loses_is_gone_and_may_be_asked_for_again(
    requests: Requests, broker: Broker, room_id: str
) -> None:
    await requests.ask(viewer(room_id), {"product_id": "pr_mug"})
    async for key in broker.redis.scan_iter(f"{{room:{room_id}}}*"):
        await broker.redis.delete(key)
    assert (await requests.read(room_id))[1] == {"total": 0, "items": {}}
    await requests.allow(room_id, ["pr_mug"])
    assert (await requests.ask(viewer(room_id), {"product_id": "pr_mug"})).count == 1
