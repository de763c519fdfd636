"""The test picture: a true clock, real H264 and Opus, and manners towards real publishers."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import av

from live.media.rehearsal_picture import CODE_BITS, WIDTH, Canvas, RehearsalPicture, encode_chime
from live.media.streams import RoomStream
from tests.live.media.peers import MediaServer, publisher, watcher
from tests.services import wait_until


def read_code(frame: av.VideoFrame) -> int:
    """The time in ms, modulo 2^24, from the top row of blocks."""
    row = bytes(frame.planes[0])[8 * frame.planes[0].line_size :][:WIDTH]
    block = WIDTH // CODE_BITS
    value = 0
    for bit in range(CODE_BITS):
        value = value * 2 + (row[bit * block + block // 2] > 128)
    return value


def test_the_picture_says_when_it_was_drawn() -> None:
    canvas = Canvas()
    for at_s in (1_795_578_501.234, 1_795_578_502.0):
        assert read_code(canvas.draw(at_s)) == int(at_s * 1000) % 2**CODE_BITS


def test_the_chime_is_fifty_packets_that_an_opus_decoder_plays() -> None:
    packets = encode_chime()
    assert len(packets) == 50
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    samples = sum(frame.samples for packet in packets for frame in decoder.decode(av.Packet(packet)))
    assert samples >= 47_000


async def test_nothing_is_encoded_while_nobody_watches_yet_the_room_is_on_air() -> None:
    stream = RoomStream("rm_1", time.monotonic)
    picture = RehearsalPicture(lambda: stream)
    stop = asyncio.Event()

    async def wanted() -> bool:
        return True

    running = asyncio.create_task(picture.run(stop, wanted))
    await wait_until(lambda: stream.tracks["audio"].packets > 20)
    assert stream.is_publishing
    assert stream.tracks["video"].packets == 0
    stop.set()
    await running
    assert stream.source is None


async def test_a_viewer_sees_it_and_a_host_takes_its_place(tmp_path: Path) -> None:
    async with MediaServer(tmp_path).running() as server:
        picture = RehearsalPicture(lambda: server.sessions.stream("rm_1"))
        stop = asyncio.Event()

        async def wanted() -> bool:
            return True

        running = asyncio.create_task(picture.run(stop, wanted))
        await wait_until(lambda: server.sessions.stream("rm_1").source is picture)
        async with watcher(server) as viewer:
            await wait_until(lambda: viewer.frames >= 3 and viewer.sounds >= 3)
            shown = viewer.frames
            async with publisher(server, brightness=90):
                await wait_until(lambda: viewer.frames > shown and abs(viewer.brightness - 90) <= 4)
        stop.set()
        await running
