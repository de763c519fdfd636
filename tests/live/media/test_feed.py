"""A room as fragments of MP4: one timeline that a player can follow, from real codecs."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence

import av
import pytest

from live.media.feed import BREAK_S, MAX_SEGMENT_S, Fragment, RoomFeed
from live.media.rehearsal_picture import encode_chime
from live.media.streams import NTP_SECOND, RoomStream
from tests.live.media.test_frames import Camera

PICTURE_TICKS = 3000


class Sink:
    wants_key_frames_s = 2.0

    def __init__(self) -> None:
        self.parts: list[Fragment] = []

    def take(self, part: Fragment) -> None:
        self.parts.append(part)


class Host:
    """Publishes pictures and sounds of real codecs, moment by moment, without waiting."""

    subject = "us_1"

    def __init__(self, codec: str = "H264", *, obeys: bool = True, wall_ms: int = 1_000_000) -> None:
        self.now_s = 50.0
        self.stream = RoomStream("rm_1", lambda: self.now_s)
        self.feed = RoomFeed(self.stream, lambda: self.now_s, lambda: int(self.now_s * 1000) + wall_ms)
        self.sink = Sink()
        self.feed.add(self.sink)
        self.codec = codec
        self.obeys = obeys
        self.asked = 0
        self._wants_key = True
        self._camera = Camera(codec, 64, 48)
        self._sounds = encode_chime()
        self._sequences = {"audio": 0, "video": 0}
        self.stream.attach(self)

    def ask_for_key_frame(self) -> None:
        self.asked += 1
        self._wants_key = self._wants_key or self.obeys

    def report(self, sound_later_s: float = 0.0) -> None:
        """What sender reports say: the sound's clock began so much later than the picture's."""
        ntp = int((self.now_s + 1e9) * NTP_SECOND)
        self.stream.heard_clock(self, "video", ntp, int(self.now_s * 90_000) & 0xFFFFFFFF)
        self.stream.heard_clock(self, "audio", ntp, int((self.now_s - sound_later_s) * 48_000) & 0xFFFFFFFF)

    def show(self, seconds: float, *, sound: bool = True, picture: bool = True) -> None:
        for number in range(round(seconds * 100)):
            self.now_s = round(self.now_s + 0.01, 3)
            if sound and number % 2 == 0:
                self._send("audio", "OPUS", [self._sounds[number // 2 % 50]], int(self.now_s * 48_000))
            if picture and number % 4 == 0:
                payloads = self._camera.picture(is_key=self._wants_key)
                self._wants_key = False
                self._send("video", self.codec, payloads, int(self.now_s * 90_000))

    def _send(self, kind: str, codec: str, payloads: Sequence[bytes], timestamp: int) -> None:
        assert kind in ("audio", "video")
        for place, payload in enumerate(payloads):
            sequence = self._sequences[kind] = (self._sequences[kind] + 1) & 0xFFFF
            self.stream.receive(
                self,
                "video" if kind == "video" else "audio",
                codec,
                sequence,
                timestamp & 0xFFFFFFFF,
                place == len(payloads) - 1,
                payload,
            )


def times(parts: Sequence[Fragment], kind: str) -> list[float]:
    content = parts[0].init.content + b"".join(part.content for part in parts)
    found = []
    with av.open(io.BytesIO(content)) as container:
        for packet in container.demux():
            if packet.dts is not None and packet.stream.type == kind:
                assert packet.time_base is not None
                found.append(float(packet.dts * packet.time_base))
    return found


def decoded(parts: Sequence[Fragment]) -> dict[str, int]:
    content = parts[0].init.content + b"".join(part.content for part in parts)
    counts = {"video": 0, "audio": 0}
    with av.open(io.BytesIO(content)) as container:
        for frame in container.decode():
            counts["video" if isinstance(frame, av.VideoFrame) else "audio"] += 1
    return counts


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_fragments_are_a_film_that_a_decoder_plays_without_a_gap(codec: str) -> None:
    host = Host(codec)
    host.report()
    host.show(9)
    host.feed.remove(host.sink)
    parts = host.sink.parts
    shown, heard = times(parts, "video"), times(parts, "audio")
    assert len(shown) > 9 * 25 - 5
    assert max(b - a for a, b in itertools.pairwise(shown)) < 0.05
    assert max(b - a for a, b in itertools.pairwise(heard)) < 0.03
    assert abs(shown[0] - heard[0]) < 0.03
    assert decoded(parts) == {"video": len(shown), "audio": len(heard)}


def test_parts_are_half_a_second_and_segments_two_because_key_frames_are_asked_for() -> None:
    host = Host()
    host.report()
    host.show(13)
    parts = host.sink.parts
    assert all(part.duration_s <= 0.5 for part in parts)
    assert all(part.duration_s >= 0.45 for part in parts if not part.is_last)
    starts = [part.at_s for part in parts if part.is_first]
    lengths = [round(b - a, 2) for a, b in itertools.pairwise(starts)]
    assert len(lengths) >= 5
    assert all(1.9 <= length <= 2.3 for length in lengths), lengths
    assert all(part.is_independent for part in parts if part.is_first)
    assert host.asked <= 8
    ends = [part.at_s + part.duration_s for part in parts]
    assert all(abs(part.at_s - end) < 1e-6 for part, end in zip(parts[1:], ends, strict=False))


def test_a_publisher_that_sends_no_key_frames_still_gets_bounded_segments() -> None:
    host = Host(obeys=False)
    host.report()
    host.show(13)
    starts = [part.at_s for part in host.sink.parts if part.is_first]
    assert len(starts) >= 3
    assert all(b - a <= MAX_SEGMENT_S + 0.1 for a, b in itertools.pairwise(starts))


def test_lips_and_sound_are_set_by_the_publishers_clock_and_not_by_when_they_came() -> None:
    host = Host()
    host.report(sound_later_s=0.3)  # sounds with the same number were made 0.3 s later than the pictures
    host.show(5)
    shown, heard = times(host.sink.parts, "video"), times(host.sink.parts, "audio")
    assert 0.25 < heard[0] - shown[0] < 0.35


def test_without_reports_it_begins_by_arrival_and_nothing_of_the_start_is_missing() -> None:
    host = Host()
    host.show(8)
    shown = times(host.sink.parts, "video")
    assert shown[0] < 0.1
    assert len(shown) > 6 * 25


def test_the_wall_clock_of_a_part_is_when_it_was_received() -> None:
    host = Host()
    host.report()
    host.show(6)
    for part in host.sink.parts:
        assert abs(part.wall_ms - (1_000_000 + 50_000 + part.at_s * 1000)) < 2


def test_after_a_pause_of_the_show_time_has_gone_on_and_a_break_is_marked() -> None:
    host = Host()
    host.report()
    host.show(4)
    before = len(host.sink.parts)
    host.now_s += 30
    host.report()
    host.show(8)
    after = [part for part in host.sink.parts[before:] if part.after_break]
    assert len(after) == 1
    assert 33.5 < after[0].at_s < 42
    assert after[0].is_independent
    assert host.sink.parts[-1].at_s > after[0].at_s + 1


def test_another_device_with_another_codec_brings_another_init() -> None:
    host = Host("VP8")
    host.report()
    host.show(4)
    other = Host("H264")
    other.stream, other.now_s = host.stream, host.now_s
    host.stream.attach(other)
    other._wants_key = True
    host.now_s = other.now_s = 54.5
    for _ in range(600):
        host.now_s = other.now_s
        other.show(0.04)
    breaks = [part for part in host.sink.parts if part.after_break]
    assert [part.init.video.codec for part in breaks if part.init.video] == ["VP8", "H264"]
    assert breaks[1].at_s >= 4


def test_sound_alone_is_a_show_too() -> None:
    host = Host()
    host.show(6, picture=False)
    parts = host.sink.parts
    assert parts
    assert parts[0].init.video is None
    assert all(part.is_independent for part in parts)
    assert len(times(parts, "audio")) > 3 * 46


def test_a_camera_that_stops_does_not_hold_the_sound_for_ever() -> None:
    host = Host()
    host.report()
    host.show(4)
    host.show(BREAK_S + 6, picture=False)
    assert host.sink.parts[-1].init.video is None
    assert host.sink.parts[-1].at_s > 4 + BREAK_S


def test_lost_sounds_become_silence_of_the_same_length() -> None:
    host = Host()
    host.report()
    host.show(3)
    host.show(0.2, sound=False)
    host.show(4)
    heard = times(host.sink.parts, "audio")
    assert max(b - a for a, b in itertools.pairwise(heard)) < 0.03
    assert heard[-1] > 6


def test_a_feed_without_sinks_listens_no_more() -> None:
    host = Host()
    host.show(1)
    host.feed.remove(host.sink)
    assert not host.stream.listeners
    assert not host.stream.is_wanted
