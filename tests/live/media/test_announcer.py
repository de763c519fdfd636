"""What rooms are told about their video."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from live.media.announcer import Announcer
from live.media.sessions import Sessions
from realtime.broker import BrokerUnavailable
from realtime.protocol import Value
from tests.live.media.test_streams import KEY, Clock, RecordingSource


class Room:
    def __init__(self) -> None:
        self.clock = Clock()
        self.sessions = Sessions(self.clock)
        self.said: list[tuple[int, dict[str, Any]]] = []
        self.is_down = False
        self.known: dict[str, Any] | None = None
        self.announcer = Announcer(
            self.sessions,
            self._publish,
            lambda: int(self.clock.now_s * 1000),
            self.clock,
            value_now=self._known,
        )
        self.source = RecordingSource()

    async def _publish(self, room_id: str, values: Mapping[str, Value]) -> None:
        if self.is_down:
            raise BrokerUnavailable
        assert room_id == "rm_1"
        self.said.append(values["media"])

    async def _known(self, _: str) -> dict[str, Any] | None:
        if self.is_down:
            raise BrokerUnavailable
        return self.known

    def send(self) -> None:
        self.sessions.stream("rm_1").receive(self.source, "video", "H264", 1, 0, True, KEY)


async def test_a_room_hears_of_its_publisher_and_of_their_absence_within_three_seconds() -> None:
    room = Room()
    await room.announcer.look()
    assert not room.said
    room.sessions.stream("rm_1").attach(room.source)
    room.send()
    await room.announcer.look()
    assert room.said == [
        (
            100_000,
            {
                "publishing": True,
                "since_ms": 100_000,
                "zero_ms": 100_000,
                "recording": "off",
                "whep": "/whep/rm_1",
                "hls": "/hls/rm_1/index.m3u8",
            },
        )
    ]
    for _ in range(6):
        room.clock.now_s += 0.5
        room.sessions.tick()
        await room.announcer.look()
    version, data = room.said[-1]
    assert data["publishing"] is False
    assert 100_000 < version <= 103_000


async def test_what_was_said_is_renewed_under_the_same_version() -> None:
    room = Room()
    room.sessions.stream("rm_1").attach(room.source)
    for number in range(12):
        room.sessions.stream("rm_1").receive(room.source, "video", "H264", number, 0, True, KEY)
        await room.announcer.look()
        room.clock.now_s += 0.5
    assert len(room.said) == 3
    assert len({version for version, _ in room.said}) == 1


async def test_a_redis_that_was_away_hears_it_later() -> None:
    room = Room()
    room.sessions.stream("rm_1").attach(room.source)
    room.send()
    room.is_down = True
    await room.announcer.look()
    room.is_down = False
    await room.announcer.look()
    assert [data["publishing"] for _, data in room.said] == [True]


async def test_at_its_end_the_process_says_that_nothing_is_on_air() -> None:
    room = Room()
    room.sessions.stream("rm_1").attach(room.source)
    room.send()
    await room.announcer.look()
    stop = asyncio.Event()
    stop.set()
    await room.announcer.run(stop)
    assert [data["publishing"] for _, data in room.said] == [True, False]


@pytest.mark.parametrize(("away_s", "zero_ms"), [(119, 40_000), (121, 100_000)])
async def test_a_new_process_goes_on_in_the_show_s_media_time_for_two_minutes(
    away_s: int, zero_ms: int
) -> None:
    room = Room()
    room.known = {"publishing": False, "since_ms": 100_000 - away_s * 1000, "zero_ms": 40_000}
    room.sessions.stream("rm_1").attach(room.source)
    room.is_down = True
    room.send()
    await room.announcer.look()
    room.is_down = False
    await room.announcer.look()
    assert [data["zero_ms"] for _, data in room.said] == [zero_ms]


async def test_a_picture_that_comes_back_soon_goes_on_in_its_media_time() -> None:
    room = Room()
    room.sessions.stream("rm_1").attach(room.source)
    for number, away_s in enumerate((60, 200, 0)):
        room.sessions.stream("rm_1").receive(room.source, "video", "H264", number, 0, True, KEY)
        await room.announcer.look()
        room.clock.now_s += 3
        await room.announcer.look()  # it is said that the picture is gone
        room.clock.now_s += away_s
    assert [data["zero_ms"] for _, data in room.said if data["publishing"]] == [100_000, 100_000, 366_000]
