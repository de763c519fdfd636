"""One viewer's connection: handshake and inbound frames by `websockets`' sans-IO protocol, outbound bytes straight to the transport.

Nothing here ticks: no task, timer or queue of its own. The hub owns the clock.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Final, Protocol, cast

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from realtime import protocol
from realtime.protocol import CloseCode
from realtime.settings import HubSettings
from realtime.tickets import Viewer

DISCARDED_MAX_BYTES: Final = 1024 * 1024
"""What a peer may still send after our close frame; beyond, the connection is cut."""

_log = logging.getLogger("flashroom.connection")
_log.setLevel(logging.ERROR)  # websockets says hello and goodbye for each connection


class Membership(Protocol):
    """The room a connection is in, as far as a connection knows."""

    likes: int

    def remove(self, connection: Connection) -> None: ...


class Owner(Protocol):
    """What a connection tells its hub, and asks of it."""

    settings: HubSettings

    def new_protocol(self) -> ServerProtocol: ...

    def opened(self, connection: Connection) -> bool:
        """False to refuse the socket at once."""

    def plain_answer(self, request: Request) -> tuple[int, str] | None:
        """An HTTP answer instead of a WebSocket."""

    def accepted(self, connection: Connection, request: Request) -> None:
        """The WebSocket is open."""

    def received(self, connection: Connection, data: bytes | str) -> None:
        """One message of the client."""

    def closing(self, connection: Connection) -> None:
        """No more messages to or from this one; it is cut when it does not end soon."""

    def lost(self, connection: Connection, reason: str) -> None:
        """The socket is gone."""


class Connection(asyncio.Protocol):
    """A socket that may become a viewer. What is from `viewer` on is the hub's to set."""

    __slots__ = (
        "_discarded_bytes",
        "_owner",
        "_tokens",
        "_tokens_at_s",
        "_ws",
        "address",
        "behind_since_s",
        "closing_since_s",
        "early_personal",
        "fd",
        "heard_s",
        "in_flight",
        "index",
        "is_joining",
        "is_json",
        "opened_s",
        "personal_offset",
        "reason",
        "room",
        "transport",
        "viewer",
    )

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._ws: ServerProtocol = owner.new_protocol()
        self._ws.logger = _log
        self._discarded_bytes = 0
        self._tokens = float(owner.settings.frame_burst)
        self.opened_s = self.heard_s = self._tokens_at_s = time.monotonic()
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.fd = -1
        self.address = ""
        self.is_json = False
        self.reason = ""
        self.closing_since_s = 0.0
        self.viewer: Viewer | None = None
        self.room: Membership | None = None
        self.index = -1
        self.is_joining = False
        self.early_personal: list[tuple[int, bytes]] | None = None
        self.personal_offset = 0
        self.behind_since_s = 0.0
        self.in_flight = 0

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if transport.get_extra_info("sslcontext") is None:
            self.fd = transport.get_extra_info("socket").fileno()
        peer: Any = transport.get_extra_info("peername")
        self.address = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self._owner.opened(self):
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.lost(self, self.reason or "lost")

    def eof_received(self) -> bool:
        # A member no more before our half is closed: nothing can be written after that.
        self._begin_closing("peer" if self._ws.close_rcvd is not None else "lost")
        self._ws.receive_eof()
        self._send_pending()
        return False

    def data_received(self, data: bytes) -> None:
        self.heard_s = time.monotonic()
        if self.closing_since_s:
            self._discarded_bytes += len(data)
            if self._discarded_bytes > DISCARDED_MAX_BYTES:
                self.transport.abort()
                return
        self._ws.receive_data(data)
        for event in self._ws.events_received():
            if isinstance(event, Request):
                self._answer_request(event)
            elif isinstance(event, Frame) and self._ws.state is State.OPEN and self._take_token():
                self._take_frame(event)
        self._send_pending()
        if self._ws.handshake_exc is not None:
            self._begin_closing("handshake")
        elif self._ws.state in (State.CLOSING, State.CLOSED):
            self._begin_closing(self._failure())

    # -- what arrived

    def _answer_request(self, request: Request) -> None:
        plain = self._owner.plain_answer(request)
        if plain is not None:
            self._ws.send_response(self._ws.reject(*plain))
            self._begin_closing("http")
            return
        response = self._ws.accept(request)
        self._ws.send_response(response)
        if response.status_code != 101:
            self._begin_closing("handshake")
            return
        self._send_pending()
        self.is_json = self._ws.subprotocol == protocol.SUBPROTOCOL_JSON
        self._owner.accepted(self, request)

    def _take_token(self) -> bool:
        settings = self._owner.settings
        earned = (self.heard_s - self._tokens_at_s) * settings.frame_rate
        self._tokens = min(float(settings.frame_burst), self._tokens + earned)
        self._tokens_at_s = self.heard_s
        if self._tokens < 1.0:
            self.close(CloseCode.TOO_MANY_COMMANDS, "too many commands")
            return False
        self._tokens -= 1.0
        return True

    def _take_frame(self, frame: Frame) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY):
            return
        if not frame.fin:
            self.close(CloseCode.MALFORMED, "fragmented messages are not accepted")
            return
        data: bytes | str = bytes(frame.data)
        if frame.opcode is Opcode.TEXT:
            try:
                data = bytes(frame.data).decode()
            except UnicodeDecodeError:
                self.close(CloseCode.MALFORMED, "text is not UTF-8")
                return
        self._owner.received(self, data)

    def _failure(self) -> str:
        """Why the frame layer closed."""
        sent = self._ws.close_sent
        if self._ws.close_rcvd is not None or sent is None:
            return "peer"
        return f"frame_{int(sent.code)}"

    # -- what leaves

    def _send_pending(self) -> None:
        for data in self._ws.data_to_send():
            if data:
                self.transport.write(data)
            elif self.transport.can_write_eof() and not self.transport.is_closing():
                # Only our half: what the peer has sent and we have not read would turn our close frame into a reset.
                self.transport.write_eof()

    @property
    def is_open(self) -> bool:
        return not self.closing_since_s and self._ws.state is State.OPEN and not self.transport.is_closing()

    def send(self, message: bytes) -> None:
        """Write one message to this viewer alone (replies, personal messages, snapshots)."""
        if self.is_open:
            if self.is_json:
                self.transport.write(protocol.frame(protocol.as_json(message).encode(), text=True))
            else:
                self.transport.write(protocol.frame(message))
            if self.transport.get_write_buffer_size() > self._owner.settings.close_above_bytes:
                self.close(CloseCode.TOO_SLOW, "too slow")

    def ping(self) -> None:
        if self.is_open:
            self._ws.send_ping(b"")
            self._send_pending()

    def close(self, code: int, reason: str) -> None:
        """Send a close frame after all that was written before; the hub cuts a peer that does not end the connection soon."""
        if self._ws.state is State.OPEN:
            self._ws.send_close(code, reason)
            self._send_pending()
            self._begin_closing(reason_of(code))
        elif not self.closing_since_s:
            self._begin_closing(reason_of(code))
            self.transport.abort()

    def _begin_closing(self, reason: str) -> None:
        if not self.closing_since_s:
            self.closing_since_s = time.monotonic()
            self.reason = self.reason or reason
            self._owner.closing(self)


def reason_of(code: int) -> str:
    """A close code's name in metrics."""
    try:
        return CloseCode(code).name.lower()
    except ValueError:
        return str(int(code))
