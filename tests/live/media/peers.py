"""Real WebRTC peers for tests: they publish and watch over HTTP and UDP like a browser does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import httpx
import uvicorn
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack, VideoStreamTrack

from live.media import tokens
from live.media.app import create_media_app
from live.media.carrier import Carrier
from live.media.process import create_process_app
from live.media.sessions import Bounds, Sessions
from live.settings import Settings
from tests.live.media.networks import Network
from tests.services import free_port, wait_until

KEY_SECRET = "a secret for the tests of the media process"


class Door(Protocol):
    """Where a peer goes, and what opens it."""

    url: str

    def token(self, audience: tokens.Audience, room_id: str, subject: str) -> str: ...


class MediaServer:
    """A media app on a real port; with a Redis, one process among others, with all that `flashroom media` has."""

    def __init__(
        self, folder: Path, bounds: Bounds | None = None, redis_url: str | None = None, **settings: str
    ) -> None:
        self.port = free_port()
        self.settings = Settings.read(
            {
                "FLASHROOM_DATA_DIR": str(folder),
                "FLASHROOM_SECRET": KEY_SECRET,
                "FLASHROOM_MEDIA_PORT": str(self.port),
                "FLASHROOM_REDIS_URL": redis_url or "redis://127.0.0.1:1/0",
                "FLASHROOM_RECORDINGS": "off",
                **settings,
            }
        )
        if redis_url is None:
            self.app = create_media_app(self.settings, Sessions(time.monotonic, bounds))
        else:
            self.app = create_process_app(self.settings)
        self.sessions: Sessions = self.app.state.sessions
        self.carrier: Carrier = self.app.state.carrier
        self.url = f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[MediaServer]:
        server = uvicorn.Server(
            uvicorn.Config(self.app, host="127.0.0.1", port=self.port, log_config=None, lifespan="on")
        )
        serving = asyncio.create_task(server.serve())
        try:
            await wait_until(lambda: server.started)
            yield self
        finally:
            server.should_exit = True
            await serving

    def token(self, audience: tokens.Audience, room_id: str = "rm_1", subject: str = "us_1") -> str:
        now_ms = int(time.time() * 1000)
        token = tokens.MediaToken(audience, room_id, subject, now_ms + 600_000)
        return tokens.sign(self.settings.key("media"), token)


def new_peer() -> RTCPeerConnection:
    return RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


class Peer:
    """One session with the media server, from the other side."""

    def __init__(self, server: Door, connection: RTCPeerConnection, network: Network | None = None) -> None:
        self.server = server
        self.connection = connection
        self.network = network
        self.location = ""
        self.address = ""
        self.etag = ""
        self.token = ""

    async def begin(self, protocol: tokens.Audience, room_id: str = "rm_1", subject: str = "us_1") -> None:
        self.token = self.server.token(protocol, room_id, subject)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        async with httpx.AsyncClient(follow_redirects=True) as http:
            response = await http.post(
                f"{self.server.url}/{protocol}/{room_id}",
                content=self.connection.localDescription.sdp,
                headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/sdp"},
            )
        assert response.status_code == 201, response.text
        self.location, self.etag = response.headers["location"], response.headers["etag"]
        self.address = str(response.url.join(self.location))
        answer = await self.network.through(response.text) if self.network is not None else response.text
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def end(self) -> int:
        async with httpx.AsyncClient() as http:
            response = await http.delete(self.address, headers={"Authorization": f"Bearer {self.token}"})
        return response.status_code


class Picture(VideoStreamTrack):
    """Frames whose brightness grows, small and cheap."""

    def __init__(self, brightness: int = 0) -> None:
        super().__init__()
        self.brightness = brightness

    async def recv(self) -> av.VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = av.VideoFrame(160, 120, "yuv420p")
        for plane, value in zip(frame.planes, (self.brightness, 128, 128), strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = pts, Fraction(time_base)
        return frame


@asynccontextmanager
async def publisher(
    server: Door,
    *,
    codec: str = "VP8",
    room_id: str = "rm_1",
    subject: str = "us_1",
    brightness: int = 60,
    network: Network | None = None,
    track: MediaStreamTrack | None = None,
) -> AsyncIterator[Peer]:
    """Somebody who publishes a picture and a (silent) sound."""
    connection = new_peer()
    connection.addTrack(AudioStreamTrack())
    connection.addTrack(track or Picture(brightness))
    _prefer(connection, codec)
    peer = Peer(server, connection, network)
    try:
        await peer.begin("whip", room_id, subject)
        yield peer
    finally:
        await connection.close()
        if network is not None:
            network.close()


class Watcher(Peer):
    """A viewer that counts what it has decoded."""

    def __init__(self, server: Door, connection: RTCPeerConnection, network: Network | None = None) -> None:
        super().__init__(server, connection, network)
        self.frames = 0
        self.sounds = 0
        self.brightness = -1
        self._tasks: list[asyncio.Task[None]] = []
        connection.on("track", self._watch)

    def _watch(self, track: MediaStreamTrack) -> None:
        self._tasks.append(asyncio.ensure_future(self._read(track)))

    async def _read(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            if isinstance(frame, av.VideoFrame):
                self.frames += 1
                self.brightness = bytes(frame.planes[0])[0]
            else:
                self.sounds += 1

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.connection.close()
        if self.network is not None:
            self.network.close()


@asynccontextmanager
async def watcher(
    server: Door, *, room_id: str = "rm_1", subject: str = "gu_1", network: Network | None = None
) -> AsyncIterator[Watcher]:
    """Somebody who watches."""
    connection = new_peer()
    connection.addTransceiver("audio", "recvonly")
    connection.addTransceiver("video", "recvonly")
    peer = Watcher(server, connection, network)
    try:
        await peer.begin("whep", room_id, subject)
        yield peer
    finally:
        await peer.close()


def _prefer(connection: RTCPeerConnection, codec: str) -> None:
    capabilities = RTCRtpReceiver.getCapabilities("video")
    assert capabilities is not None
    for transceiver in connection.getTransceivers():
        if transceiver.kind == "video":
            transceiver.setCodecPreferences(
                [
                    c
                    for c in capabilities.codecs
                    if c.mimeType.lower() in (f"video/{codec.lower()}", "video/rtx")
                ]
            )
