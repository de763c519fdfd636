"""Values that go ahead of a slow pass: every viewer still has every event in order, and no value goes back."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack
from typing import Any

import pytest

from realtime import hub_room
from realtime.hub import HubSettings
from realtime.room import Room
from tests.realtime.hubs import Wire, running_hub, ticket, wire

EVENTS = 400


def stock(version: int) -> dict[str, Any]:
    return {"stock:sl_1": (version, {"available": version}), f"stock:sl_{version % 3 + 2}": (version, {})}


async def told(viewer: Wire, joined: dict[str, Any], last: int) -> tuple[list[int], int]:
    """Reads until event `last` and the newest value are there: offsets in order of arrival, and ticks without events."""
    offset = joined["offset"]
    versions = {key: version for key, (version, _) in joined["values"].items()}
    offsets: list[int] = []
    ahead = 0
    while offset < last or versions.get("stock:sl_1", 0) < last:
        message = await viewer.receive()
        if message[0] != 1:
            continue
        _, _, _, first, events, values = message
        assert first == offset + 1, "an event is missing, or comes twice"
        offsets += range(first, first + len(events))
        offset += len(events)
        ahead += bool(values and not events)
        for key, (version, _) in values.items():
            assert version >= versions.get(key, 0), f"{key} goes back"  # a snapshot may have told it
            versions[key] = version
    return offsets, ahead


@pytest.mark.parametrize("is_slow", [True, False])
async def test_values_go_ahead_of_a_slow_pass_and_every_guarantee_holds(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, is_slow: bool
) -> None:
    if is_slow:
        monkeypatch.setattr(hub_room, "APART_ABOVE_S", -1.0)  # every pass counts as slow
        monkeypatch.setattr(hub_room, "VALUES_EVERY_S", 0.0)
    room_id = f"rm_{uuid.uuid4().hex[:12]}"
    settings = HubSettings(slice_connections=2, tick_min_s=0.001, tick_max_s=0.01)
    async with running_hub(redis_url, settings) as hub, AsyncExitStack() as stack:

        async def viewer() -> tuple[Wire, dict[str, Any]]:
            opened = await stack.enter_async_context(wire(hub.url))
            return opened, await opened.join(ticket(room_id))

        async def publish() -> None:
            for number in range(1, EVENTS + 1):
                event = ("announcement", {"text": str(number), "at_ms": number})
                await hub.broker.publish(room_id, events=[event], values=stock(number))
                if number % 7 == 0:
                    await hub.broker.publish(room_id, values={"watching": (number, {"total": number})})

        early = [await viewer() for _ in range(11)]
        publishing = asyncio.create_task(publish())
        watching = [asyncio.create_task(told(*one, EVENTS)) for one in early]
        for _ in range(5):
            await asyncio.sleep(0.02)
            watching.append(asyncio.create_task(told(*await viewer(), EVENTS)))
        found = await asyncio.gather(*watching)
        await publishing
        assert all(offsets == list(range(1, EVENTS + 1)) for offsets, _ in found[:11])
        assert all(offsets[-1:] in ([EVENTS], []) for offsets, _ in found[11:])
        if is_slow:
            assert min(ahead for _, ahead in found[:11]) > 0


def test_values_and_events_are_told_apart_with_the_right_numbers() -> None:
    room = Room("e", 10)
    room.take_events("e", 11, [b"\xc0", b"\xc0"])
    room.take_value("stock:sl_1", 5, b"\x01")
    both = room.tick_values(77, room.sent_offset + 1, 9)
    assert both is not None
    assert [len(one) for one in both] == [len(both[0])] * 2
    assert both[0] != both[1]
    assert room.tick_values(77, 11) is None
    assert room.sent_offset == 10
    assert room.tick_events(77) is not None
    assert room.sent_offset == 12
    assert room.tick_events(77) is None
    assert not room.has_waiting
