"""Telling a room once for all who changed something in the meantime."""

from __future__ import annotations

import asyncio

import pytest

from live.tellers import Tellers


class Room:
    """Something that is told slowly, and shows what was true when the telling began."""

    def __init__(self) -> None:
        self.truth = 0
        self.shown = -1
        self.told = 0
        self.started = asyncio.Event()
        self.gate = asyncio.Event()

    async def tell(self) -> None:
        seen = self.truth
        self.told += 1
        self.started.set()
        await self.gate.wait()
        self.shown = seen


async def test_everyone_sees_what_they_changed_and_the_room_is_told_twice() -> None:
    tellers, room = Tellers(patience_s=5), Room()

    async def change() -> None:
        room.truth += 1
        mine = room.truth
        await tellers.tell("room", room.tell)
        assert room.shown >= mine

    first = asyncio.create_task(change())
    await room.started.wait()
    rest = [asyncio.create_task(change()) for _ in range(50)]
    await asyncio.sleep(0)
    room.gate.set()
    await asyncio.gather(first, *rest)
    assert (room.shown, room.told) == (51, 2)


async def test_two_rooms_do_not_wait_for_each_other() -> None:
    tellers, stuck, free = Tellers(patience_s=0.01), Room(), Room()
    free.gate.set()
    await asyncio.gather(tellers.tell("stuck", stuck.tell), tellers.tell("free", free.tell))
    assert (stuck.shown, free.shown) == (-1, 0)
    stuck.gate.set()
    await tellers.aclose()
    assert stuck.shown == 0


async def test_a_room_that_cannot_be_told_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    tellers, room = Tellers(), Room()
    room.gate.set()

    async def broken() -> None:
        raise OSError("gone")

    await tellers.tell("room", broken)
    assert "was not told" in caplog.text
    await tellers.tell("room", room.tell)
    assert room.told == 1


async def test_nothing_is_kept_for_rooms_that_were_told() -> None:
    tellers, room = Tellers(), Room()
    room.gate.set()
    await asyncio.gather(*(tellers.tell(number, room.tell) for number in range(20)))
    await tellers.aclose()
    assert (tellers._running, tellers._next) == ({}, {})
