"""What one viewer gets of one track: the shared packets under their own numbers, from a key frame on, with what they lost sent again.

Bounded by construction: packets wait nowhere but in the kernel's socket buffer. A viewer who can't take one is behind, and gets nothing
of the track until the next key frame; sequence numbers close over the gap, so that nobody asks for what was skipped.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from live.media.packets import RTP_HEADER, Kind, MediaPacket, sender_report

REPEATS_PER_S: Final = 400
LOSS_TOO_HIGH: Final = 64  # of 256: a quarter
REPORTS_TOO_HIGH: Final = 3
PAUSE_S: Final = 3.0
SPANS_KEPT: Final = 4


class Wire(Protocol):
    """A connected, encrypted way to one viewer."""

    def send_rtp(self, packet: bytes) -> bool:
        """False when the packet could not be taken."""
        ...

    def send_rtcp(self, packet: bytes) -> bool: ...


class Outlet:
    """One track on its way to one viewer.

    `payload_types` maps codec names to what this viewer calls them, `repeat_types` to what repeats (RTX, RFC 4588) are called.
    """

    __slots__ = (
        "_bad_reports",
        "_first_index",
        "_last_index",
        "_offset",
        "_repeat_sequence",
        "_repeats_left",
        "_spans",
        "asked_again",
        "fraction_lost",
        "kind",
        "octets",
        "packets",
        "payload_types",
        "repeat_ssrc",
        "repeat_types",
        "repeats",
        "resume_at_s",
        "skips",
        "ssrc",
        "waits_for_key_frame",
        "wire",
    )

    def __init__(
        self,
        kind: Kind,
        wire: Wire,
        *,
        ssrc: int,
        repeat_ssrc: int,
        payload_types: dict[str, int],
        repeat_types: dict[str, int],
        first_sequence: int,
    ) -> None:
        self.kind = kind
        self.wire = wire
        self.ssrc = ssrc
        self.repeat_ssrc = repeat_ssrc
        self.payload_types = payload_types
        self.repeat_types = repeat_types
        self.waits_for_key_frame = True
        self.resume_at_s = 0.0
        self.fraction_lost = 0
        self.packets = self.octets = self.repeats = self.skips = self.asked_again = 0
        self._offset = first_sequence  # sent sequence number = (index + offset) mod 2^16
        self._first_index = 0
        self._last_index = -1
        self._spans: list[tuple[int, int, int]] = []  # (first index, last index, offset) before a gap
        self._repeat_sequence = first_sequence
        self._bad_reports = 0
        self._repeats_left = REPEATS_PER_S

    # -- the hot path

    def forward(self, packet: MediaPacket, now_s: float) -> None:
        """Send one packet on, unless this viewer waits for a key frame."""
        index = packet.index
        if self.waits_for_key_frame:
            if (
                not packet.starts_key_frame
                or now_s < self.resume_at_s
                or packet.codec not in self.payload_types
            ):
                return
            self._begin_span(index)
        elif index < self._first_index:
            return  # reordered across the gap: its number is somebody else's now
        payload_type = self.payload_types.get(packet.codec)
        if payload_type is None:
            self.waits_for_key_frame = True
            return
        if packet.marker:
            payload_type |= 0x80
        header = RTP_HEADER.pack(
            0x80, payload_type, (index + self._offset) & 0xFFFF, packet.timestamp, self.ssrc
        )
        if self.wire.send_rtp(header + packet.payload):
            self.packets += 1
            self.octets += len(packet.payload)
            if index > self._last_index:
                self._last_index = index
        else:
            self.fall_behind(now_s)

    def fall_behind(self, until_s: float) -> None:
        """Skip to the first key frame after `until_s`."""
        self.waits_for_key_frame = True
        self.resume_at_s = until_s
        self.skips += 1

    def _begin_span(self, index: int) -> None:
        if self._last_index >= 0:
            self._spans.append((self._first_index, self._last_index, self._offset))
            del self._spans[:-SPANS_KEPT]
            self._offset += self._last_index + 1 - index
        else:
            self._offset -= index
        self._first_index, self._last_index = index, index - 1
        self.waits_for_key_frame = False

    # -- what the viewer tells us

    def repeat(self, sequences: Iterable[int], history: Callable[[int], MediaPacket | None]) -> None:
        """Send again what the viewer has lost, as far as it is kept and within 400 packets a second."""
        for sequence in sequences:
            self.asked_again += 1
            packet = history(self.index_of(sequence))
            if packet is None or self._repeats_left <= 0:
                continue
            self._repeats_left -= 1
            self.repeats += 1
            self.wire.send_rtp(self._repeated(packet, sequence))

    def index_of(self, sequence: int) -> int:
        """The packet that went out under this number; -1 when it is none of the last."""
        first, last, offset = self._first_index, self._last_index, self._offset
        index = last - ((last + offset - sequence) & 0xFFFF)
        spans = iter(reversed(self._spans))
        while index < first:
            span = next(spans, None)
            if span is None:
                return -1
            first, last, older = span
            index += offset - older
            offset = older
        return index

    def _repeated(self, packet: MediaPacket, sequence: int) -> bytes:
        marker = 0x80 if packet.marker else 0
        repeat_type = self.repeat_types.get(packet.codec)
        if repeat_type is None:
            payload_type = self.payload_types[packet.codec]
            header = RTP_HEADER.pack(0x80, marker | payload_type, sequence, packet.timestamp, self.ssrc)
            return header + packet.payload
        self._repeat_sequence = (self._repeat_sequence + 1) & 0xFFFF
        header = RTP_HEADER.pack(
            0x80, marker | repeat_type, self._repeat_sequence, packet.timestamp, self.repeat_ssrc
        )
        return header + _ORIGINAL.pack(sequence) + packet.payload

    def heard_report(self, fraction_lost: int, now_s: float) -> None:
        """A receiver report: three in a row with a quarter lost, and the picture pauses for 3 s so that the sound gets through."""
        self.fraction_lost = fraction_lost
        self._bad_reports = self._bad_reports + 1 if fraction_lost >= LOSS_TOO_HIGH else 0
        if self._bad_reports >= REPORTS_TOO_HIGH and self.kind == "video":
            self._bad_reports = 0
            self.fall_behind(now_s + PAUSE_S)

    # -- once a second

    def tick(self, ntp_time: int | None, rtp_time: int) -> None:
        """Renew the allowance for repeats, and tell the viewer how the track's clock and the wall clock go together."""
        self._repeats_left = REPEATS_PER_S
        if ntp_time is not None and self.packets:
            self.wire.send_rtcp(sender_report(self.ssrc, ntp_time, rtp_time, self.packets, self.octets))


_ORIGINAL: Final = struct.Struct("!H")
