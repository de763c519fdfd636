"""How late viewers' pictures are: told with a ping, counted by hubs, added up in Redis."""

from __future__ import annotations

from typing import Any

import pytest

from realtime.broker import Broker
from realtime.delays import BOUNDS_MS, CLASSES, NO_PICTURE, by_way, place_of
from realtime.hub import HubSettings
from realtime.protocol import CommandError
from tests.realtime.hubs import RunningHub, running_hub, watching
from tests.services import wait_until

QUICK = HubSettings(likes_interval_s=0.02, delays_interval_s=0.02)


@pytest.mark.parametrize(
    ("params", "place"),
    [
        ({}, NO_PICTURE),
        ({"delay_ms": 5}, NO_PICTURE),
        ({"video": "webrtc", "delay_ms": 0}, 0),
        ({"video": "webrtc", "delay_ms": 50}, 0),
        ({"video": "webrtc", "delay_ms": 51}, 1),
        ({"video": "webrtc", "delay_ms": 60_000}, CLASSES - 1),
        ({"video": "hls", "delay_ms": 0}, CLASSES),
        ({"video": "hls", "delay_ms": 30_000}, 2 * CLASSES - 2),
    ],
)
def test_a_ping_tells_the_class_of_its_page_s_delay(params: dict[str, Any], place: int) -> None:
    assert place_of(params) == place


@pytest.mark.parametrize(
    "params",
    [
        {"video": "tape", "delay_ms": 1},
        {"video": ["hls"], "delay_ms": 1},
        {"video": "hls"},
        {"video": "hls", "delay_ms": -1},
        {"video": "hls", "delay_ms": 60_001},
        {"video": "hls", "delay_ms": 2.5},
        {"video": "hls", "delay_ms": True},
    ],
)
def test_a_delay_that_is_none_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(CommandError) as refused:
        place_of(params)
    assert refused.value.code == "bad_params"


async def pages(broker: Broker, room_id: str) -> dict[str, dict[int | None, int]]:
    """Classes by their upper bound, those with pages only."""
    counts = by_way(await broker.delays(room_id))
    return {
        way: {up_to: count for up_to, count in zip((*BOUNDS_MS, None), of_way, strict=True) if count}
        for way, of_way in counts.items()
    }


async def test_the_delays_of_all_hubs_are_one_distribution_and_who_leaves_is_not_in_it(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    async def is_now(webrtc: dict[int | None, int], hls: dict[int | None, int]) -> bool:
        return await pages(broker, room_id) == {"webrtc": webrtc, "hls": hls}

    async with running_hub(redis_url, QUICK) as one, running_hub(redis_url, QUICK) as other:
        async with watching(one.url, room_id) as a, watching(other.url, room_id) as b:
            async with watching(other.url, room_id) as c:
                await a.client.command("ping", video="webrtc", delay_ms=40)
                await b.client.command("ping", video="hls", delay_ms=2_800)
                await c.client.command("ping", video="hls", delay_ms=2_900)
                await wait_until(lambda: is_now({50: 1}, {3_000: 2}))
                with pytest.raises(CommandError, match="delay_ms"):
                    await c.client.command("ping", video="hls", delay_ms="late")
            await wait_until(lambda: is_now({50: 1}, {3_000: 1}))
            await a.client.command("ping", video="hls", delay_ms=59_000)
            await b.client.command("ping")
            await wait_until(lambda: is_now({}, {None: 1}))
            assert metric(one, "hls", "30") == 0
            assert metric(one, "hls", "+Inf") == 1
            assert metric(other, "hls", "+Inf") == 0
        await wait_until(lambda: is_now({}, {}))


async def test_a_hub_that_fell_silent_no_longer_counts(
    broker: Broker, room_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.broker.DELAYS_STALE_MS", 60_000)
    counts = [0] * (2 * CLASSES)
    counts[0] = 5
    assert (await broker.enter_delays(room_id, "dead hub", counts))[0] == 5
    monkeypatch.setattr("realtime.broker.DELAYS_STALE_MS", -1)
    assert not any(await broker.delays(room_id))


def metric(hub: RunningHub, way: str, le: str) -> float:
    hub.hub.metrics_text()
    value = hub.hub.metrics.registry.get_sample_value(
        "flashroom_hub_video_delay_viewers", {"way": way, "le": le}
    )
    assert value is not None
    return value
