"""Opus made into AAC, once per room: the one thing that is decoded and encoded again.

Why at all: AAC is what every HLS player and editing program takes. It costs about 1 % of a core.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import av

from live.media.fmp4 import SOUND_TIMESCALE, Sample

BIT_RATE: Final = 96_000
FRAME_SAMPLES: Final = 1024
PRIMING_SAMPLES: Final = 1024
"""What AAC's encoder puts before the sound; taken off the time, so that lips and sound agree."""
MAX_FILLED: Final = SOUND_TIMESCALE
"""A longer gap is a break of the show, not a loss to be filled with silence."""
_TOO_EARLY: Final = 2 * 960


class SoundEncoder:
    """One run of sound without a break. Times are in 1/48000 s."""

    def __init__(self) -> None:
        decoder = av.CodecContext.create("libopus", "r")
        encoder = av.CodecContext.create("aac", "w")
        assert isinstance(decoder, av.AudioCodecContext)
        assert isinstance(encoder, av.AudioCodecContext)
        encoder.sample_rate, encoder.layout, encoder.format = SOUND_TIMESCALE, "stereo", "fltp"
        encoder.bit_rate = BIT_RATE
        encoder.time_base = Fraction(1, SOUND_TIMESCALE)
        encoder.options = {"aac_coder": "fast"}
        # In MP4 the config stands in `esds`, not in each frame.
        encoder.flags |= av.codec.context.Flags.global_header
        encoder.open()
        self._decoder = decoder
        self._encoder = encoder
        self._resampler = av.AudioResampler("fltp", "stereo", SOUND_TIMESCALE)
        self._fifo = av.AudioFifo()
        self._began_at: int | None = None
        self._taken = 0
        self._given = 0

    @property
    def config(self) -> bytes:
        """AudioSpecificConfig (ISO/IEC 14496-3)."""
        return bytes(self._encoder.extradata or b"")

    def gap_before(self, at: int) -> int:
        """How many samples are missing between what came and a packet at `at`; negative when it comes too early."""
        return at - self._began_at - self._taken if self._began_at is not None else 0

    def encode(self, packet: bytes, at: int) -> list[Sample]:
        """One Opus packet; what is missing before it becomes silence. Gives the AAC frames that are whole. A packet that can't be decoded
        becomes silence too, with the next one."""
        if self._began_at is None:
            self._began_at = at
        gap = self.gap_before(at)
        if gap < -_TOO_EARLY:
            return []
        if gap >= 960:
            self._fill(min(gap, MAX_FILLED))
        try:
            frames = self._decoder.decode(av.Packet(packet))
        except av.error.FFmpegError:
            return []
        for frame in frames:
            frame.pts = None
            for plain in self._resampler.resample(frame):
                self._take(plain)
        return self._encoded()

    def _fill(self, samples: int) -> None:
        silence = av.AudioFrame(format="fltp", layout="stereo", samples=samples)
        for plane in silence.planes:
            plane.update(bytes(plane.buffer_size))
        silence.sample_rate = SOUND_TIMESCALE
        self._take(silence)

    def _take(self, frame: av.AudioFrame) -> None:
        frame.pts = None
        self._taken += frame.samples
        self._fifo.write(frame)

    def _encoded(self) -> list[Sample]:
        assert self._began_at is not None
        samples: list[Sample] = []
        for frame in self._fifo.read_many(FRAME_SAMPLES):
            frame.pts = None
            for packet in self._encoder.encode(frame):
                at = self._began_at - PRIMING_SAMPLES + self._given
                self._given += FRAME_SAMPLES
                samples.append(Sample(max(0, at), FRAME_SAMPLES, bytes(packet), True))
        return samples
