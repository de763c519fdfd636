"""What one viewer of live video costs: forwarding encoded packets against decoding and encoding for each, in one run on one core.

    python -m loadtests.bench_video [--seconds 4] [--viewers 50]

The picture is 720x1280 at 30 a second, H264 by aiortc's own encoder; the bit rate it came to is printed. Forwarding is what the media
process does for a picture's packets: `Outlet`, SRTP and a real UDP send over loopback. The relay beside it is what aiortc does when a
track is relayed: decode and encode per viewer, packetise; its SRTP and sends are left out, to its favour.

This measures the forwarding path, not a whole process: sound, RTCP, ICE checks and the network card are not in it, and viewers per core
is one core divided by the share of one viewer, not a number of viewers that were there. CPU time (user and system) is counted, not the
clock. The last line is a JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import time
from fractions import Fraction
from types import SimpleNamespace

import av
from aiortc.codecs import h264
from aiortc.jitterbuffer import JitterFrame
from pylibsrtp import Policy, Session

from live.media.aiortc_internals import Transmitter
from live.media.outlets import Outlet
from live.media.streams import RoomStream

WIDTH, HEIGHT, PICTURES_PER_S = 720, 1280, 30


class Nobody:
    """A source that has no key frames to give: the recording begins with one."""

    subject = "bench"

    def ask_for_key_frame(self) -> None:
        return


def moving_pictures(count: int) -> list[av.VideoFrame]:
    """Blocks that move over a noisy ground: neither a still nor noise."""
    rng = random.Random(1)
    noise = bytes(value // 4 + 80 for value in rng.randbytes(WIDTH * 256))
    frames = []
    for number in range(count):
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        plane = frame.planes[0]
        luma = bytearray(b"\x50" * plane.buffer_size)
        at = (number * 8 % (HEIGHT - 256)) * plane.line_size
        turn = rng.randrange(len(noise))  # another noise in each picture, so that there is something to send
        luma[at : at + len(noise)] = noise[turn:] + noise[:turn]
        plane.update(bytes(luma))
        for chroma in frame.planes[1:]:
            chroma.update(b"\x80" * chroma.buffer_size)
        frame.pts, frame.time_base = number * 3000, Fraction(1, 90_000)
        frames.append(frame)
    return frames


def encoded(seconds: int) -> list[list[bytes]]:
    """RTP payloads of each picture."""
    encoder = h264.H264Encoder()
    pictures = moving_pictures(PICTURES_PER_S)
    recording = []
    for number in range(seconds * PICTURES_PER_S):
        frame = pictures[number % len(pictures)]
        frame.pts = number * 3000
        recording.append(encoder.encode(frame, force_keyframe=number == 0)[0])
    return recording


def transmitter(sink: tuple[str, int]) -> Transmitter:
    """The real one, on a real socket, with keys of its own."""
    policy = Policy(
        key=os.urandom(30),
        ssrc_type=Policy.SSRC_ANY_OUTBOUND,
        srtp_profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    )
    local = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    local.bind(("127.0.0.1", 0))
    transport = SimpleNamespace(get_extra_info=lambda _: local)
    pair = SimpleNamespace(protocol=SimpleNamespace(transport=transport), remote_addr=sink)
    ice = SimpleNamespace(_connection=SimpleNamespace(_nominated={1: pair}))
    return Transmitter(SimpleNamespace(_tx_srtp=Session(policy), transport=ice))


def forwarding_cpu_s(recording: list[list[bytes]], viewers: int) -> tuple[float, int]:
    """CPU seconds for the whole recording to all viewers, and packets sent."""
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # what nobody reads is dropped by the kernel
    stream = RoomStream("rm_bench", time.monotonic)
    source = Nobody()
    stream.attach(source)
    outlets = []
    for number in range(viewers):
        outlet = Outlet(
            "video",
            transmitter(sink.getsockname()),
            ssrc=number + 1,
            repeat_ssrc=number + 100_000,
            payload_types={"H264": 102},
            repeat_types={"H264": 103},
            first_sequence=0,
        )
        outlets.append(outlet)
        stream.add(outlet)
    sequence = 0
    began_s = time.process_time()
    for number, payloads in enumerate(recording):
        for position, payload in enumerate(payloads):
            marker = position == len(payloads) - 1
            stream.receive(source, "video", "H264", sequence & 0xFFFF, number * 3000, marker, payload)
            sequence += 1
    spent_s = time.process_time() - began_s
    sent = sum(outlet.packets for outlet in outlets)
    assert sent == sequence * viewers, f"{sequence * viewers - sent} packets were not sent"
    return spent_s, sent


def relaying_cpu_s(recording: list[list[bytes]]) -> float:
    """CPU seconds for one viewer who gets the recording decoded and encoded again."""
    decoder, encoder = h264.H264Decoder(), h264.H264Encoder()
    began_s = time.process_time()
    for number, payloads in enumerate(recording):
        data = b"".join(h264.h264_depayload(payload) for payload in payloads)
        for frame in decoder.decode(JitterFrame(data, number * 3000)):
            encoder.encode(frame)
    return time.process_time() - began_s


def main() -> None:
    """Print the table, and the JSON object as last line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--viewers", type=int, default=50)
    arguments = parser.parse_args()
    recording = encoded(arguments.seconds)
    octets = sum(len(payload) for payloads in recording for payload in payloads)
    forwarding_s, sent = forwarding_cpu_s(recording, arguments.viewers)
    relaying_s = relaying_cpu_s(recording)
    forwarded_share = forwarding_s / arguments.viewers / arguments.seconds
    relayed_share = relaying_s / arguments.seconds
    result = {
        "bench": "video",
        "kbit_per_s": round(octets * 8 / arguments.seconds / 1000),
        "packets_per_s": round(sent / arguments.viewers / arguments.seconds),
        "forward_us_per_packet": round(forwarding_s / sent * 1e6, 2),
        "viewers_per_core_forwarding_path": round(1 / forwarded_share),
        "viewers_per_core_decode_encode": round(1 / relayed_share, 2),
        "ratio": round(relayed_share / forwarded_share, 1),
    }
    for name, value in result.items():
        print(f"{name:34} {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
