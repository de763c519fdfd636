"""Fragmented MP4 (ISO/IEC 14496-12), written by hand: an initial segment and fragments of whole samples, as CMAF wants them for HLS.

Why not a muxer of FFmpeg's: we decide where a fragment ends, at the picture that arrives, and no thread or callback comes between.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from live.media.frames import VideoShape

VIDEO_TIMESCALE: Final = 90_000
SOUND_TIMESCALE: Final = 48_000
VIDEO_TRACK: Final = 1
SOUND_TRACK: Final = 2
_KEY_FLAGS: Final = 0x02000000  # depends on no other
_DELTA_FLAGS: Final = 0x01010000  # depends on others, not a sync sample
_MATRIX: Final = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture or sound. `at` and `duration` are in the track's timescale."""

    at: int
    duration: int
    data: bytes
    is_key: bool


def init_segment(video: VideoShape | None, sound_config: bytes | None) -> bytes:
    """`ftyp` and `moov`. `sound_config` is AAC's AudioSpecificConfig; one of the two at least."""
    tracks = []
    if video is not None:
        tracks.append(
            _track(VIDEO_TRACK, VIDEO_TIMESCALE, b"vide", _video_entry(video), video.width, video.height)
        )
    if sound_config is not None:
        tracks.append(_track(SOUND_TRACK, SOUND_TIMESCALE, b"soun", _sound_entry(sound_config), 0, 0))
    extends = [
        _full(b"trex", 0, 0, struct.pack(">5I", number, 1, 0, 0, 0))
        for number, there in ((VIDEO_TRACK, video), (SOUND_TRACK, sound_config))
        if there is not None
    ]
    header = struct.pack(">5I2H2I", 0, 0, 1000, 0, 0x10000, 0x0100, 0, 0, 0) + _MATRIX + bytes(24)
    movie = _box(
        b"moov",
        _full(b"mvhd", 0, 0, header + struct.pack(">I", 3)),
        *tracks,
        _box(b"mvex", *extends),
    )
    return _box(b"ftyp", b"iso6" + struct.pack(">I", 1) + b"iso6cmfcmp41") + movie


def fragment(number: int, video: Sequence[Sample], sound: Sequence[Sample]) -> bytes:
    """`moof` and `mdat` with the samples of both tracks; `number` counts fragments from 1."""
    runs = [(track, samples) for track, samples in ((VIDEO_TRACK, video), (SOUND_TRACK, sound)) if samples]
    # The offsets into mdat depend on the size of moof, which doesn't depend on them.
    size = len(_movie_fragment(number, runs, 0))
    moof = _movie_fragment(number, runs, size + 8)
    return moof + _box(b"mdat", *(sample.data for _, samples in runs for sample in samples))


def _movie_fragment(number: int, runs: Sequence[tuple[int, Sequence[Sample]]], offset: int) -> bytes:
    parts = [_full(b"mfhd", 0, 0, struct.pack(">I", number))]
    for track, samples in runs:
        entries = b"".join(
            struct.pack(">3I", s.duration, len(s.data), _KEY_FLAGS if s.is_key else _DELTA_FLAGS)
            for s in samples
        )
        parts.append(
            _box(
                b"traf",
                _full(b"tfhd", 0, 0x020000, struct.pack(">I", track)),  # offsets count from moof
                _full(b"tfdt", 1, 0, struct.pack(">Q", samples[0].at)),
                _full(b"trun", 0, 0x000701, struct.pack(">2I", len(samples), offset) + entries),
            )
        )
        offset += sum(len(s.data) for s in samples)
    return _box(b"moof", *parts)


def _track(number: int, timescale: int, handler: bytes, entry: bytes, width: int, height: int) -> bytes:
    is_video = handler == b"vide"
    header = struct.pack(">5I", 0, 0, number, 0, 0) + bytes(8)
    header += struct.pack(">4H", 0, 0, 0 if is_video else 0x0100, 0) + _MATRIX
    header += struct.pack(">2I", width << 16, height << 16)
    media_header = _full(b"vmhd", 0, 1, bytes(8)) if is_video else _full(b"smhd", 0, 0, bytes(4))
    tables = [
        _full(b"stsd", 0, 0, struct.pack(">I", 1) + entry),
        _full(b"stts", 0, 0, bytes(4)),
        _full(b"stsc", 0, 0, bytes(4)),
        _full(b"stsz", 0, 0, bytes(8)),
        _full(b"stco", 0, 0, bytes(4)),
    ]
    return _box(
        b"trak",
        _full(b"tkhd", 0, 3, header),
        _box(
            b"mdia",
            _full(b"mdhd", 0, 0, struct.pack(">4I2H", 0, 0, timescale, 0, 0x55C4, 0)),
            _full(b"hdlr", 0, 0, bytes(4) + handler + bytes(12) + b"Flashroom\0"),
            _box(
                b"minf",
                media_header,
                _box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1) + _full(b"url ", 0, 1, b""))),
                _box(b"stbl", *tables),
            ),
        ),
    )


def _video_entry(shape: VideoShape) -> bytes:
    common = bytes(6) + struct.pack(">H", 1) + bytes(16)
    common += struct.pack(">2H2I", shape.width, shape.height, 0x480000, 0x480000)
    common += bytes(4) + struct.pack(">H", 1) + bytes(32) + struct.pack(">Hh", 24, -1)
    if shape.codec == "H264":
        sets = b"\x01" + shape.sps[1:4] + b"\xff\xe1" + struct.pack(">H", len(shape.sps)) + shape.sps
        sets += b"\x01" + struct.pack(">H", len(shape.pps)) + shape.pps
        if shape.sps[1] in (100, 110, 122, 144):
            sets += b"\xfd\xf8\xf8\x00"  # 4:2:0, 8 bits: all that WebRTC sends
        return _box(b"avc1", common, _box(b"avcC", sets))
    # VP Codec ISO Media File Format Binding: profile 0, level 1.0, 8 bits 4:2:0, BT.601
    return _box(b"vp08", common, _full(b"vpcC", 1, 0, bytes([0, 10, 0x82, 6, 6, 6, 0, 0])))


def _sound_entry(config: bytes) -> bytes:
    channels = config[1] >> 3 & 0xF if len(config) > 1 else 2
    entry = bytes(6) + struct.pack(">H", 1) + bytes(8) + struct.pack(">4H", channels, 16, 0, 0)
    entry += struct.pack(">I", SOUND_TIMESCALE << 16)
    specific = b"\x05" + bytes([len(config)]) + config
    decoder = b"\x40\x15" + bytes(3) + struct.pack(">2I", 128_000, 128_000) + specific
    decoder = b"\x04" + bytes([len(decoder)]) + decoder
    descriptor = struct.pack(">HB", 0, 0) + decoder + b"\x06\x01\x02"
    return _box(b"mp4a", entry, _full(b"esds", 0, 0, b"\x03" + bytes([len(descriptor)]) + descriptor))


def _box(name: bytes, *contents: bytes) -> bytes:
    body = b"".join(contents)
    return struct.pack(">I", len(body) + 8) + name + body


def _full(name: bytes, version: int, flags: int, body: bytes) -> bytes:
    return _box(name, struct.pack(">I", version << 24 | flags), body)
