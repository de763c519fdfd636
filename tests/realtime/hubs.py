"""Hubs and viewers for tests of the whole path: real sockets, real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from realtime.broker import Broker, now_ms
from realtime.client import RoomClient
from realtime.hub import CommandHandler, Hub, HubSettings
from realtime.tickets import Viewer, sign_ticket, verify_ticket

KEY = b"a key of thirty-two bytes or more"
QUICK_TOTALS = HubSettings(presence_interval_s=0.05, likes_interval_s=0.02)
"""Likes and presence are told at once, as far as a test can tell."""


@dataclass
class RunningHub:
    """A hub in this process, and where it listens."""

    hub: Hub
    broker: Broker
    port: int

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1"


@asynccontextmanager
async def running_hub(
    redis_url: str,
    settings: HubSettings | None = None,
    commands: Mapping[str, CommandHandler] | None = None,
    port: int = 0,
) -> AsyncIterator[RunningHub]:
    """A hub with a broker of its own, as a process would have."""
    broker = await Broker.connect(redis_url)
    hub = Hub(
        broker,
        verify_ticket=lambda token: verify_ticket(KEY, token, now_ms()),
        settings=settings,
        commands=commands,
    )
    try:
        yield RunningHub(hub, broker, await hub.serve("127.0.0.1", port))
    finally:
        await hub.aclose()
        await broker.aclose()


def ticket(room_id: str, viewer_id: str = "", *, role: str = "viewer", ghost: bool = False) -> str:
    """A valid ticket for a viewer, a new one unless named."""
    viewer_id = viewer_id or f"gu_{secrets.token_hex(6)}"
    return sign_ticket(KEY, Viewer(viewer_id, viewer_id.upper(), role, room_id, ghost), now_ms())


@dataclass
class Watched:
    """A client and all it was told, in order."""

    client: RoomClient
    viewer_id: str
    events: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    personal: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [data["text"] for _, type_, data in self.events if type_ == "comment"]

    @property
    def offsets(self) -> list[int]:
        return [offset for offset, _, _ in self.events]


@asynccontextmanager
async def watching(
    url: str | Callable[[], str],
    room_id: str,
    viewer_id: str = "",
    *,
    role: str = "viewer",
    ghost: bool = False,
) -> AsyncIterator[Watched]:
    """A joined viewer that comes back by itself, to wherever `url` points then."""
    viewer_id = viewer_id or f"gu_{secrets.token_hex(6)}"

    async def get_ticket() -> str:
        if callable(url):
            client.hub_url = url()
        return ticket(room_id, viewer_id, role=role, ghost=ghost)

    client = RoomClient(url() if callable(url) else url, get_ticket, reconnect_min_s=0.05)
    watched = Watched(client, viewer_id)
    client.on_event = lambda offset, type_, data: watched.events.append((offset, type_, data))
    client.on_personal = lambda type_, data: watched.personal.append((type_, data))
    async with client:
        yield watched


HANDSHAKE = (
    b"GET /v1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: flashroom.v1.msgpack\r\n\r\n"
)


class Wire:
    """A WebSocket spoken by hand: what the hub really sends, and anything a client may send."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, *command: Any) -> None:
        await self.socket.send(msgpack.packb(list(command)))

    async def receive(self) -> list[Any]:
        """The next message."""
        async with asyncio.timeout(5):
            data = await self.socket.recv()
        assert isinstance(data, bytes)
        message: list[Any] = msgpack.unpackb(data)
        return message

    async def reply(self, command_id: int) -> list[Any]:
        """The reply to a command; what comes before it is dropped."""
        while True:
            message = await self.receive()
            if message[0] == 2 and message[1] == command_id:
                return message

    async def ask(self, command_id: int, name: str, params: Any) -> list[Any]:
        await self.send(command_id, name, params)
        return await self.reply(command_id)

    async def join(self, token: str, **params: Any) -> dict[str, Any]:
        """JOINED's map."""
        await self.send(1, "join", {"ticket": token, **params})
        message = await self.receive()
        assert message[0] == 4, message
        joined: dict[str, Any] = message[1]
        return joined

    async def close_code(self) -> int | None:
        """Read to the end, and say how it ended."""
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(8):
                while True:
                    await self.socket.recv()
        return self.socket.close_code


@asynccontextmanager
async def wire(url: str, *, origin: str | None = None, address: str | None = None) -> AsyncIterator[Wire]:
    """An open WebSocket that has not joined."""
    async with connect(
        url,
        subprotocols=[Subprotocol("flashroom.v1.msgpack")],
        compression=None,
        ping_interval=None,
        max_size=None,
        proxy=None,
        close_timeout=1,
        origin=None if origin is None else Origin(origin),
        additional_headers=None if address is None else {"X-Forwarded-For": address},
    ) as socket:
        yield Wire(socket)
