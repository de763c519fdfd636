"""One look for many eyes."""

from __future__ import annotations

import asyncio

import pytest

from live.shared_reads import SharedReads


class Source:
    def __init__(self) -> None:
        self.reads = 0
        self.now_s = 0.0
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(self) -> int:
        self.reads += 1
        number = self.reads
        await self.gate.wait()
        return number


def shared(source: Source, max_kept: int = 10) -> SharedReads[int]:
    return SharedReads(0.25, max_kept, lambda: source.now_s)


async def test_a_crowd_is_answered_by_one_read() -> None:
    source = Source()
    reads = shared(source)
    assert await asyncio.gather(*(reads.get("room", source.read) for _ in range(100))) == [1] * 100
    source.now_s = 0.24
    assert await reads.get("room", source.read) == 1
    source.now_s = 0.25
    assert await reads.get("room", source.read) == 2


async def test_keys_do_not_meet_and_the_number_of_answers_kept_is_bounded() -> None:
    source = Source()
    reads = shared(source, max_kept=3)
    assert [await reads.get(key, source.read) for key in range(6)] == [1, 2, 3, 4, 5, 6]
    assert len(reads._kept) == 3
    assert await reads.get(5, source.read) == 6
    assert await reads.get(0, source.read) == 7


async def test_a_failure_is_told_to_those_who_waited_and_not_kept() -> None:
    source = Source()
    reads = shared(source)

    async def broken() -> int:
        raise OSError("away")

    outcomes = await asyncio.gather(*(reads.get("room", broken) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(outcome, OSError) for outcome in outcomes)
    assert await reads.get("room", source.read) == 1


async def test_a_caller_that_leaves_takes_the_answer_from_nobody() -> None:
    source = Source()
    source.gate.clear()
    reads = shared(source)
    first = asyncio.create_task(reads.get("room", source.read))
    second = asyncio.create_task(reads.get("room", source.read))
    await asyncio.sleep(0)
    first.cancel()
    source.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second == 1
    assert source.reads == 1
