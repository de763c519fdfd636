"""A room hears that nobody publishes also when the process that knew it can't say so any more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from live.media import on_air
from live.media.announcer import Announcer
from live.media.on_air import OnAir
from live.media.sessions import Sessions
from realtime.broker import Broker
from tests.live.media.test_streams import KEY, Clock, RecordingSource
from tests.services import redis_server, wait_until


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    with redis_server(tmp_path) as url:
        broker = await Broker.connect(url)
        yield broker
        await broker.aclose()


class Process:
    """What a media process says of one room, where a host publishes."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.clock = Clock()
        self.sessions = Sessions(self.clock)
        self.announcer = Announcer(
            self.sessions,
            lambda room_id, values: broker.publish(room_id, values=values),
            lambda: int(self.clock.now_s * 1000),
            self.clock,
            OnAir(broker).renew,
        )
        self._source = RecordingSource()
        self.sessions.stream("rm_1").attach(self._source)

    async def goes_on(self) -> None:
        self.clock.now_s += 0.5
        self.sessions.stream("rm_1").receive(
            self._source, "video", "H264", int(self.clock.now_s * 2), 0, True, KEY
        )
        await self.announcer.look()


async def media(broker: Broker) -> tuple[int, dict[str, Any]]:
    return (await broker.values("rm_1"))["media"]


async def test_a_room_whose_process_is_killed_is_told_and_one_whose_process_lives_is_not(
    broker: Broker,
) -> None:
    process = Process(broker)
    for _ in range(3):
        await process.goes_on()
        assert await OnAir(broker).end_silent(7) == 0
    version, before = await media(broker)
    assert before["publishing"] is True

    async def given_up() -> bool:
        return await OnAir(broker).end_silent(999_999) == 1

    await wait_until(given_up, 5, "the room to be told")
    assert await media(broker) == (version + 1, {**before, "publishing": False, "since_ms": 999_999})
    assert await OnAir(broker).end_silent(1_000_000) == 0, "once is enough"


async def test_a_process_that_was_only_slow_says_again_that_it_is_on_air(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(broker)
    await process.goes_on()
    monkeypatch.setattr(on_air, "SILENCE_MS", 0)
    assert await OnAir(broker).end_silent(5) == 1
    assert (await media(broker))[1]["publishing"] is False
    await process.goes_on()
    assert (await media(broker))[1]["publishing"] is True


async def test_a_redis_that_forgot_everything_is_told_anew(broker: Broker) -> None:
    process = Process(broker)
    await process.goes_on()
    await broker.redis.flushall()
    await process.goes_on()
    assert (await media(broker))[1]["publishing"] is True
