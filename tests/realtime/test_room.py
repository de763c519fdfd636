from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.protocol import encode_joined, pack, unpack
from realtime.room import Gap, Lost, Room


def event(number: int, epoch: str = "e") -> bytes:
    return pack(["comment", {"text": f"{epoch}{number}"}])


def joined(room: Room, epoch: str | None = None, offset: int | None = None) -> dict[str, Any]:
    message = unpack(
        encode_joined(
            room.joined(epoch, offset),
            room_id="r",
            viewer_id="v",
            server_time_ms=1,
            personal_offset=0,
            mode={},
        )
    )
    assert message[0] == 4
    assert len(message[1]) == 12
    answer: dict[str, Any] = message[1]
    return answer


def test_a_tick_carries_all_that_waits_and_only_the_newest_of_each_value() -> None:
    room = Room("e", 0)
    room.take_events("e", 1, [event(1), event(2)])
    room.take_value("likes", 1, pack({"total": 1}))
    room.take_value("likes", 2, pack({"total": 2}))
    room.take_value("likes", 1, pack({"total": 1}))
    tick = room.tick(77)
    assert tick is not None
    events = [["comment", {"text": "e1"}], ["comment", {"text": "e2"}]]
    assert unpack(tick) == [1, 77, "e", 1, events, {"likes": [2, {"total": 2}]}]
    assert room.tick(78) is None


def test_known_events_are_skipped_and_missing_ones_are_a_gap_that_changes_nothing() -> None:
    room = Room("e", 0)
    room.take_events("e", 1, [event(1), event(2)])
    room.take_events("e", 2, [event(2), event(3)])
    assert room.offset == 3
    for epoch, first in (("e", 5), ("other", 4)):
        with pytest.raises(Gap):
            room.take_events(epoch, first, [event(first)])
    assert room.offset == 3
    assert joined(room)["events"] == []


def test_other_events_under_known_numbers_mean_that_redis_lost_some() -> None:
    room = Room("e", 0, ring_events=3)
    room.take_events("e", 1, [event(n) for n in range(1, 6)])
    with pytest.raises(Lost):
        room.take_events("e", 5, [event(99)])
    with pytest.raises(Lost):
        room.take_stored("e", 4, [event(4)])
    room.take_events("e", 1, [b"no longer kept", b"neither", event(3), event(4), event(5), event(6)])
    assert room.offset == 6


def test_what_waits_for_the_tick_is_not_part_of_a_snapshot() -> None:
    room = Room("e", 0)
    room.take_events("e", 1, [event(1)])
    room.tick(0)
    room.take_events("e", 2, [event(2)])
    snapshot = joined(room)
    assert (snapshot["offset"], len(snapshot["events"])) == (1, 1)
    assert room.is_ahead("e", 2)
    assert not room.is_ahead("e", 1)
    assert not room.is_ahead("other", 9)


def test_more_events_in_a_tick_than_the_ring_holds_leave_a_snapshot_without_events() -> None:
    room = Room("e", 0, ring_events=3)
    room.take_events("e", 1, [event(n) for n in range(1, 8)])
    assert joined(room, "e", 0) == {**joined(room), "recovered": True}
    tick = room.tick(0)
    assert tick is not None
    assert len(unpack(tick)[4]) == 7
    assert [data["text"] for _, data in joined(room, "e", 4)["events"]] == ["e5", "e6", "e7"]
    assert joined(room, "e", 3)["recovered"] is False


def test_the_same_answer_is_packed_once_until_the_next_tick() -> None:
    room = Room("e", 0)
    room.take_events("e", 1, [event(1)])
    room.tick(0)
    assert room.joined(None, None) is room.joined("other", 5)
    first = room.joined("e", 0)
    assert room.joined("e", 0) is first
    room.take_events("e", 2, [event(2)])
    room.tick(0)
    assert room.joined("e", 0) is not first


def test_snapshots_and_resumptions_are_bounded_in_bytes_too() -> None:
    room = Room("e", 0)
    big = [pack(["comment", {"text": f"{n:05}" + "x" * 30_000}]) for n in range(1, 41)]
    room.take_events("e", 1, big)
    room.tick(0)
    snapshot = joined(room)
    assert (snapshot["first_offset"], len(snapshot["events"]), snapshot["offset"]) == (37, 4, 40)
    assert joined(room, "e", 20)["recovered"] is True
    too_much = joined(room, "e", 2)
    assert (too_much["recovered"], too_much["first_offset"]) == (False, 37)


class Viewer:
    """What a client knows after what it was sent; fails on a gap or a repeat."""

    def __init__(self) -> None:
        self.epoch: str | None = None
        self.offset: int | None = None
        self.events: list[str] = []
        self.values: dict[str, list[Any]] = {}
        self.versions_seen: dict[str, int] = {}

    def take_joined(self, message: dict[str, Any]) -> None:
        if message["recovered"]:
            assert message["epoch"] == self.epoch
            assert message["first_offset"] == (self.offset or 0) + 1
        else:
            self.events.clear()
            if message["epoch"] != self.epoch:
                self.values.clear()
                self.versions_seen.clear()
        self.epoch = message["epoch"]
        self.offset = message["offset"]
        assert message["first_offset"] + len(message["events"]) - 1 == message["offset"]
        self.events += [data["text"] for _, data in message["events"]]
        self.take_values(message["values"])

    def take_tick(self, message: list[Any]) -> None:
        _, _, epoch, first, events, values = message
        assert epoch == self.epoch
        assert self.offset is not None
        assert first == self.offset + 1
        self.offset += len(events)
        self.events += [data["text"] for _, data in events]
        self.take_values(values)

    def take_values(self, values: dict[str, list[Any]]) -> None:
        for key, value in values.items():
            assert value[0] >= self.versions_seen.get(key, 0), "a value older than one already sent"
            self.versions_seen[key] = value[0]
            self.values[key] = value


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(0, 3)),
        st.tuples(st.just("value"), st.integers(0, 2)),
        st.tuples(st.just("tick"), st.just(0)),
        st.tuples(st.just("repeat"), st.integers(1, 4)),
        st.tuples(st.just("leave"), st.integers(0, 2)),
        st.tuples(st.just("return"), st.integers(0, 2)),
        st.tuples(st.just("flip"), st.just(0)),
        st.tuples(st.just("trimmed"), st.integers(1, 9)),
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_state_before_plus_what_follows_is_the_fresh_state(steps: list[tuple[str, int]]) -> None:
    """Zulip's form: whatever happens to the room, a viewer who was there and one who comes now know the same."""
    room = Room("e0", 0, ring_events=6)
    everything: list[bytes] = []  # of this epoch, as Redis would have it
    epochs = 0
    version = 0
    present: dict[int, Viewer] = {}
    away: dict[int, Viewer] = {}

    def jump_all() -> None:
        room.tick(0)
        for viewer in present.values():
            viewer.take_joined(joined(room))

    def tick() -> None:
        message = room.tick(0)
        if message is not None:
            for viewer in present.values():
                viewer.take_tick(unpack(message))

    for name, argument in steps:
        if name == "publish":
            fresh = [event(len(everything) + 1 + n, room.epoch) for n in range(argument)]
            room.take_events(room.epoch, len(everything) + 1, fresh)
            everything += fresh
        elif name == "value":
            version += 1
            room.take_value(f"k{argument}", version, pack({"version": version}))
            room.take_value(f"k{argument}", version - 1, pack({"version": "old"}))
        elif name == "tick":
            tick()
        elif name == "repeat":
            last = everything[-argument:]
            room.take_events(room.epoch, len(everything) - len(last) + 1, last)
        elif name == "leave" and argument in present:
            away[argument] = present.pop(argument)
        elif name == "return" and argument not in present:
            viewer = away.pop(argument, Viewer())
            if not room.is_ahead(viewer.epoch, viewer.offset):
                viewer.take_joined(joined(room, viewer.epoch, viewer.offset))
                present[argument] = viewer
        elif name == "flip":
            epochs += 1
            everything.clear()
            room.restart(f"e{epochs}", 0, [])
            jump_all()
        elif name == "trimmed":
            # The subscription was away for longer than the stream is long.
            missed = [event(len(everything) + 1 + n, room.epoch) for n in range(argument)]
            everything += missed
            kept = everything[-4:]
            try:
                room.take_stored(room.epoch, len(everything), kept)
            except Gap:
                values = dict(room._values)
                room.restart(room.epoch, len(everything), kept)
                for key, (value_version, packed) in values.items():
                    room.take_value(key, value_version, packed[1 + len(pack(value_version)) :])
                jump_all()
    tick()
    fresh_viewer = Viewer()
    fresh_viewer.take_joined(joined(room))
    for viewer in present.values():
        assert (viewer.epoch, viewer.offset) == (room.epoch, len(everything))
        assert viewer.values == fresh_viewer.values
        shared = min(len(viewer.events), len(fresh_viewer.events))
        assert (
            viewer.events[len(viewer.events) - shared :]
            == fresh_viewer.events[-shared or len(fresh_viewer.events) :]
        )
        known = [unpack(e)[1]["text"] for e in everything]
        assert viewer.events == known[len(known) - len(viewer.events) :]
