"""Encoded media packets as they pass through: where a key frame begins, and the RTP and RTCP that we write ourselves (RFC 3550)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["audio", "video"]

CLOCK_RATES: Final[dict[Kind, int]] = {"audio": 48_000, "video": 90_000}
VIDEO_CODECS: Final = ("H264", "VP8")
AUDIO_CODECS: Final = ("OPUS",)

RTP_HEADER: Final = struct.Struct("!BBHII")
_SENDER_REPORT: Final = struct.Struct("!BBHIQIII")
_SPS, _IDR, _STAP_A, _FU_A = 7, 5, 24, 28


@dataclass(frozen=True, slots=True)
class MediaPacket:
    """One packet of a track. `index` is the publisher's sequence number, unwrapped; it and `timestamp` go on across publishers."""

    codec: str
    index: int
    timestamp: int
    marker: bool
    payload: bytes
    starts_key_frame: bool


def starts_key_frame(codec: str, payload: bytes) -> bool:
    """Whether a decoder may begin with this packet: always for audio; VP8 by RFC 7741, H264 by RFC 6184."""
    if codec == "VP8":
        return _starts_vp8_key_frame(payload)
    if codec == "H264":
        return _starts_h264_key_frame(payload)
    return True


def _starts_vp8_key_frame(payload: bytes) -> bool:
    if not payload:
        return False
    first = payload[0]
    if first & 0x17 != 0x10:  # not the start of partition 0
        return False
    at = 1
    if first & 0x80:
        if len(payload) < 2:
            return False
        extended = payload[1]
        at = 2
        if extended & 0x80:
            if len(payload) <= at:
                return False
            at += 2 if payload[at] & 0x80 else 1
        at += bool(extended & 0x40) + bool(extended & 0x30)
    return len(payload) > at and not payload[at] & 0x01


def _starts_h264_key_frame(payload: bytes) -> bool:
    if len(payload) < 2:
        return False
    unit = payload[0] & 0x1F
    if unit == _FU_A:
        return bool(payload[1] & 0x80) and payload[1] & 0x1F == _IDR
    if unit == _STAP_A:
        at = 1
        while at + 2 < len(payload):
            if payload[at + 2] & 0x1F in (_SPS, _IDR):
                return True
            at += 2 + int.from_bytes(payload[at : at + 2])
        return False
    return unit in (_SPS, _IDR)


def sender_report(ssrc: int, ntp_time: int, rtp_time: int, packets: int, octets: int) -> bytes:
    """An RTCP sender report without report blocks: by it a player keeps lips and sound together."""
    return _SENDER_REPORT.pack(
        0x80, 200, 6, ssrc, ntp_time, rtp_time & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF
    )


class Unwrapper:
    """16-bit sequence numbers made into ever growing ones, reordering within half the circle allowed."""

    def __init__(self, first_index: int) -> None:
        self._first_index = first_index
        self._last: int | None = None
        self._last_index = first_index

    def index(self, sequence: int) -> int:
        """The unwrapped number; the first one seen becomes `first_index`."""
        if self._last is None:
            self._last = sequence
        step = (sequence - self._last) & 0xFFFF
        if step >= 0x8000:
            step -= 0x10000
        index = self._last_index + step
        if step > 0:
            self._last, self._last_index = sequence, index
        return index
