"""The test picture: a moving band, a running clock and a chime, for rehearsals and tests. Its video costs nothing while nobody watches.

H264 constrained baseline, 360x640 at 15 pictures a second, encoded as it is shown so that the clock is the true one: what a viewer's
screen shows against the time of day is the delay from glass to glass. The sound is one second, encoded once and repeated.
"""

from __future__ import annotations

import asyncio
import logging
import math
import struct
import time
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Final

import av
from aiortc.codecs.h264 import H264Encoder
from av.video.frame import PictureType

from live.media.packets import CLOCK_RATES
from live.media.streams import NTP_SECOND, RoomStream

log = logging.getLogger("flashroom.media")

WIDTH: Final = 360
HEIGHT: Final = 640
PICTURES_PER_S: Final = 15
SOUNDS_PER_S: Final = 50
SAMPLE_RATE: Final = 48_000
CHIME_HZ: Final = 660
CHIME_MS: Final = 120
BIT_RATE: Final = 400_000
KEY_FRAME_PICTURES: Final = 10 * PICTURES_PER_S
REST_S: Final = 10.0
"""How long a room stays empty after a person has published, before the test picture comes back."""

CODE_BITS: Final = 24
CODE_HEIGHT: Final = 16
"""The top rows say the time in ms, modulo 2^24, as black and white blocks, the highest bit first: for programs that measure delay."""

_NTP_EPOCH_S: Final = 2_208_988_800
_BLACK, _WHITE, _INK = 16, 235, 225
_DIGIT_WIDTH, _DIGIT_HEIGHT, _STROKE = 26, 48, 6
_SEGMENTS: Final = {
    "0": "abcdef", "1": "bc", "2": "abged", "3": "abgcd", "4": "fgbc",
    "5": "afgcd", "6": "afgedc", "7": "abc", "8": "abcdefg", "9": "abcdfg",
}  # fmt: skip


class RehearsalPicture:
    """A source for one room's stream; `stream` gives the one the room has now (a room that nobody uses is forgotten)."""

    subject = "test picture"

    def __init__(
        self,
        stream: Callable[[], RoomStream],
        *,
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._current_stream = stream
        self._stream = stream()
        self._clock_s = clock_s
        self._wants_key_frame = True
        self._sounds = encode_chime()
        self._encoder = _new_encoder()
        self._packer = H264Encoder()
        self._canvas = Canvas()
        self._sequences = {"audio": 0, "video": 0}

    def ask_for_key_frame(self) -> None:
        self._wants_key_frame = True

    async def run(self, stop: asyncio.Event, wanted: Callable[[], Awaitable[bool]]) -> None:
        """Publish whenever it is wanted and nobody else does, until `stop`."""
        empty_since_s: float | None = 0.0
        while not stop.is_set():
            self._stream = self._current_stream()
            if self._stream.source is not None:
                empty_since_s = None
            elif empty_since_s is None:
                empty_since_s = time.monotonic()
            is_free = empty_since_s is not None and time.monotonic() - empty_since_s >= REST_S
            if is_free and await wanted():
                await self._publish(stop, wanted)
                empty_since_s = None
            try:
                await asyncio.wait_for(stop.wait(), 1.0)
            except TimeoutError:
                continue

    async def _publish(self, stop: asyncio.Event, wanted: Callable[[], Awaitable[bool]]) -> None:
        self._stream = (
            self._current_stream()
        )  # another one, when the room was forgotten while Redis was asked
        self._stream.attach(self)
        self._wants_key_frame = True
        began_s = float(int(self._clock_s()))  # on a full second, so that the chime marks seconds
        sounds = int((self._clock_s() - began_s) * SOUNDS_PER_S)
        pictures = int((self._clock_s() - began_s) * PICTURES_PER_S)
        try:
            while not stop.is_set() and self._stream.source is self:
                if sounds % SOUNDS_PER_S == 0:
                    self._tell_clock(began_s)
                    if not await wanted():
                        return
                elapsed_s = self._clock_s() - began_s
                if elapsed_s * SOUNDS_PER_S - sounds > 5 * SOUNDS_PER_S:
                    sounds, pictures = int(elapsed_s * SOUNDS_PER_S), int(elapsed_s * PICTURES_PER_S)
                while sounds <= elapsed_s * SOUNDS_PER_S:
                    self._send("audio", "OPUS", sounds * 960, [self._sounds[sounds % SOUNDS_PER_S]])
                    sounds += 1
                if pictures <= elapsed_s * PICTURES_PER_S:
                    if self._stream.is_wanted:
                        at_s = began_s + pictures / PICTURES_PER_S
                        payloads = await asyncio.to_thread(self._encode, pictures, at_s)
                        self._send("video", "H264", pictures * 90_000 // PICTURES_PER_S, payloads)
                    pictures += 1
                next_s = began_s + min(sounds / SOUNDS_PER_S, pictures / PICTURES_PER_S)
                await asyncio.sleep(max(0.0, next_s - self._clock_s()))
        finally:
            self._stream.detach(self)

    def _encode(self, number: int, at_s: float) -> list[bytes]:
        frame = self._canvas.draw(at_s)
        frame.pts, frame.time_base = number, Fraction(1, PICTURES_PER_S)
        if self._wants_key_frame:
            self._wants_key_frame = False
            frame.pict_type = PictureType.I
        payloads: list[bytes] = []
        for packet in self._encoder.encode(frame):
            payloads += self._packer.pack(packet)[0]
        return payloads

    def _send(self, kind: str, codec: str, timestamp: int, payloads: list[bytes]) -> None:
        assert kind in ("audio", "video")
        for position, payload in enumerate(payloads):
            sequence = self._sequences[kind] = (self._sequences[kind] + 1) & 0xFFFF
            marker = kind == "video" and position == len(payloads) - 1
            self._stream.receive(
                self,
                "video" if kind == "video" else "audio",
                codec,
                sequence,
                timestamp & 0xFFFFFFFF,
                marker,
                payload,
            )

    def _tell_clock(self, began_s: float) -> None:
        now_s = self._clock_s()
        ntp_time = int((now_s + _NTP_EPOCH_S) * NTP_SECOND)
        for kind, rate in CLOCK_RATES.items():
            self._stream.heard_clock(self, kind, ntp_time, int((now_s - began_s) * rate))


class Canvas:
    """Draws the picture of a moment."""

    def __init__(self) -> None:
        self._frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        self._stride = self._frame.planes[0].line_size
        rows = bytearray()
        for y in range(HEIGHT):
            shade = 40 + 70 * y // HEIGHT
            rows += bytes([shade]) * self._stride
        self._background = bytes(rows)
        self._colours = [
            bytes([value]) * plane.buffer_size
            for plane, value in zip(self._frame.planes[1:], (150, 118), strict=True)
        ]
        self._band = b"".join(
            bytes([110 + int(60 * math.sin(math.pi * row / 40))]) * self._stride for row in range(40)
        )
        self._digits = {digit: _digit_rows(on) for digit, on in _SEGMENTS.items()}

    def draw(self, at_s: float) -> av.VideoFrame:
        """A new frame with the band, the clock's digits (local time and tenths) and the code on top."""
        luma = bytearray(self._background)
        top = 60 + int((at_s % 4.0) / 4.0 * (HEIGHT - 120))
        luma[top * self._stride : (top + 40) * self._stride] = self._band
        self._draw_code(luma, int(at_s * 1000))
        local = time.localtime(at_s)
        text = f"{local.tm_hour:02}{local.tm_min:02}{local.tm_sec:02}{int(at_s * 10) % 10}"
        x = 40
        for position, digit in enumerate(text):
            self._draw_digit(luma, digit, x, 280)
            x += _DIGIT_WIDTH + (24 if position in (1, 3, 5) else 10)
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane, content in zip(frame.planes, (bytes(luma), *self._colours), strict=True):
            plane.update(content)
        return frame

    def _draw_code(self, luma: bytearray, at_ms: int) -> None:
        block = WIDTH // CODE_BITS
        row = b"".join(
            bytes([_WHITE if at_ms >> bit & 1 else _BLACK]) * block for bit in reversed(range(CODE_BITS))
        )
        for y in range(CODE_HEIGHT):
            luma[y * self._stride : y * self._stride + WIDTH] = row

    def _draw_digit(self, luma: bytearray, digit: str, x: int, y: int) -> None:
        for offset, row in enumerate(self._digits[digit]):
            at = (y + offset) * self._stride + x
            luma[at : at + _DIGIT_WIDTH] = row


def _digit_rows(segments: str) -> list[bytes]:
    """A digit of a seven-segment clock, row by row."""
    middle = _DIGIT_HEIGHT // 2
    rows = []
    for y in range(_DIGIT_HEIGHT):
        is_bar = (
            ("a" in segments and y < _STROKE)
            or ("g" in segments and abs(y - middle) <= _STROKE // 2)
            or ("d" in segments and y >= _DIGIT_HEIGHT - _STROKE)
        )
        row = bytearray([_INK if is_bar else _BLACK + 14]) * _DIGIT_WIDTH
        left, right = ("f", "b") if y < middle else ("e", "c")
        if left in segments:
            row[:_STROKE] = bytes([_INK]) * _STROKE
        if right in segments:
            row[-_STROKE:] = bytes([_INK]) * _STROKE
        rows.append(bytes(row))
    return rows


def _new_encoder() -> av.VideoCodecContext:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.framerate = Fraction(PICTURES_PER_S, 1)
    encoder.time_base = Fraction(1, PICTURES_PER_S)
    encoder.bit_rate = BIT_RATE
    encoder.gop_size = KEY_FRAME_PICTURES
    encoder.thread_count = 1
    encoder.profile = "Baseline"
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "level": "31", "forced-idr": "1"}
    return encoder


def encode_chime() -> list[bytes]:
    """One second of sound as 50 Opus packets of 20 ms: a short tone, then quiet."""
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = SAMPLE_RATE, "mono", "s16"
    encoder.bit_rate = 32_000
    encoder.time_base = Fraction(1, SAMPLE_RATE)
    samples_per_packet = SAMPLE_RATE // SOUNDS_PER_S
    chime = SAMPLE_RATE * CHIME_MS // 1000
    samples = [
        int(5000 * math.sin(math.pi * n / chime) * math.sin(2 * math.pi * CHIME_HZ * n / SAMPLE_RATE))
        for n in range(chime)
    ]
    samples += [0] * (SAMPLE_RATE - chime)
    packets: list[bytes] = []
    for number in range(SOUNDS_PER_S + 2):  # the encoder holds some back
        start = number % SOUNDS_PER_S * samples_per_packet
        frame = av.AudioFrame(format="s16", layout="mono", samples=samples_per_packet)
        frame.planes[0].update(
            struct.pack(f"<{samples_per_packet}h", *samples[start : start + samples_per_packet])
        )
        frame.pts, frame.sample_rate = number * samples_per_packet, SAMPLE_RATE
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets[:SOUNDS_PER_S]
