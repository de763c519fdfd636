"""One viewer's connection: a socket, where it stands, and what it is allowed. Parsing is in `handshake` and `frames`.

Nothing here ticks: no task, timer or queue of its own. The hub owns the clock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final, Protocol, cast

from realtime import frames, handshake, protocol
from realtime.delays import NO_PICTURE
from realtime.protocol import CloseCode
from realtime.settings import HubSettings
from realtime.tickets import Viewer

DISCARDED_MAX_BYTES: Final = 1024 * 1024
"""What a peer may still send after our close frame; beyond, the connection is cut."""


class Membership(Protocol):
    """The room a connection is in, as far as a connection knows."""

    def remove(self, connection: Connection) -> None: ...


class Owner(Protocol):
    """What a connection tells its hub, and asks of it."""

    settings: HubSettings

    def opened(self, connection: Connection) -> bool:
        """False to refuse the socket at once."""

    def plain_answer(self, path: str) -> tuple[int, str] | None:
        """An HTTP answer instead of a WebSocket."""

    def accepted(self, connection: Connection, forwarded_for: Sequence[str]) -> None:
        """The WebSocket is open; the values of its X-Forwarded-For."""

    def received(self, connection: Connection, data: bytes | str) -> None:
        """One message of the client."""

    def closing(self, connection: Connection) -> None:
        """No more messages to or from this one; it is cut when it does not end soon."""

    def lost(self, connection: Connection, reason: str) -> None:
        """The socket is gone."""


class Connection(asyncio.Protocol):
    """A socket that may become a viewer. What is from `viewer` on is the hub's to set."""

    __slots__ = (
        "_buffer",
        "_discarded_bytes",
        "_is_accepted",
        "_is_deaf",
        "_owner",
        "_tokens",
        "_tokens_at_s",
        "address",
        "behind_since_s",
        "closing_since_s",
        "delay_place",
        "early_personal",
        "fd",
        "heard_s",
        "in_flight",
        "index",
        "is_deflated",
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
        self._buffer = b""
        self._is_accepted = False
        self._is_deaf = False
        self._discarded_bytes = 0
        self._tokens = float(owner.settings.frame_burst)
        self.opened_s = self.heard_s = self._tokens_at_s = time.monotonic()
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.fd = -1
        self.address = ""
        self.is_json = False
        self.is_deflated = False
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
        self.delay_place = NO_PICTURE

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
        # A member no more before the transport closes: nothing can be written after that.
        self._begin_closing("lost")
        return False

    def data_received(self, data: bytes) -> None:
        self.heard_s = time.monotonic()
        if self.closing_since_s:
            self._discarded_bytes += len(data)
            if self._discarded_bytes > DISCARDED_MAX_BYTES:
                self.transport.abort()
                return
            if self._is_deaf:
                return
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        if not self._is_accepted:
            self._shake_hands(data)
        else:
            self._take_frames(data)

    # -- what arrived

    def _shake_hands(self, data: bytes) -> None:
        end = data.find(b"\r\n\r\n")
        if end < 0 and len(data) < handshake.HEAD_MAX_BYTES:
            self._buffer = data
            return
        head = data[: end + 4] if end >= 0 else data
        settings = self._owner.settings
        answer = handshake.answer(
            head, settings.origins, self._owner.plain_answer, compression=settings.compression
        )
        self.transport.write(answer.response)
        if not answer.accepted:
            self._begin_closing("http" if answer.is_plain else "handshake")
            self._finish()
            return
        self._is_accepted = True
        self.is_json = answer.is_json
        self.is_deflated = answer.is_deflated
        self._owner.accepted(self, answer.forwarded_for)
        if len(data) > len(head):
            self._take_frames(data[len(head) :])

    def _take_frames(self, data: bytes) -> None:
        found, self._buffer, error = frames.split(data, may_be_compressed=self.is_deflated)
        for opcode, payload in found:
            if opcode == frames.CLOSE:
                self._take_close(payload)
                return
            if self.closing_since_s or not self._take_token():
                continue
            if opcode == frames.BINARY:
                self._owner.received(self, payload)
            elif opcode == frames.TEXT:
                self._take_text(payload)
            elif opcode == frames.PING:
                self.transport.write(frames.control_frame(frames.PONG, payload))
        if error is not None:
            if not self.closing_since_s:
                self.close(error.code, error.reason)
            self._finish()

    def _take_close(self, payload: bytes) -> None:
        if not self.closing_since_s:
            self.transport.write(frames.control_frame(frames.CLOSE, payload))
            self._begin_closing("peer")
        self._finish()

    def _take_text(self, payload: bytes) -> None:
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            self.close(CloseCode.MALFORMED, "text is not UTF-8")
        else:
            self._owner.received(self, text)

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

    # -- what leaves

    @property
    def is_open(self) -> bool:
        return self._is_accepted and not self.closing_since_s and not self.transport.is_closing()

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
            self.transport.write(frames.control_frame(frames.PING))

    def close(self, code: int, reason: str) -> None:
        """Send a close frame after all that was written before; the hub cuts a peer that does not end the connection soon."""
        if self.is_open:
            self.transport.write(frames.close_frame(code, reason))
            self._begin_closing(reason_of(code))
        elif not self.closing_since_s:
            self._begin_closing(reason_of(code))
            self.transport.abort()

    def _begin_closing(self, reason: str) -> None:
        """No member any more; what the peer still sends is read only for its close frame."""
        if not self.closing_since_s:
            self.closing_since_s = time.monotonic()
            self.reason = self.reason or reason
            self._owner.closing(self)

    def _finish(self) -> None:
        """Close our half: what the peer has sent and we have not read would turn our last words into a reset."""
        if not self._is_deaf:
            self._is_deaf = True
            self._buffer = b""
            if self.transport.can_write_eof() and not self.transport.is_closing():
                self.transport.write_eof()


def reason_of(code: int) -> str:
    """A close code's name in metrics."""
    try:
        return CloseCode(code).name.lower()
    except ValueError:
        return f"frame_{code}"
