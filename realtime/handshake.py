"""The opening handshake, without I/O: a fast path for what browsers send, `websockets`' sans-IO protocol for everything else.

The fast path takes a tenth of the time. Whatever it is not sure of, it leaves to the other, which also words every refusal.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from realtime import deflate
from realtime.protocol import SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK

PATH: Final = "/v1"
HEAD_MAX_BYTES: Final = 16 * 1024
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_START: Final = b"GET /v1 HTTP/1.1\r\n"
_HEADERS: Final = re.compile(
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}:[\t\x20-\x7e\x80-\xff]{0,4000}\r\n){1,100}"
)
_SUBPROTOCOLS: Final = (SUBPROTOCOL_MSGPACK.encode(), SUBPROTOCOL_JSON.encode())

_log = logging.getLogger("flashroom.handshake")
_log.setLevel(logging.CRITICAL)  # websockets says hello, goodbye and what it makes of nonsense

PlainAnswer = Callable[[str], tuple[int, str] | None]
"""Path to (status, text) for what is no WebSocket; None for one."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """What to answer; the WebSocket is open if `accepted`. `forwarded_for` are the values of X-Forwarded-For."""

    response: bytes
    accepted: bool
    is_json: bool = False
    forwarded_for: Sequence[str] = ()
    is_plain: bool = False
    is_deflated: bool = False


def answer(
    head: bytes, origins: Sequence[str] | None, plain_answer: PlainAnswer, *, compression: bool = False
) -> Handshake:
    """Answer a request's head, which ends with an empty line. Never raises. `compression`: permessage-deflate may be agreed on."""
    return _fast(head, origins, compression) or _careful(head, origins, plain_answer)


def _fast(head: bytes, origins: Sequence[str] | None, compression: bool = False) -> Handshake | None:
    if not head.startswith(_START) or not _HEADERS.fullmatch(head, len(_START), len(head) - 2):
        return None
    headers: dict[bytes, bytes] = {}
    for line in head[len(_START) : -4].split(b"\r\n"):
        name, _, value = line.partition(b":")
        name = name.lower()
        if name in headers:
            return None
        headers[name] = value.strip(b" \t")
    key = headers.get(b"sec-websocket-key", b"")
    if (
        headers.get(b"upgrade", b"").lower() != b"websocket"
        or headers.get(b"connection", b"").lower() not in (b"upgrade", b"keep-alive, upgrade")
        or headers.get(b"sec-websocket-version") != b"13"
        or len(key) != 24
        or b"content-length" in headers
        or b"transfer-encoding" in headers
    ):
        return None
    origin = headers.get(b"origin")
    if origins is not None and origin is not None and origin.decode("latin-1") not in origins:
        return None
    offered = [one.strip(b" \t") for one in headers.get(b"sec-websocket-protocol", b"").split(b",")]
    chosen = next((known for known in _SUBPROTOCOLS if known in offered), None)
    if chosen is None or not all(one.replace(b".", b"").isalnum() for one in offered):
        return None
    try:
        if len(base64.b64decode(key, validate=True)) != 16:
            return None
    except binascii.Error:
        return None
    forwarded = headers.get(b"x-forwarded-for")
    is_deflated = compression and deflate.accepts(headers.get(b"sec-websocket-extensions", b""))
    extension = b"\r\nSec-WebSocket-Extensions: " + deflate.ACCEPTED if is_deflated else b""
    return Handshake(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + base64.b64encode(hashlib.sha1(key + _GUID).digest())
        + b"\r\nSec-WebSocket-Protocol: "
        + chosen
        + extension
        + b"\r\n\r\n",
        accepted=True,
        is_json=chosen is _SUBPROTOCOLS[1],
        forwarded_for=() if forwarded is None else (forwarded.decode("latin-1"),),
        is_deflated=is_deflated,
    )


def _careful(head: bytes, origins: Sequence[str] | None, plain_answer: PlainAnswer) -> Handshake:
    server = ServerProtocol(
        origins=None if origins is None else [*(Origin(origin) for origin in origins), None],
        subprotocols=[Subprotocol(SUBPROTOCOL_MSGPACK), Subprotocol(SUBPROTOCOL_JSON)],
        logger=_log,
    )
    # Nothing behind the first empty line: frames that come early would be parsed before we have answered.
    server.receive_data(head.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    requests = [event for event in server.events_received() if isinstance(event, Request)]
    if not requests:
        return Handshake(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", accepted=False)
    request = requests[0]
    plain = plain_answer(request.path.partition("?")[0])
    response = server.accept(request) if plain is None else server.reject(*plain)
    server.send_response(response)
    return Handshake(
        b"".join(server.data_to_send()),
        accepted=response.status_code == 101,
        is_json=server.subprotocol == SUBPROTOCOL_JSON,
        forwarded_for=request.headers.get_all("X-Forwarded-For"),
        is_plain=plain is not None,
    )
