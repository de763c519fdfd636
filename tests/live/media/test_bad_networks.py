"""Real peers over networks that lose, repeat, reorder and go dead: what is mended, for whom, and who must not notice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aioice.ice
import pytest
from aiortc import RTCRtpSender
from aiortc.rtp import RTCP_PSFB_PLI, RtcpPsfbPacket

from live.media.outlets import Outlet
from live.media.sessions import Bounds, Session
from live.media.streams import RoomStream
from tests.live.media.networks import Network, Weather
from tests.live.media.peers import MediaServer, Peer, Watcher, publisher, watcher
from tests.live.media.test_streams import RecordingWire
from tests.services import wait_until

BAD = {"loss": 0.1, "repeats": 0.1, "reorder": 0.1}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[MediaServer]:
    async with MediaServer(tmp_path, Bounds(close_s=1)).running() as running:
        yield running


async def on_air(server: MediaServer) -> RoomStream:
    stream = server.sessions.stream("rm_1")
    await wait_until(lambda: stream.tracks["video"].packets > 0, 10, "the first packet")
    return stream


def perfect_viewer(stream: RoomStream) -> RecordingWire:
    """Somebody to whom everything that the server forwards gets through."""
    wire = RecordingWire()
    outlet = Outlet(
        "video",
        wire,
        ssrc=5,
        repeat_ssrc=6,
        payload_types={"VP8": 96, "H264": 102},
        repeat_types={},
        first_sequence=0,
    )
    stream.add(outlet)
    return wire


def video_of(server: MediaServer, subject: str) -> Outlet:
    [session] = [s for s in server.sessions.by_id.values() if s.subject == subject]
    return next(outlet for outlet in session.outlets if outlet.kind == "video")


def gaps(wire: RecordingWire) -> tuple[float, int]:
    """The share of numbers that never came, and how many came twice; the last ten may still be on their way."""
    seen = [packet.sequence_number for packet in wire.sent]
    wanted = set(range(min(seen), max(seen) - 10))
    return len(wanted - set(seen)) / len(wanted), len(seen) - len(set(seen))


async def sent(wire: RecordingWire, count: int) -> None:
    await wait_until(lambda: len(wire.sent) >= count, 20, f"{count} packets")


async def test_what_a_host_s_network_loses_repeats_and_reorders_is_mended_before_it_is_forwarded(
    server: MediaServer,
) -> None:
    network = Network()
    network.up = Weather(**BAD)
    async with publisher(server, network=network):
        wire = perfect_viewer(await on_air(server))
        async with watcher(server) as viewer:
            await sent(wire, 120)
            missing, twice = gaps(wire)
            assert min(network.lost, network.repeated, network.reordered) >= 5, "the weather was not bad"
            assert missing < 0.03
            assert twice == 0
            shown = viewer.frames
            await wait_until(lambda: viewer.frames >= shown + 10, 10, "the picture to go on")


async def test_without_the_server_s_requests_the_same_losses_would_stay(server: MediaServer) -> None:
    """The control of the test above: the same weather, and the way back to the host is cut for reports."""
    network = Network()
    network.up = Weather(**BAD)
    network.down = Weather(loss=1.0, sorts=("reports",))
    async with publisher(server, network=network):
        wire = perfect_viewer(await on_air(server))
        # A key frame can't be asked for either: begin with whatever comes.
        next(iter((await on_air(server)).tracks["video"].outlets)).waits_for_key_frame = False
        await sent(wire, 240)
        missing, _ = gaps(wire)
        assert missing > 0.05


async def test_a_viewer_on_a_bad_network_is_mended_and_the_others_do_not_notice(server: MediaServer) -> None:
    async with publisher(server):
        stream = await on_air(server)
        network = Network(seed=2)
        async with (
            watcher(server, subject="gu_bad", network=network) as bad,
            watcher(server, subject="gu_good") as good,
        ):
            await wait_until(lambda: bad.frames >= 1 and good.frames >= 1, 10, "a picture for both")
            asked, began = stream.key_frames_asked, (bad.frames, good.frames)
            network.down = Weather(**BAD)
            await wait_until(lambda: bad.frames >= began[0] + 60, 20, "the bad viewer's picture to go on")
            assert min(network.lost, network.repeated, network.reordered) >= 3, "the weather was not bad"
            await wait_until(
                lambda: video_of(server, "gu_bad").repeats >= 3, 10, "what was lost to be sent again"
            )
            assert stream.key_frames_asked <= asked + 1, "repeats mend it, not new key frames"
            other = video_of(server, "gu_good")
            assert (other.repeats, other.skips) == (0, 0)
            assert good.frames - began[1] >= bad.frames - began[0] - 5


async def test_a_viewer_whose_network_dies_costs_nobody_a_frame_and_is_forgotten(
    server: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Consent (RFC 7675) runs out after 30 s; here after one.
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.2)
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 3)
    async with publisher(server):
        await on_air(server)
        network = Network()
        async with (
            watcher(server, subject="gu_dead", network=network) as dead,
            watcher(server, subject="gu_good") as good,
        ):
            await wait_until(lambda: dead.frames >= 1 and good.frames >= 1, 10, "a picture for both")
            network.down.is_dead = network.up.is_dead = True
            shown = good.frames
            await wait_until(
                lambda: not any(s.subject == "gu_dead" for s in server.sessions.by_id.values()),
                15,
                "the dead viewer to be forgotten",
            )
            await wait_until(lambda: good.frames >= shown + 10, 10, "the other's picture to go on")
            assert video_of(server, "gu_good").skips == 0
            await wait_until(lambda: server.sessions.stream("rm_1").viewers == 1, 5, "one viewer to be left")


async def test_a_network_that_loses_half_pauses_the_picture_and_keeps_the_sound(server: MediaServer) -> None:
    async with publisher(server):
        await on_air(server)
        network = Network(seed=3)
        async with watcher(server, subject="gu_bad", network=network) as bad:
            await wait_until(lambda: bad.frames >= 1 and bad.sounds >= 1, 10, "picture and sound")
            network.down = Weather(loss=0.5)
            outlet = video_of(server, "gu_bad")
            await wait_until(lambda: outlet.skips >= 1, 20, "the picture to pause")
            network.down = Weather()
            heard, shown = bad.sounds, bad.frames
            await wait_until(lambda: bad.sounds >= heard + 10, 10, "the sound to go on")
            await wait_until(lambda: bad.frames >= shown + 5, 15, "the picture to come back")


# -- key frames


class Camera:
    """Counts the key frames that a publisher is asked for, as it hears it."""

    def __init__(self, peer: Peer) -> None:
        self.asked_at_s: list[float] = []
        [sender] = [s for s in peer.connection.getSenders() if s.kind == "video"]
        self._hear(sender)

    def _hear(self, sender: RTCRtpSender) -> None:
        handle = sender._handle_rtcp_packet

        async def hear(packet: Any) -> None:
            if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_PLI:
                self.asked_at_s.append(time.monotonic())
            await handle(packet)

        sender._handle_rtcp_packet = hear


async def test_a_late_viewer_sees_a_picture_within_thirty_frames(server: MediaServer) -> None:
    """A second of the host's pictures, counted in pictures so that a busy machine does not matter."""
    async with publisher(server):
        video = (await on_air(server)).tracks["video"]
        await wait_until(lambda: video.packets > 45, 10, "a second of pictures without a key frame")
        async with watcher(server) as late:
            await wait_until(lambda: bool(outlets_of(server)), 10, "the late viewer's connection")
            at = video.packets
            await wait_until(lambda: outlets_of(server)[0].packets > 0, 10, "a key frame")
            assert video.packets - at <= 30
            await wait_until(lambda: late.frames >= 1, 10, "a picture")


def outlets_of(server: MediaServer) -> list[Outlet]:
    viewers = [s for s in server.sessions.by_id.values() if not s.is_publisher]
    return [outlet for session in viewers for outlet in session.outlets if outlet.kind == "video"]


async def test_a_late_viewer_of_a_host_who_gives_no_key_frame_sees_nothing_yet(server: MediaServer) -> None:
    """The control of the test above: without the request no key frame comes by itself."""
    network = Network()
    async with publisher(server, network=network):
        video = (await on_air(server)).tracks["video"]
        network.down = Weather(loss=1.0, sorts=("reports",))
        async with watcher(server):
            await wait_until(lambda: bool(outlets_of(server)), 10, "the late viewer's connection")
            at = video.packets
            await wait_until(lambda: video.packets >= at + 60, 10, "two seconds of pictures")
            assert outlets_of(server)[0].packets == 0


async def test_a_storm_of_viewers_who_join_and_lose_asks_the_host_once_a_second(server: MediaServer) -> None:
    async with publisher(server) as host, AsyncExitStack() as stack:
        camera = Camera(host)
        stream = await on_air(server)
        began_s = time.monotonic()
        viewers = [
            await stack.enter_async_context(watcher(server, subject=f"gu_{number}")) for number in range(6)
        ]
        wanted = 0
        async with asyncio.timeout(20):
            while len(camera.asked_at_s) < 4 or wanted <= 100:
                wanted += await complain(viewers)
                await asyncio.sleep(0.01)
        took_s = time.monotonic() - began_s
        assert wanted > 100, "there was no storm"
        assert len(camera.asked_at_s) <= took_s + 2
        steps = [b - a for a, b in zip(camera.asked_at_s, camera.asked_at_s[1:], strict=False)]
        assert min(steps) > 0.5, "a late datagram may come closer to the next one, but not so close"
        assert stream.key_frames_asked <= len(camera.asked_at_s) + 1
        await wait_until(lambda: all(viewer.frames >= 1 for viewer in viewers), 10, "a picture for everyone")


async def complain(viewers: list[Watcher]) -> int:
    """Each viewer says once that it has lost the picture (RFC 4585)."""
    said = 0
    for viewer in viewers:
        [receiver] = [r for r in viewer.connection.getReceivers() if r.track.kind == "video"]
        for source in receiver.getSynchronizationSources():
            await receiver._send_rtcp_pli(source.source)
            said += 1
    return said


# -- sessions that stop


async def test_a_host_whose_network_dies_is_away_within_three_seconds_and_reaped_later(
    tmp_path: Path,
) -> None:
    async with MediaServer(tmp_path, Bounds(silent_publisher_s=3.5, close_s=1)).running() as server:
        network = Network()
        async with publisher(server, network=network):
            stream = await on_air(server)
            [session] = server.sessions.by_id.values()
            network.up.is_dead = network.down.is_dead = True
            last_s = last_packet_s(session)
            await wait_until(lambda: not stream.is_publishing, 10, "the host to be away")
            assert time.monotonic() - last_s < 3.5
            await wait_until(lambda: not server.sessions.by_id, 15, "the silent session to be reaped")
            assert server.sessions.reaped == 1
            assert server.sessions.is_on_air("rm_1"), "the same show may go on for two minutes"


def last_packet_s(session: Session) -> float:
    return max(track.last_packet_at_s or 0.0 for track in session.stream.tracks.values())
