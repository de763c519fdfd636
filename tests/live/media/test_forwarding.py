"""Real peers: what one publishes, others see, as packets that nobody has decoded on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from live.media.sessions import Bounds, Session
from tests.live.media.peers import MediaServer, publisher, watcher
from tests.services import wait_until


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_viewer_sees_and_hears_what_is_published(tmp_path: Path, codec: str) -> None:
    async with MediaServer(tmp_path).running() as server:
        async with publisher(server, codec=codec, brightness=90):
            await wait_until(lambda: server.sessions.is_on_air("rm_1"))
            async with watcher(server) as viewer:
                await wait_until(lambda: viewer.frames >= 3 and viewer.sounds >= 3)
                assert abs(viewer.brightness - 90) <= 4
                assert server.sessions.stream("rm_1").tracks["video"].codec == codec


async def test_a_late_viewer_gets_a_picture_because_a_key_frame_is_asked_for(tmp_path: Path) -> None:
    async with MediaServer(tmp_path).running() as server, publisher(server):
        stream = server.sessions.stream("rm_1")
        await wait_until(lambda: stream.tracks["video"].packets > 60)
        asked = stream.key_frames_asked
        async with watcher(server, subject="gu_1") as one, watcher(server, subject="gu_2") as two:
            await wait_until(lambda: one.frames >= 3 and two.frames >= 3)
        assert asked < stream.key_frames_asked <= asked + 3


async def test_what_a_viewer_loses_is_sent_again(tmp_path: Path) -> None:
    async with MediaServer(tmp_path).running() as server, publisher(server):
        await wait_until(lambda: server.sessions.is_on_air("rm_1"))
        async with watcher(server) as viewer:
            await wait_until(lambda: viewer.frames >= 1)
            [session] = [s for s in server.sessions.by_id.values() if not s.is_publisher]
            lose_every_tenth(session)
            [video] = [outlet for outlet in session.outlets if outlet.kind == "video"]
            await wait_until(lambda: video.repeats >= 3)
            shown, asked = viewer.frames, session.stream.key_frames_asked
            await wait_until(lambda: viewer.frames >= shown + 20)
            assert session.stream.key_frames_asked <= asked + 1, "repeats mend it, not new key frames"


def lose_every_tenth(session: Session) -> None:
    """A bad network: every tenth packet of the picture is lost on the way out, repeats get through."""
    transmitter = session.transmitter
    assert transmitter is not None
    video = next(outlet for outlet in session.outlets if outlet.kind == "video")
    send, count = transmitter.send_rtp, 0

    def lossy(packet: bytes) -> bool:
        nonlocal count
        if int.from_bytes(packet[8:12]) == video.ssrc:
            count += 1
            if count % 10 == 0:
                return True
        return send(packet)

    transmitter.send_rtp = lossy  # type: ignore[method-assign]


async def test_a_host_who_drops_is_away_and_comes_back_to_the_same_viewers(tmp_path: Path) -> None:
    async with MediaServer(tmp_path).running() as server:
        async with publisher(server, brightness=60):
            await wait_until(lambda: server.sessions.is_on_air("rm_1"))
            stack = watcher(server)
            viewer = await stack.__aenter__()
            await wait_until(lambda: viewer.frames >= 3)
        stream = server.sessions.stream("rm_1")
        await wait_until(lambda: not stream.is_publishing)
        assert server.sessions.is_on_air("rm_1"), "for two minutes the show can go on"
        shown = viewer.frames
        async with publisher(server, codec="H264", brightness=200):
            await wait_until(lambda: viewer.frames > shown and abs(viewer.brightness - 200) <= 4)
        await stack.__aexit__(None, None, None)


async def test_a_viewer_who_vanishes_is_forgotten(tmp_path: Path) -> None:
    async with MediaServer(tmp_path, Bounds(close_s=1)).running() as server, publisher(server):
        await wait_until(lambda: server.sessions.is_on_air("rm_1"))
        async with watcher(server) as viewer:
            await wait_until(lambda: viewer.frames >= 1)
            assert server.sessions.stream("rm_1").viewers == 1
        await wait_until(
            lambda: server.sessions.stream("rm_1").viewers == 0 and len(server.sessions.by_id) == 1
        )
