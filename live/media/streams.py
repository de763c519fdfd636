"""A room's stream: one publisher's packets, numbered on across publishers, kept a moment for repeats, and handed to every viewer.

No sockets here: sources put packets in, outlets take them out, time is an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from live.media.outlets import Outlet
from live.media.packets import CLOCK_RATES, Kind, MediaPacket, Unwrapper, starts_key_frame

HISTORY_PACKETS: Final = 1024
KEY_FRAME_INTERVAL_S: Final = 1.0
SILENT_AFTER_S: Final = 2.0
"""A publisher of whom nothing has come for so long is away: with the tick of a second, viewers know within 3 s."""
NTP_SECOND: Final = 1 << 32


class Listener(Protocol):
    """Whoever takes a room's packets as they come, without a network of its own: segments and recordings."""

    def hear(self, kind: Kind, packet: MediaPacket) -> None: ...

    def source_changed(self) -> None: ...


class Source(Protocol):
    """Whoever publishes: a WHIP session, or the test picture."""

    subject: str

    def ask_for_key_frame(self) -> None: ...


@dataclass(slots=True)
class _ClockReport:
    ntp_time: int
    rtp_time: int
    at_s: float


class Track:
    """One kind of media of a room."""

    def __init__(self, kind: Kind, first_index: int = 0) -> None:
        self.kind: Kind = kind
        self.clock_rate = CLOCK_RATES[kind]
        self.outlets: set[Outlet] = set()
        self.codec: str | None = None
        self.packets = self.octets = 0
        self.last_packet_at_s: float | None = None
        self._history: list[MediaPacket | None] = [None] * HISTORY_PACKETS
        self._next_index = self._first_index = first_index
        self._unwrap: Unwrapper | None = None
        self._timestamp_offset = 0
        self._last_timestamp: int | None = None
        self._clock_report: _ClockReport | None = None

    def change_source(self) -> None:
        """Whatever comes next has other sequence numbers and another clock."""
        self._unwrap = None
        self._clock_report = None

    def receive(
        self, codec: str, sequence: int, timestamp: int, marker: bool, payload: bytes, now_s: float
    ) -> MediaPacket | None:
        """Number one packet and hand it to every outlet; None when it was there already."""
        if self._unwrap is None:
            self._begin(timestamp, now_s)
        assert self._unwrap is not None
        index = self._unwrap.index(sequence)
        kept = self._history[index % HISTORY_PACKETS]
        if kept is not None and kept.index >= index:
            return None  # a duplicate, or so late that newer ones have taken its place
        own_timestamp = (timestamp + self._timestamp_offset) & 0xFFFFFFFF
        packet = MediaPacket(codec, index, own_timestamp, marker, payload, starts_key_frame(codec, payload))
        self._history[index % HISTORY_PACKETS] = packet
        if index >= self._next_index:
            self._next_index = index + 1
            self._last_timestamp = own_timestamp
        self.codec = codec
        self.last_packet_at_s = now_s
        self.packets += 1
        self.octets += len(payload)
        for outlet in self.outlets:
            outlet.forward(packet, now_s)
        return packet

    @property
    def missing(self) -> int:
        """How many of the packets numbered so far never came."""
        return max(0, self._next_index - self._first_index - self.packets)

    def kept(self, index: int) -> MediaPacket | None:
        """A packet of the last 1,024, for who has lost it."""
        packet = self._history[index % HISTORY_PACKETS] if index >= 0 else None
        return packet if packet is not None and packet.index == index else None

    def heard_clock(self, ntp_time: int, rtp_time: int, now_s: float) -> None:
        """The publisher's sender report: both tracks' clocks against the publisher's wall clock."""
        self._clock_report = _ClockReport(ntp_time, (rtp_time + self._timestamp_offset) & 0xFFFFFFFF, now_s)

    @property
    def clock_report(self) -> tuple[int, int] | None:
        """NTP time (64 bits) and RTP time of the publisher's last sender report."""
        report = self._clock_report
        return (report.ntp_time, report.rtp_time & 0xFFFFFFFF) if report is not None else None

    def tick(self, now_s: float) -> None:
        """Once a second: sender reports to everyone."""
        report = self._clock_report
        elapsed_s = now_s - report.at_s if report is not None else 0.0
        ntp_time = report.ntp_time + int(elapsed_s * NTP_SECOND) if report is not None else None
        rtp_time = report.rtp_time + int(elapsed_s * self.clock_rate) if report is not None else 0
        for outlet in self.outlets:
            outlet.tick(ntp_time, rtp_time)

    def _begin(self, timestamp: int, now_s: float) -> None:
        self._unwrap = Unwrapper(self._next_index)
        if self._last_timestamp is None or self.last_packet_at_s is None:
            self._timestamp_offset = 0
            return
        elapsed = max(1, int((now_s - self.last_packet_at_s) * self.clock_rate))
        self._timestamp_offset = self._last_timestamp + elapsed - timestamp


class RoomStream:
    """What is published in a room, by whom, and to whom it goes."""

    def __init__(self, room_id: str, clock_s: Callable[[], float]) -> None:
        self.room_id = room_id
        self.source: Source | None = None
        self.is_relayed = False
        """Whether what came last is another media process' stream: that one speaks for the room, records it, and hands it on."""
        self.tracks: dict[Kind, Track] = {"audio": Track("audio"), "video": Track("video")}
        self.listeners: set[Listener] = set()
        self.key_frames_asked = 0
        self.wishes = 0
        self.attached = 0
        self._clock_s = clock_s
        self._asked_at_s: float | None = None
        self._wants_key_frame = False
        self._source_since_s = 0.0

    def attach(self, source: Source, *, is_relayed: bool = False) -> Source | None:
        """Take packets from this source only; gives the one before."""
        before, self.source = self.source, source
        self.is_relayed = is_relayed
        self.attached += 1
        self._source_since_s = self._clock_s()
        self._asked_at_s = None
        for track in self.tracks.values():
            track.change_source()
            for outlet in track.outlets:
                # Packets of the new one make no sense to a decoder before its first key frame.
                outlet.waits_for_key_frame = True
        for listener in self.listeners:
            listener.source_changed()
        self.want_key_frame()
        return before

    def detach(self, source: Source) -> None:
        """The source is gone; another may have taken over already."""
        if self.source is source:
            self.source = None

    def receive(
        self,
        source: Source,
        kind: Kind,
        codec: str,
        sequence: int,
        timestamp: int,
        marker: bool,
        payload: bytes,
    ) -> None:
        """One packet of a publisher; ignored unless it is the room's."""
        if source is not self.source:
            return
        now_s = self._clock_s()
        packet = self.tracks[kind].receive(codec, sequence, timestamp, marker, payload, now_s)
        if packet is not None and kind == "video" and packet.starts_key_frame:
            self._wants_key_frame = False
        if packet is not None:
            for listener in list(self.listeners):
                listener.hear(kind, packet)

    def heard_clock(self, source: Source, kind: Kind, ntp_time: int, rtp_time: int) -> None:
        if source is self.source:
            self.tracks[kind].heard_clock(ntp_time, rtp_time, self._clock_s())

    def add(self, outlet: Outlet) -> None:
        """Another viewer; a picture comes with the next key frame, which is asked for."""
        self.tracks[outlet.kind].outlets.add(outlet)
        if outlet.kind == "video":
            self.want_key_frame()

    def remove(self, outlet: Outlet) -> None:
        self.tracks[outlet.kind].outlets.discard(outlet)

    def repeat(self, outlet: Outlet, sequences: list[int]) -> None:
        outlet.repeat(sequences, self.tracks[outlet.kind].kept)

    def want_key_frame(self) -> None:
        """Ask the publisher, at most once a second however many viewers join or lose packets."""
        self.wishes += 1
        self._wants_key_frame = True
        self.ask_if_due()

    def ask_if_due(self) -> None:
        """Ask again when somebody still waits and the last time is a second ago."""
        now_s = self._clock_s()
        due = self._asked_at_s is None or now_s - self._asked_at_s >= KEY_FRAME_INTERVAL_S
        if self._wants_key_frame and due and self.source is not None:
            self._asked_at_s = now_s
            self.key_frames_asked += 1
            self.source.ask_for_key_frame()

    def tick(self) -> None:
        """Once a second."""
        now_s = self._clock_s()
        for track in self.tracks.values():
            track.tick(now_s)
        if any(o.waits_for_key_frame and now_s >= o.resume_at_s for o in self.tracks["video"].outlets):
            self._wants_key_frame = True

    @property
    def viewers(self) -> int:
        return max(len(track.outlets) for track in self.tracks.values())

    @property
    def is_wanted(self) -> bool:
        """Whether anybody takes the picture."""
        return bool(self.viewers or self.listeners)

    @property
    def is_publishing(self) -> bool:
        """Whether something has come from the publisher lately."""
        if self.source is None:
            return False
        heard = [t.last_packet_at_s for t in self.tracks.values() if t.last_packet_at_s is not None]
        return (
            bool(heard)
            and self._clock_s() - max(heard) < SILENT_AFTER_S
            and max(heard) >= self._source_since_s
        )
