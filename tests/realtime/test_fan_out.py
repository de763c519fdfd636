"""A pass over a big room: who comes late in it has newer values, and everybody has every event in order."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from realtime import deflate, fan_out, protocol
from realtime.fan_out import Shared
from realtime.hub import HubSettings
from realtime.protocol import unpack
from realtime.room import Room, Tick
from tests.realtime.hubs import Wire, running_hub, ticket, wire

EVENTS = 400


def stock(version: int) -> dict[str, Any]:
    return {"stock:sl_1": (version, {"available": version}), f"stock:sl_{version % 3 + 2}": (version, {})}


async def told(viewer: Wire, joined: dict[str, Any], last: int) -> list[int]:
    """Reads until event `last` and the newest value are there: offsets in order of arrival."""
    offset = joined["offset"]
    versions = {key: version for key, (version, _) in joined["values"].items()}
    offsets: list[int] = []
    while offset < last or versions.get("stock:sl_1", 0) < last:
        message = await viewer.receive()
        if message[0] != 1:
            continue
        _, _, _, first, events, values = message
        assert first == offset + 1, "an event is missing, or comes twice"
        offsets += range(first, first + len(events))
        offset += len(events)
        for key, (version, _) in values.items():
            assert version >= versions.get(key, 0), f"{key} goes back"  # a snapshot may have told it
            versions[key] = version
    return offsets


async def test_while_values_are_renewed_in_mid_pass_every_guarantee_holds(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed = 0
    real = Room.newer_values

    def newer_values(self: Room, tick: Tick, now_ms: int) -> bytes | None:
        nonlocal renewed
        found = real(self, tick, now_ms)
        renewed += found is not None
        return found

    async def longer_pause(_: float) -> None:
        await asyncio.sleep(0.003)  # as a big room's slices take together

    monkeypatch.setattr(Room, "newer_values", newer_values)
    monkeypatch.setattr(fan_out, "asyncio", SimpleNamespace(sleep=longer_pause))
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
        assert all(offsets == list(range(1, EVENTS + 1)) for offsets in found[:11])
        assert all(offsets[-1:] in ([EVENTS], []) for offsets in found[11:])
        assert renewed > 0


def test_newer_values_take_the_place_of_those_a_tick_began_with_and_come_again() -> None:
    room = Room("e", 10)
    room.take_events("e", 11, [b"\xc0", b"\xc0"])
    room.take_value("stock:sl_1", 5, b"\x01")
    room.take_value("stock:sl_2", 1, b"\x01")
    tick = room.open_tick(77)
    assert tick is not None
    assert room.newer_values(tick, 77) is None
    room.take_value("stock:sl_1", 6, b"\x02")
    newer = room.newer_values(tick, 78)
    assert newer is not None
    assert unpack(tick.events + newer)[5] == {"stock:sl_1": [6, 2], "stock:sl_2": [1, 1]}
    assert room.newer_values(tick, 78) is None
    again = room.tick(79)
    assert again is not None
    assert unpack(again)[3:] == [13, [], {"stock:sl_1": [6, 2]}]


def test_an_exchanged_end_is_the_same_message_in_every_form() -> None:
    begin = protocol.encode_tick_events(1, "e", 1, [protocol.pack(["comment", {"text": "hello " * 50}])])
    ends = [
        protocol.encode_tick_values([("stock:sl_1", protocol.pack([n, {"available": n}]))]) for n in (1, 2)
    ]
    first = Shared(begin, ends[0])
    assert len(first.deflated) < len(first.plain)
    second = first.ending(ends[1])
    for shared, end in ((first, ends[0]), (second, ends[1])):
        assert shared.plain.endswith(end)
        payload = shared.deflated[2:] if shared.deflated[1] < 126 else shared.deflated[4:]
        assert deflate.decompress(payload, 10_000) == begin + end
        assert b'"available": ' in shared.json or b'"available":' in shared.json
