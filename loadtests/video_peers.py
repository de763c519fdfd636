"""Real WebRTC peers for the video benchmark, in processes of their own: one publishes a recording, others watch.

    python -m loadtests.video_peers publish URL TOKEN SECONDS
    python -m loadtests.video_peers watch URL LISTENERS < tokens

Both say `{"ready": ...}` on a line once all is running, go on until a line comes on standard input, then say what they counted.
Every viewer has its own ICE, DTLS and SRTP, answers consent checks and sends receiver reports. Of the viewers, LISTENERS take each packet
out of its encryption, ask for what is lost and count; the others have the kernel drop the media after their first picture, or the viewers'
Python would need more of this machine than the server that is measured.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import random
import socket
import struct
import sys
import time
from fractions import Fraction
from typing import Any, Final

import av
import httpx
import uvloop
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtp import RtpPacket

from live.media.aiortc_internals import TappedReceiver, nominated_socket
from live.media.packets import starts_key_frame
from live.media.rehearsal_picture import SOUNDS_PER_S, encode_chime

WIDTH, HEIGHT, PICTURES_PER_S, BIT_RATE = 720, 1280, 30, 2_000_000
AT_ONCE: Final = 8
"""Viewers who join at the same time."""
JOIN_TIMEOUT_S: Final = 30.0
SO_ATTACH_FILTER: Final = 26


# -- the recording


def moving_pictures(count: int) -> list[av.VideoFrame]:
    """A band of noise that moves over a still ground: neither a still nor noise."""
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
        frame.pts, frame.time_base = number, Fraction(1, PICTURES_PER_S)
        frames.append(frame)
    return frames


def encoded(seconds: int) -> list[bytes]:
    """H264 pictures as an encoder gives them, a key frame each second."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.framerate = Fraction(PICTURES_PER_S, 1)
    encoder.time_base = Fraction(1, PICTURES_PER_S)
    encoder.bit_rate, encoder.gop_size, encoder.profile = BIT_RATE, PICTURES_PER_S, "Baseline"
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "level": "31"}
    pictures = []
    for frame in moving_pictures(seconds * PICTURES_PER_S):
        pictures += [bytes(packet) for packet in encoder.encode(frame)]
    return pictures


class Recording(MediaStreamTrack):
    """Encoded packets, over and over, at their pace; aiortc sends them as they are."""

    def __init__(self, kind: str, packets: list[bytes], per_s: int) -> None:
        super().__init__()
        self.kind = kind
        self._packets, self._per_s = packets, per_s
        self._sent = 0
        self._skipped = 0
        self._began_s = time.monotonic()

    def give_key_frame(self) -> None:
        """Go on with the next second of the recording, which begins with a key frame, as a camera's encoder would give one."""
        self._skipped += -(self._sent + self._skipped) % self._per_s

    async def recv(self) -> av.Packet:
        await asyncio.sleep(max(0.0, self._began_s + self._sent / self._per_s - time.monotonic()))
        packet = av.Packet(self._packets[(self._sent + self._skipped) % len(self._packets)])
        packet.pts, packet.time_base = self._sent, Fraction(1, self._per_s)
        self._sent += 1
        return packet


# -- peers


def new_peer() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


async def negotiate(connection: RTCPeerConnection, url: str, token: str) -> None:
    """An offer for an answer by WHIP or WHEP."""
    await connection.setLocalDescription(await connection.createOffer())
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    async with httpx.AsyncClient(timeout=JOIN_TIMEOUT_S, trust_env=False) as http:
        answer = await http.post(url, content=connection.localDescription.sdp, headers=headers)
    answer.raise_for_status()
    await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))


async def publish(url: str, token: str, seconds: int) -> None:
    pictures = encoded(seconds)
    connection = new_peer()
    connection.addTrack(Recording("audio", encode_chime(), SOUNDS_PER_S))
    video = Recording("video", pictures, PICTURES_PER_S)
    sender = connection.addTrack(video)
    sender._send_keyframe = video.give_key_frame  # what aiortc calls when it is asked for one
    capabilities = RTCRtpReceiver.getCapabilities("video")
    assert capabilities is not None
    for transceiver in connection.getTransceivers():
        if transceiver.kind == "video":
            wanted = [c for c in capabilities.codecs if c.mimeType.lower() in ("video/h264", "video/rtx")]
            transceiver.setCodecPreferences(wanted)
    await negotiate(connection, url, token)
    kbit_per_s = sum(map(len, pictures)) * 8 / len(pictures) * PICTURES_PER_S / 1000
    say({"ready": True, "kbit_per_s": round(kbit_per_s)})
    await until_told()
    await connection.close()


class Viewer:
    """Counts packets; nothing is decoded."""

    def __init__(self) -> None:
        self.connection = new_peer()
        self.join_s = 0.0
        self.sequences: dict[str, set[int]] = {"audio": set(), "video": set()}
        self._first_picture = asyncio.Event()
        self._first_sound = asyncio.Event()

    async def join(self, url: str, token: str, listens: bool) -> None:
        began_s = time.monotonic()
        for kind in ("audio", "video"):
            self.connection.addTransceiver(kind, "recvonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        await negotiate(self.connection, url, token)
        for transceiver in self.connection.getTransceivers():
            TappedReceiver(transceiver, self._taker(transceiver.kind), lambda ntp, rtp: None)
        async with asyncio.timeout(JOIN_TIMEOUT_S):
            await self._first_picture.wait()
            self.join_s = time.monotonic() - began_s
            await self._first_sound.wait()
        if not listens:
            drop_media(nominated_socket(self.connection.getTransceivers()[0].receiver.transport))

    def _taker(self, kind: str) -> Any:
        def take(codec: str, packet: RtpPacket) -> None:
            self.sequences[kind].add(packet.sequence_number)
            if kind == "audio":
                self._first_sound.set()
            elif starts_key_frame(codec, packet.payload):
                self._first_picture.set()

        return take


def drop_media(shared: socket.socket) -> None:
    """A classic BPF filter: STUN, DTLS (RFC 7983) and RTCP (RFC 5761) get through, RTP is dropped by the kernel."""
    instructions = (
        (0x30, 0, 0, 8),  # the first byte behind the UDP header
        (0x35, 0, 4, 128),  # below 128: let it in
        (0x30, 0, 0, 9),  # the second
        (0x35, 0, 1, 192),  # below 192: RTP
        (0x35, 0, 1, 224),  # from 192 to 223: let it in
        (0x06, 0, 0, 0),
        (0x06, 0, 0, 0xFFFF),
    )
    program = b"".join(struct.pack("HBBI", *one) for one in instructions)
    kept = ctypes.create_string_buffer(program)
    shared.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(instructions), ctypes.addressof(kept))
    )
    shared.close()


async def watch(url: str, listeners: int, signed: list[str]) -> None:
    viewers = [Viewer() for _ in signed]
    door = asyncio.Semaphore(AT_ONCE)

    async def enter(number: int) -> None:
        async with door:
            await viewers[number].join(url, signed[number], number < listeners)

    await asyncio.gather(*(enter(number) for number in range(len(viewers))))
    say({"ready": True, "join_s": [round(viewer.join_s, 4) for viewer in viewers]})
    for viewer in viewers:
        for seen in viewer.sequences.values():
            seen.clear()
    began_s = time.monotonic()
    await until_told()
    heard = [seen for viewer in viewers[:listeners] for seen in viewer.sequences.values()]
    say(
        {
            "seconds": time.monotonic() - began_s,
            "received": sum(map(len, heard)),
            "missing": sum(missing(seen) for seen in heard),
            "connected": sum(viewer.connection.connectionState == "connected" for viewer in viewers),
        }
    )
    await asyncio.gather(*(viewer.connection.close() for viewer in viewers))


def missing(seen: set[int]) -> int:
    """Sequence numbers that never came; the last twenty may be on their way. Less than half a circle is expected."""
    if not seen:
        return 0
    first = next(iter(seen))
    steps = sorted((number - first + 0x8000) & 0xFFFF for number in seen)
    inner = [step for step in steps if step <= steps[-1] - 20]
    return (inner[-1] - inner[0] + 1 - len(inner)) if inner else 0


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


async def until_told() -> None:
    await asyncio.to_thread(sys.stdin.readline)


def main() -> None:
    """See the module."""
    match sys.argv[1:]:
        case ["publish", url, token, seconds]:
            uvloop.run(publish(url, token, int(seconds)))
        case ["watch", url, listeners]:
            signed = list(iter(lambda: sys.stdin.readline().strip(), ""))
            uvloop.run(watch(url, int(listeners), signed))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
