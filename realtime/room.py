"""What a room owes each viewer: order, conflation, a snapshot on joining and exactly what was missed on return. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from realtime import protocol

RING_EVENTS: Final = 2000
"""Events a hub keeps for viewers who return; an older return gets a snapshot."""


@dataclass(frozen=True, slots=True)
class Catchup:
    """What a joining viewer is sent: packed events numbered from `first_offset`, complete only if `recovered`."""

    recovered: bool
    first_offset: int
    events: Sequence[bytes]


class Gap(Exception):
    """Events between `expected` and what arrived are missing: fetch them, or reset."""

    def __init__(self, expected: int) -> None:
        super().__init__(f"event {expected} is missing")
        self.expected = expected


class Room:
    """One hub's picture of a room: the last events as packed bytes, the newest value of each key, and what waits for the tick."""

    def __init__(self, epoch: str, offset: int, ring_events: int = RING_EVENTS) -> None:
        self.epoch = epoch
        self.offset = offset
        self._ring: deque[bytes] = deque(maxlen=ring_events)
        self._values: dict[str, tuple[int, bytes]] = {}
        self._waiting_events: list[bytes] = []
        self._waiting_values: dict[str, bytes] = {}

    @property
    def sent_offset(self) -> int:
        """The last event every viewer has been sent; those after it wait for the tick."""
        return self.offset - len(self._waiting_events)

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting_events or self._waiting_values)

    def take_events(self, epoch: str, first_offset: int, events: Sequence[bytes]) -> None:
        """Add events in order; those already known are skipped. Raises Gap, and then has changed nothing."""
        if epoch != self.epoch or (events and first_offset > self.offset + 1):
            raise Gap(self.offset + 1)
        fresh = events[max(0, self.offset + 1 - first_offset) :]
        self._ring.extend(fresh)
        self._waiting_events.extend(fresh)
        self.offset += len(fresh)

    def take_value(self, key: str, version: int, packed_data: bytes) -> None:
        """Keep the newest version of a key; an older or equal one is ignored."""
        known = self._values.get(key)
        if known is None or version > known[0]:
            packed = b"\x92" + protocol.pack(version) + packed_data
            self._values[key] = (version, packed)
            self._waiting_values[key] = packed

    def restart(self, epoch: str, offset: int, events: Sequence[bytes]) -> None:
        """Begin anew after a changed epoch or an unfillable gap: `events` are the last ones, ending at `offset`."""
        self.epoch = epoch
        self.offset = offset
        self._ring.clear()
        self._ring.extend(events)
        self._waiting_events.clear()
        self._waiting_values.clear()

    def forget_values(self) -> None:
        """After Redis was emptied nobody can vouch for a value: versions may begin anew."""
        self._values.clear()
        self._waiting_values.clear()

    def tick(self, now_ms: int) -> bytes | None:
        """Everything that waits, as one message; None when nothing does."""
        if not self.has_waiting:
            return None
        message = protocol.encode_tick(
            now_ms, self.epoch, self.sent_offset + 1, self._waiting_events, self._waiting_values.items()
        )
        self._waiting_events.clear()
        self._waiting_values.clear()
        return message

    def catch_up(self, epoch: str | None, offset: int | None) -> Catchup:
        """What a viewer who last saw (epoch, offset) is owed now; the next tick follows without gap or repeat."""
        sent = list(self._ring)[: len(self._ring) - len(self._waiting_events)]
        first_kept = self.sent_offset - len(sent) + 1
        if epoch == self.epoch and offset is not None and first_kept - 1 <= offset <= self.sent_offset:
            return Catchup(True, offset + 1, sent[offset + 1 - first_kept :])
        last = sent[-protocol.SNAPSHOT_EVENTS :]
        return Catchup(False, self.sent_offset - len(last) + 1, last)

    def values(self) -> Iterable[tuple[str, bytes]]:
        """Every current value, packed as `[version, data]`."""
        return ((key, packed) for key, (_, packed) in self._values.items())

    def versions(self) -> Mapping[str, int]:
        return {key: version for key, (version, _) in self._values.items()}
