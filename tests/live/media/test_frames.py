"""Pictures out of packets: whole, in order, and after a loss only from a key frame on."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder

from live.media.frames import WAIT_S, Frame, FrameAssembler, h264_units, shape_of, sps_size, vp8_part
from live.media.packets import MediaPacket, starts_key_frame


class Camera:
    """Pictures of a real encoder, as payloads of packets."""

    def __init__(self, codec: str, width: int = 160, height: int = 120) -> None:
        self._encoder = H264Encoder() if codec == "H264" else Vp8Encoder()
        self._size = (width, height)
        self._count = 0

    def picture(self, *, is_key: bool) -> list[bytes]:
        frame = av.VideoFrame(*self._size, "yuv420p")
        for plane in frame.planes:
            plane.update(
                bytes((i * 7919 + self._count * 104729) >> 3 & 255 for i in range(plane.buffer_size))
            )
        frame.pts, frame.time_base = self._count * 3000, Fraction(1, 90_000)
        self._count += 1
        payloads: list[bytes] = self._encoder.encode(frame, force_keyframe=is_key)[0]
        return payloads


def pictures(codec: str, count: int) -> list[list[bytes]]:
    """The first is a key frame, each is in several packets."""
    camera = Camera(codec)
    return [camera.picture(is_key=number == 0) for number in range(count)]


def packets(codec: str, shown: list[list[bytes]], first: int = 100) -> list[MediaPacket]:
    found = []
    for number, payloads in enumerate(shown):
        for place, payload in enumerate(payloads):
            found.append(
                MediaPacket(
                    codec,
                    first + len(found),
                    number * 3000,
                    place == len(payloads) - 1,
                    payload,
                    starts_key_frame(codec, payload),
                )
            )
    return found


class Collected:
    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.asked = 0
        self.assembler = FrameAssembler("video", self.frames.append, self._ask)

    def _ask(self) -> None:
        self.asked += 1

    @property
    def times(self) -> list[int]:
        return [frame.timestamp // 3000 for frame in self.frames]


def decoded(codec: str, frames: list[Frame]) -> int:
    decoder = av.CodecContext.create("h264" if codec == "H264" else "vp8", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    count = 0
    for frame in frames:
        data = (
            b"".join(b"\0\0\0\1" + unit for unit in frame.units) if codec == "H264" else b"".join(frame.units)
        )
        count += len(decoder.decode(av.Packet(data)))
    return count + len(decoder.decode(None))


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_whole_pictures_come_out_of_packets_in_any_order(codec: str) -> None:
    shown = pictures(codec, 8)
    assert max(map(len, shown)) > 2, "a picture in one packet would prove nothing"
    sent = packets(codec, shown)
    mixed = sent[:1] + [p for pair in zip(sent[2::2], sent[1::2], strict=False) for p in pair]
    mixed += [p for p in sent if p not in mixed]
    collected = Collected()
    for packet in mixed:
        collected.assembler.add(packet, 0.0)
        collected.assembler.add(packet, 0.0)  # twice: a duplicate changes nothing
    assert collected.times == list(range(8))
    assert [frame.is_key for frame in collected.frames] == [True] + [False] * 7
    assert decoded(codec, collected.frames) == 8
    shape = shape_of(collected.frames[0])
    assert shape is not None
    assert (shape.width, shape.height) == (160, 120)


@pytest.mark.parametrize("codec", ["H264", "VP8"])
def test_after_a_loss_nothing_comes_until_a_key_frame_and_one_is_asked_for(codec: str) -> None:
    sent = packets(codec, pictures(codec, 6) + pictures(codec, 3))
    lost = next(p for p in sent if p.timestamp == 2 * 3000)
    collected = Collected()
    now_s = 0.0
    for packet in sent:
        now_s += WAIT_S / 20
        if packet is not lost:
            collected.assembler.add(packet, now_s)
    assert collected.times == [0, 1, 6, 7, 8]
    assert collected.frames[2].after_loss
    assert collected.asked == 1
    assert decoded(codec, collected.frames) == 5


def test_a_packet_sent_again_in_time_closes_the_gap() -> None:
    sent = packets("H264", pictures("H264", 4))
    collected = Collected()
    late = sent.pop(len(sent) // 2)
    for packet in sent:
        collected.assembler.add(packet, 1.0)
    assert len(collected.frames) < 4
    collected.assembler.add(late, 1.0 + WAIT_S / 2)
    assert collected.times == [0, 1, 2, 3]
    assert not collected.asked


def test_parameter_sets_sent_on_their_own_belong_to_the_next_picture() -> None:
    sps, pps, idr = (bytes.fromhex(h) for h in ("6742e01f8c8d40a03da1008846a0", "68ce3c80", "65888400"))
    collected = Collected()
    for index, (payload, timestamp, marker) in enumerate([(sps, 0, False), (pps, 0, True), (idr, 0, True)]):
        packet = MediaPacket("H264", index, timestamp, marker, payload, starts_key_frame("H264", payload))
        collected.assembler.add(packet, 0.0)
    assert [frame.units for frame in collected.frames] == [(sps, pps, idr)]


@pytest.mark.parametrize(
    "payload", ["", "7c", "7c05", "78", "78ffff01", "780000", "00", "1f", "7c45aabb", "780003"]
)
def test_malformed_h264_is_left_out(payload: str) -> None:
    assert h264_units([bytes.fromhex(payload)]) == ()


@pytest.mark.parametrize("payload", ["", "80", "9080", "90"])
def test_malformed_vp8_is_empty(payload: str) -> None:
    assert vp8_part(bytes.fromhex(payload)) == b""


@pytest.mark.parametrize(("width", "height"), [(360, 640), (1280, 720), (1920, 1080), (162, 118)])
def test_a_parameter_set_says_its_size(width: int, height: int) -> None:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.profile = "High"
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    data = b"".join(bytes(p) for p in [*encoder.encode(frame), *encoder.encode(None)])
    sps = next(unit for unit in data.split(b"\0\0\1") if unit and unit[0] & 0x1F == 7).rstrip(b"\0")
    assert sps_size(sps) == (width, height)


def test_a_parameter_set_that_is_rubbish_has_no_size() -> None:
    with pytest.raises(ValueError):
        sps_size(b"\x67\x42\xe0\x1f" + b"\0" * 20)
