"""RTP packets put together into whole pictures (H264 by RFC 6184, VP8 by RFC 7741) and sounds, in order, for HLS and
recordings. No I/O; time is an argument.

What is lost on the way in is asked for again by the receiver, so a gap is given `WAIT_S` to close. After that the picture is left out, and
all after it up to the next key frame: a decoder would only smear them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from live.media.packets import Kind, MediaPacket

WAIT_S: Final = 0.4
"""Longer than a round trip with NACK takes in a usable network, shorter than a part of HLS."""
MAX_WAITING: Final = 1024
MAX_FRAME_BYTES: Final = 4 << 20
_SPS, _PPS, _AUD, _IDR, _SLICE = 7, 8, 9, 5, 1
_STAP_A, _FU_A = 24, 28


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture or sound as the codec made it. `timestamp` is the track's RTP time; H264 is a list of NAL units without start codes."""

    kind: Kind
    codec: str
    timestamp: int
    is_key: bool
    units: tuple[bytes, ...]
    after_loss: bool = False

    @property
    def size(self) -> int:
        return sum(map(len, self.units))


class FrameAssembler:
    """One track's packets in, its frames out."""

    def __init__(self, kind: Kind, on_frame: Callable[[Frame], None], on_loss: Callable[[], None]) -> None:
        self._kind: Kind = kind
        self._on_frame = on_frame
        self._on_loss = on_loss
        self._waiting: dict[int, MediaPacket] = {}
        self._next_index: int | None = None
        self._gap_since_s: float | None = None
        self._gathered: list[MediaPacket] = []
        self._gathered_bytes = 0
        self._needs_key = kind == "video"
        self._lost = False
        self.losses = 0

    def restart(self) -> None:
        """Another source: what is half there never gets whole."""
        self._waiting.clear()
        self._gathered.clear()
        self._gathered_bytes = 0
        self._next_index = self._gap_since_s = None
        self._needs_key = self._kind == "video"

    def add(self, packet: MediaPacket, now_s: float) -> None:
        """One packet, in whatever order it came."""
        if self._next_index is None:
            if self._needs_key and not packet.starts_key_frame:
                return
            self._next_index = packet.index
        if packet.index < self._next_index:
            return
        self._waiting[packet.index] = packet
        self._take_in_order()
        if not self._waiting:
            self._gap_since_s = None
        elif self._gap_since_s is None:
            self._gap_since_s = now_s
        elif now_s - self._gap_since_s > WAIT_S or len(self._waiting) > MAX_WAITING:
            self._give_up_gap()
            self._gap_since_s = now_s if self._waiting else None

    def _take_in_order(self) -> None:
        assert self._next_index is not None
        while (packet := self._waiting.pop(self._next_index, None)) is not None:
            self._next_index += 1
            self._gather(packet)

    def _give_up_gap(self) -> None:
        self._lose()
        self._next_index = min(self._waiting)
        self._take_in_order()

    def _lose(self) -> None:
        self.losses += 1
        self._lost = True
        self._gathered.clear()
        self._gathered_bytes = 0
        if self._kind == "video":
            self._needs_key = True
            self._on_loss()

    def _gather(self, packet: MediaPacket) -> None:
        if self._kind == "audio":
            self._emit(True, (packet.payload,), packet)
            return
        if self._gathered and self._gathered[0].timestamp != packet.timestamp:
            self._finish()  # a marker was not set: the next picture's time ends this one
        if self._needs_key and not self._gathered and not packet.starts_key_frame:
            return  # the rest of a picture whose beginning is lost may look like anything
        self._gathered.append(packet)
        self._gathered_bytes += len(packet.payload)
        if self._gathered_bytes > MAX_FRAME_BYTES:
            self._lose()
        elif packet.marker:
            self._finish()

    def _finish(self) -> None:
        packets, self._gathered, self._gathered_bytes = self._gathered, [], 0
        codec = packets[0].codec
        payloads = [packet.payload for packet in packets]
        if codec == "H264":
            units = h264_units(payloads)
            is_key = any(unit[0] & 0x1F == _IDR for unit in units)
            has_picture = any(_SLICE <= unit[0] & 0x1F <= _IDR for unit in units)
        else:
            picture = b"".join(vp8_part(payload) for payload in payloads)
            units = (picture,) if picture else ()
            is_key = bool(picture) and not picture[0] & 1
            has_picture = bool(picture)
        if not has_picture:
            if units and codec == "H264":
                # Parameter sets sent on their own belong to the picture that comes next.
                self._gathered = [_again(packets[0], unit) for unit in units]
            return
        if self._needs_key and not is_key:
            return
        self._needs_key = False
        self._emit(is_key, units, packets[-1])

    def _emit(self, is_key: bool, units: tuple[bytes, ...], packet: MediaPacket) -> None:
        lost, self._lost = self._lost, False
        self._on_frame(Frame(self._kind, packet.codec, packet.timestamp, is_key, units, lost))


def _again(packet: MediaPacket, unit: bytes) -> MediaPacket:
    return MediaPacket(packet.codec, packet.index, packet.timestamp, False, unit, False)


def h264_units(payloads: list[bytes]) -> tuple[bytes, ...]:
    """The NAL units in the payloads of one picture; what is malformed is left out, access unit delimiters too."""
    units: list[bytes] = []
    fragments: list[bytes] = []
    for payload in payloads:
        kind = payload[0] & 0x1F if payload else 0
        if kind == _FU_A and len(payload) > 2:
            if payload[1] & 0x80:
                fragments = [bytes([payload[0] & 0xE0 | payload[1] & 0x1F]), payload[2:]]
            elif fragments:
                fragments.append(payload[2:])
            if payload[1] & 0x40 and fragments:
                units.append(b"".join(fragments))
                fragments = []
        elif kind == _STAP_A:
            at = 1
            while at + 2 < len(payload):
                size = int.from_bytes(payload[at : at + 2])
                unit = payload[at + 2 : at + 2 + size]
                if unit and len(unit) == size:
                    units.append(unit)
                at += 2 + size
        elif 0 < kind < _STAP_A:
            units.append(payload)
    return tuple(unit for unit in units if unit[0] & 0x1F != _AUD)


def vp8_part(payload: bytes) -> bytes:
    """A payload without its descriptor (RFC 7741 section 4.2); empty when malformed."""
    if not payload:
        return b""
    at = 1
    if payload[0] & 0x80:
        if len(payload) < 2:
            return b""
        extended = payload[1]
        at = 2
        if extended & 0x80:
            if len(payload) <= at:
                return b""
            at += 2 if payload[at] & 0x80 else 1
        at += bool(extended & 0x40) + bool(extended & 0x30)
    return payload[at:]


@dataclass(frozen=True, slots=True)
class VideoShape:
    """What a decoder must know before the first picture."""

    codec: str
    width: int
    height: int
    sps: bytes = b""
    pps: bytes = b""

    @property
    def codecs(self) -> str:
        """As in a media type (RFC 6381)."""
        if self.codec == "H264":
            return f"avc1.{self.sps[1:4].hex()}"
        return "vp08.00.10.08"


def shape_of(frame: Frame) -> VideoShape | None:
    """The shape that a key frame brings with it; None when it brings none or can't be read."""
    if frame.codec == "H264":
        sps = next((u for u in frame.units if u[0] & 0x1F == _SPS), None)
        pps = next((u for u in frame.units if u[0] & 0x1F == _PPS), None)
        if sps is None or pps is None:
            return None
        try:
            width, height = sps_size(sps)
        except (IndexError, ValueError):
            return None
        return VideoShape("H264", width, height, sps, pps)
    picture = frame.units[0]
    if len(picture) < 10 or picture[3:6] != b"\x9d\x01\x2a":
        return None
    width = int.from_bytes(picture[6:8], "little") & 0x3FFF
    height = int.from_bytes(picture[8:10], "little") & 0x3FFF
    return VideoShape("VP8", width, height)


class _Bits:
    """Exp-Golomb reader over a NAL unit without its emulation bytes."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = len(data) * 8

    def u(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError
        return self._value >> self._left & (1 << count) - 1

    def ue(self) -> int:
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 31:
                raise ValueError
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def sps_size(sps: bytes) -> tuple[int, int]:
    """Width and height that a sequence parameter set (H.264 7.3.2.1.1) says, cropping taken off. Raises ValueError."""
    bits = _Bits(sps[1:].replace(b"\x00\x00\x03", b"\x00\x00"))
    profile = bits.u(8)
    bits.u(16)
    bits.ue()
    chroma = 1
    if profile in (100, 110, 122, 244, 44, 83, 86, 118, 128):
        chroma = bits.ue()
        if chroma == 3:
            bits.u(1)
        bits.ue()
        bits.ue()
        bits.u(1)
        if bits.u(1):
            for number in range(8 if chroma != 3 else 12):
                if bits.u(1):
                    _skip_scaling_list(bits, 16 if number < 6 else 64)
    bits.ue()
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.u(1)
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()
    bits.ue()
    bits.u(1)
    width = (bits.ue() + 1) * 16
    height_units = bits.ue() + 1
    frames_only = bits.u(1)
    height = height_units * 16 * (2 - frames_only)
    if not frames_only:
        bits.u(1)
    bits.u(1)
    if bits.u(1):
        step_x = 2 if chroma in (1, 2) else 1
        step_y = (2 if chroma == 1 else 1) * (2 - frames_only)
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        width -= (left + right) * step_x
        height -= (top + bottom) * step_y
    if not (0 < width <= 16384 and 0 < height <= 16384):
        raise ValueError
    return width, height


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last, following = 8, 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last
