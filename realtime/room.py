"""What a room owes each viewer: order, conflation, a snapshot on joining and exactly what was missed on return. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from realtime import protocol
from realtime.overload import NOTHING, Thinning
from realtime.protocol import JoinedTail

RING_EVENTS: Final = 2000
"""Events a hub keeps for viewers who return; an older return gets a snapshot."""
SNAPSHOT_MAX_BYTES: Final = 128 * 1024
RESUME_MAX_BYTES: Final = 768 * 1024
"""A returning viewer who missed more than this is better off with a snapshot; it must stay below what counts as too slow."""
TAILS_KEPT: Final = 256
"""Different answers to joining viewers kept until the next tick."""
_GONE: Final = b"\xc0"
"""Packed nil: the data of a value that was removed."""
_COMMENT: Final = b"\x92\xa7comment"
_OF_A_VIEWER: Final = b"\xa4role\xa6viewer"
"""Bytes that no text can hold: they are not UTF-8. Only what viewers say is ever thinned."""
SKIPPED: Final = protocol.pack(["skipped", None])
"""What stands in a tick for a comment that was left out: its number is declared, so nobody takes it for a gap."""


class Gap(Exception):
    """What arrived does not continue what is known: fetch the room again, or restart it."""


class Lost(Gap):
    """What is stored differs from events already known under the same epoch: they were lost, a new epoch must begin."""


@dataclass(slots=True)
class Tick:
    """One tick on its way out. `events` is the message up to its values, `values` and `encoded_values` are those it began with."""

    events: bytes
    values: dict[str, bytes]
    encoded_values: bytes
    values_taken: int


class Room:
    """One hub's picture of a room: the last events as packed bytes, the newest value of each key, and what waits for the tick."""

    def __init__(self, epoch: str, offset: int, ring_events: int = RING_EVENTS) -> None:
        self.epoch = epoch
        self.offset = offset
        self._ring: deque[bytes] = deque(maxlen=ring_events)
        self._values: dict[str, tuple[int, bytes]] = {}
        self._waiting_events: list[bytes] = []
        self._waiting_values: dict[str, bytes] = {}
        self._tails: dict[int | None, JoinedTail] = {}
        self.thinning: Thinning = NOTHING
        self.skipped = 0
        """Comments left out of ticks so far."""
        self._values_taken = 0
        self._told_ms: dict[str, int] = {}
        self._comments = 0

    @property
    def sent_offset(self) -> int:
        """The last event every viewer has been sent; those after it wait for the tick."""
        return self.offset - len(self._waiting_events)

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting_events or self._waiting_values)

    def has_due(self, now_ms: int) -> bool:
        """Whether a tick would tell anything now: values that are told less often may have to wait."""
        return bool(self._waiting_events) or len(self._held_back(now_ms)) < len(self._waiting_values)

    def _held_back(self, now_ms: int) -> set[str]:
        return {
            key
            for key, every_ms in self.thinning.every_ms.items()
            if key in self._waiting_values and now_ms - self._told_ms.get(key, 0) < every_ms
        }

    def take_events(self, epoch: str, first_offset: int, events: Sequence[bytes]) -> None:
        """Add events in order; those already known are skipped. Raises Gap or Lost, and then has changed nothing."""
        if epoch != self.epoch or first_offset > self.offset + 1:
            raise Gap(f"event {self.offset + 1} of epoch {self.epoch} is missing")
        known = min(len(events), self.offset + 1 - first_offset)
        if known and not self._agrees(first_offset, events[:known]):
            raise Lost(f"events from {first_offset} of epoch {self.epoch} are not those already seen")
        fresh = events[known:]
        self._ring.extend(fresh)
        self._waiting_events.extend(fresh)
        self.offset += len(fresh)

    def _agrees(self, first_offset: int, events: Sequence[bytes]) -> bool:
        """Whether the known events that are still kept are these."""
        first_kept = self.offset - len(self._ring) + 1
        skip = max(0, first_kept - first_offset)
        start = first_offset + skip - first_kept
        return all(map(bytes.__eq__, islice(self._ring, start, None), events[skip:]))

    def take_stored(self, epoch: str, offset: int, events: Sequence[bytes]) -> None:
        """Continue from a stored room whose last events, ending at `offset`, these are. Raises Gap or Lost like `take_events`."""
        if epoch == self.epoch and offset < self.offset:
            raise Lost(f"epoch {epoch} ends at {offset}, yet {self.offset} was seen")
        self.take_events(epoch, offset - len(events) + 1, events)

    def take_value(self, key: str, version: int, packed_data: bytes) -> None:
        """Keep the newest version of a key; an older or equal one is ignored. A removed value is told once, then left out."""
        known = self._values.get(key)
        if known is None or version > known[0]:
            packed = b"\x92" + protocol.pack(version) + packed_data
            self._values[key] = (version, b"" if packed_data == _GONE else packed)
            self._waiting_values[key] = packed
            self._values_taken += 1

    def restart(self, epoch: str, offset: int, events: Sequence[bytes]) -> None:
        """Begin anew after a changed epoch or an unfillable gap: `events` are the last ones, ending at `offset`.

        Values are forgotten: after Redis was emptied nobody can vouch for one, and versions may begin anew.
        """
        self.epoch = epoch
        self.offset = offset
        self._ring.clear()
        self._ring.extend(events)
        self._values.clear()
        self._waiting_events.clear()
        self._waiting_values.clear()
        self._tails.clear()

    def tick(self, now_ms: int) -> bytes | None:
        """Everything that waits and is due, as one message; None when nothing is."""
        tick = self.open_tick(now_ms)
        return None if tick is None else tick.events + tick.encoded_values

    def open_tick(self, now_ms: int) -> Tick | None:
        """The same in two parts, for a pass that takes its time: see `newer_values`."""
        if not self.has_due(now_ms):
            return None
        first, values = self.sent_offset + 1, self._take_values(now_ms)
        events = protocol.encode_tick_events(now_ms, self.epoch, first, self._take_events())
        return Tick(events, values, protocol.encode_tick_values(values.items()), self._values_taken)

    def newer_values(self, tick: Tick, now_ms: int) -> bytes | None:
        """The tick's values with those that have come since; None when none has since the last call.

        They go on waiting for the next tick: who has the old ones already gets them then, who gets them now has them twice.
        """
        if self._values_taken == tick.values_taken:
            return None
        tick.values_taken = self._values_taken
        held_back = self._held_back(now_ms)
        newer = {key: packed for key, packed in self._waiting_values.items() if key not in held_back}
        return protocol.encode_tick_values((tick.values | newer).items())

    def _take_values(self, now_ms: int) -> dict[str, bytes]:
        later = {key: self._waiting_values.pop(key) for key in self._held_back(now_ms)}
        values, self._waiting_values = self._waiting_values, later
        for key in values.keys() & self.thinning.every_ms.keys():
            self._told_ms[key] = now_ms
        self._tails.clear()
        return values

    def _take_events(self) -> list[bytes]:
        events = list(self._thinned())
        self._waiting_events.clear()
        self._tails.clear()
        return events

    def _thinned(self) -> list[bytes]:
        """What waits, with one in n of viewers' comments; the ring keeps all of them for those who return later."""
        one_in = self.thinning.chat_one_in
        if one_in <= 1:
            return self._waiting_events
        told = []
        for event in self._waiting_events:
            if event.startswith(_COMMENT) and _OF_A_VIEWER in event:
                self._comments += 1
                if self._comments % one_in:
                    self.skipped += 1
                    event = SKIPPED
            told.append(event)
        return told

    def is_ahead(self, epoch: str | None, offset: int | None) -> bool:
        """Whether a returning viewer has seen more than this hub has sent: it waits for the hub to catch up."""
        return epoch == self.epoch and offset is not None and offset > self.sent_offset

    def joined(self, epoch: str | None, offset: int | None) -> JoinedTail:
        """What a viewer who last saw (epoch, offset) is owed now; the next tick follows without gap or repeat.

        Packed once for all who are owed the same. Recovered is all or nothing: never a part of what was missed.
        """
        sent = max(0, len(self._ring) - len(self._waiting_events))
        first_kept = self.sent_offset - sent + 1
        resumes = epoch == self.epoch and offset is not None and first_kept - 1 <= offset <= self.sent_offset
        asked = offset if resumes else None
        tail = self._tails.get(asked)
        if tail is None:
            events: list[bytes] = []
            if asked is not None:
                events = list(islice(self._ring, asked + 1 - first_kept, sent))
            if asked is None or sum(map(len, events)) > RESUME_MAX_BYTES:
                resumes = False
                events = _last(list(islice(self._ring, max(0, sent - protocol.SNAPSHOT_EVENTS), sent)))
            tail = protocol.encode_joined_tail(
                self.epoch,
                self.sent_offset,
                resumes,
                self.sent_offset - len(events) + 1,
                events,
                [(key, packed) for key, (_, packed) in self._values.items() if packed],
            )
            if len(self._tails) < TAILS_KEPT:
                self._tails[asked] = tail
        return tail

    def versions(self) -> Mapping[str, int]:
        return {key: version for key, (version, _) in self._values.items()}


def _last(events: list[bytes]) -> list[bytes]:
    """The last of them that stay below the bound of a snapshot."""
    size = 0
    for count, event in enumerate(reversed(events)):
        size += len(event)
        if size > SNAPSHOT_MAX_BYTES:
            return events[len(events) - count :]
    return events
