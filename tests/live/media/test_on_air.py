"""A room hears that nobody publishes also when the process that knew it can't say so any more."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from live.media import on_air
from live.media.announcer import Announcer
from live.media.on_air import OnAir
from live.media.sessions import Sessions
from realtime.broker import Broker, BrokerUnavailable
from tests.live.media.test_streams import KEY, Clock, RecordingSource
from tests.redis_cluster import running_cluster
from tests.services import redis_server, wait_until


@pytest.fixture(scope="module", params=["one server", "a cluster"])
def redis_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("redis")
    if request.param == "one server":
        with redis_server(folder) as url:
            yield url
    else:
        with running_cluster(folder) as cluster:
            yield cluster.url


@pytest.fixture
async def broker(redis_url: str) -> AsyncIterator[Broker]:
    broker = await Broker.connect(redis_url)
    await broker.redis.delete(on_air.KEY)
    yield broker
    await broker.aclose()


def new_room() -> str:
    """Tests share a Redis."""
    return f"rm_{uuid.uuid4().hex}"


class Process:
    """What a media process says of one room, where a host publishes."""

    def __init__(self, broker: Broker) -> None:
        self.room_id = new_room()
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
        self.sessions.stream(self.room_id).attach(self._source)

    async def goes_on(self) -> None:
        self.clock.now_s += 0.5
        self.sessions.stream(self.room_id).receive(
            self._source, "video", "H264", int(self.clock.now_s * 2), 0, True, KEY
        )
        await self.announcer.look()


async def media(broker: Broker, process: Process) -> tuple[int, dict[str, Any]]:
    return (await broker.values(process.room_id))["media"]


async def test_a_room_whose_process_is_killed_is_told_and_one_whose_process_lives_is_not(
    broker: Broker,
) -> None:
    process = Process(broker)
    for _ in range(3):
        await process.goes_on()
        assert await OnAir(broker).end_silent(7) == 0
    version, before = await media(broker, process)
    assert before["publishing"] is True

    async def given_up() -> bool:
        return await OnAir(broker).end_silent(999_999) == 1

    await wait_until(given_up, 5, "the room to be told")
    assert await media(broker, process) == (version + 1, {**before, "publishing": False, "since_ms": 999_999})
    assert await OnAir(broker).end_silent(1_000_000) == 0, "once is enough"


async def test_a_process_that_was_only_slow_says_again_that_it_is_on_air(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(broker)
    await process.goes_on()
    monkeypatch.setattr(on_air, "SILENCE_MS", 0)
    assert await OnAir(broker).end_silent(5) == 1
    assert (await media(broker, process))[1]["publishing"] is False
    await process.goes_on()
    assert (await media(broker, process))[1]["publishing"] is True


async def test_a_room_that_can_not_be_told_keeps_no_other_waiting_and_is_told_later(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_air, "SILENCE_MS", 0)
    rooms = (new_room(), new_room())
    for room_id in rooms:
        await broker.publish(room_id, values={"media": (1, {"publishing": True})})
    await OnAir(broker).renew(rooms)
    values = broker.values

    async def one_is_away(room_id: str) -> Any:
        if room_id == rooms[0]:
            raise BrokerUnavailable
        return await values(room_id)

    monkeypatch.setattr(broker, "values", one_is_away)
    assert await OnAir(broker).end_silent(5) == 1
    monkeypatch.undo()
    monkeypatch.setattr(on_air, "SILENCE_MS", 0)
    assert await OnAir(broker).end_silent(6) == 1
    assert [(await broker.values(room_id))["media"][1]["publishing"] for room_id in rooms] == [False, False]


async def test_a_redis_that_forgot_who_is_on_air_is_told_anew(broker: Broker) -> None:
    process = Process(broker)
    await process.goes_on()
    before, data = await media(broker, process)
    await broker.redis.delete(on_air.KEY)
    await broker.publish(process.room_id, values={"media": (before + 1, {**data, "publishing": False})})
    await process.goes_on()
    assert (await media(broker, process))[1]["publishing"] is True
