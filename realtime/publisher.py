"""Publishes of one process, batched: what arrives for a room while a call is under way goes out together by the next one.

One call per room is under way at a time, so what a process publishes first is numbered first. The first publish after quiet goes at
once; calls of a busy room keep 5 ms apart.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from redis.exceptions import RedisError

from realtime.protocol import CommandError, Event, Value, pack

log = logging.getLogger("flashroom.publisher")

CALLS_APART_S: Final = 0.005
CALL_MAX_BYTES: Final = 512 * 1024
GROUP_MAX_EVENTS: Final = 500
WAITING_MAX: Final = 10_000
EVENT_MAX_BYTES: Final = 32 * 1024


class BrokerUnavailable(CommandError):
    """Redis did not answer; nothing is known about the call's effect."""

    def __init__(self) -> None:
        super().__init__(
            "unavailable", "The room's chat is paused for a moment. Try again.", retry_after_ms=1000
        )


@dataclass(frozen=True, slots=True)
class Published:
    """Where the last event of a publish stands."""

    epoch: str
    offset: int


@dataclass(slots=True)
class Group:
    """Publishes numbered in one go; those with an idempotency key stand alone. `values` maps to (version, packed data)."""

    once: str | None
    events: list[bytes] = field(default_factory=list)
    values: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    answers: list[tuple[int, asyncio.Future[Published]]] = field(default_factory=list)
    size: int = 0


Call = Callable[[str, Sequence[Group]], Awaitable[tuple[str, Sequence[int]]]]
"""`(room_id, groups)` to `(epoch, offset after each group)`, in one atomic step."""


class Publisher:
    """Collects publishes and makes the calls. Bounded: 10,000 publishes unanswered, then CommandError `overloaded`."""

    def __init__(self, call: Call, *, waiting_max: int = WAITING_MAX) -> None:
        self._call = call
        self._waiting_max = waiting_max
        self._waiting = 0
        self._queues: dict[str, deque[Group]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def publish(
        self, room_id: str, events: Sequence[Event], values: Mapping[str, Value], once: str | None
    ) -> Published:
        """Raises BrokerUnavailable, CommandError `overloaded`, ValueError for an event or value above 32 KiB."""
        if self._waiting >= self._waiting_max:
            raise CommandError("overloaded", "Too much is waiting to be sent.", retry_after_ms=1000)
        packed_events = [_packed([type_, data]) for type_, data in events]
        packed_values = {key: (version, _packed(data)) for key, (version, data) in values.items()}
        queue = self._queues.get(room_id)
        if queue is None:
            queue = self._queues[room_id] = deque()
            task = asyncio.create_task(self._run(room_id, queue), name=f"publish {room_id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        group = queue[-1] if queue else None
        if (
            group is None
            or once is not None
            or group.once is not None
            or len(group.events) >= GROUP_MAX_EVENTS
        ):
            group = Group(once)
            queue.append(group)
        group.events += packed_events
        group.size += sum(map(len, packed_events)) + sum(len(packed) for _, packed in packed_values.values())
        for key, value in packed_values.items():
            known = group.values.get(key)
            if known is None or value[0] > known[0]:
                group.values[key] = value
        answer: asyncio.Future[Published] = asyncio.get_running_loop().create_future()
        group.answers.append((len(group.events), answer))
        self._waiting += 1
        return await answer

    async def flush(self) -> None:
        """Give back once everything collected has been answered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, room_id: str, queue: deque[Group]) -> None:
        try:
            # One turn of the loop, so that what is published in the same turn goes out together.
            await asyncio.sleep(0)
            await self._empty(room_id, queue)
        finally:
            del self._queues[room_id]
            self._waiting -= sum(len(group.answers) for group in queue)
            _refuse(queue)

    async def _empty(self, room_id: str, queue: deque[Group]) -> None:
        loop = asyncio.get_running_loop()
        while queue:
            started_s = loop.time()
            groups = [queue.popleft()]
            size = groups[0].size
            while queue and size + queue[0].size <= CALL_MAX_BYTES and len(groups) < GROUP_MAX_EVENTS:
                groups.append(queue.popleft())
                size += groups[-1].size
            await self._make_call(room_id, groups)
            wait_s = started_s + CALLS_APART_S - loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)

    async def _make_call(self, room_id: str, groups: Sequence[Group]) -> None:
        try:
            epoch, offsets = await self._call(room_id, groups)
            for group, offset in zip(groups, offsets, strict=True):
                before = offset - len(group.events)
                for count, answer in group.answers:
                    if not answer.done():
                        answer.set_result(Published(epoch, before + count))
        except RedisError as error:
            log.warning("publishing to room %s failed: %s", room_id, error)
        finally:
            _refuse(groups)
            self._waiting -= sum(len(group.answers) for group in groups)


def _refuse(groups: Iterable[Group]) -> None:
    for group in groups:
        for _, answer in group.answers:
            if not answer.done():
                answer.set_exception(BrokerUnavailable())


def _packed(value: object) -> bytes:
    packed = pack(value)
    if len(packed) > EVENT_MAX_BYTES:
        raise ValueError(f"an event or value of {len(packed)} bytes is above {EVENT_MAX_BYTES}")
    return packed
