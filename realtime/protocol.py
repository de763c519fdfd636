"""The wire protocol of PROTOCOL.md without any I/O: kinds, limits, encoding, and checking of commands.

Every function here is pure. Events and values travel inside the hub as packed msgpack, so that what is forwarded is encoded once.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import msgpack

Event = tuple[str, dict[str, Any]]
"""`(type, data)`: ordered, numbered per room, kept for recovery."""
Value = tuple[int, Any]
"""`(version, data)`: only the newest version of a key matters."""

SUBPROTOCOL_MSGPACK: Final = "flashroom.v1.msgpack"
SUBPROTOCOL_JSON: Final = "flashroom.v1.json"

MAX_COMMAND_BYTES: Final = 4096
MAX_COMMENT_CHARACTERS: Final = 200
MAX_LIKES_PER_COMMAND: Final = 50
JOIN_TIMEOUT_S: Final = 10.0
SNAPSHOT_EVENTS: Final = 50


class Kind(IntEnum):
    """First item of every message from the server."""

    TICK = 1
    REPLY = 2
    PERSONAL = 3
    JOINED = 4
    NOTICE = 5


class CloseCode(IntEnum):
    """Why the hub closed a connection; what a client does about it is in PROTOCOL.md."""

    DRAINING = 1001
    MALFORMED = 4000
    TICKET_REFUSED = 4001
    BANNED = 4003
    TOO_SLOW = 4008
    TOO_MANY_COMMANDS = 4009
    TOO_MANY_CONNECTIONS = 4010
    NO_JOIN = 4011
    HUB_FULL = 4013


class CommandError(Exception):
    """A command refused, with a stable code for the client; `extra` goes into the reply as it is."""

    def __init__(self, code: str, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.extra = extra

    def as_payload(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, **self.extra}


class MalformedMessage(Exception):
    """The client's message is not a command at all; the connection is closed with 4000."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command as it was sent: `[id, name, params]`."""

    id: int
    name: str
    params: dict[str, Any]


def decode_command(data: bytes | str) -> Command:
    """Parse one client message, msgpack if bytes, JSON if text. Raises MalformedMessage."""
    if len(data) > MAX_COMMAND_BYTES:
        raise MalformedMessage("command too long")
    try:
        if isinstance(data, str):
            message = json.loads(data)
        else:
            message = msgpack.unpackb(data, max_buffer_size=MAX_COMMAND_BYTES, strict_map_key=True)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise MalformedMessage("not a msgpack or JSON value") from error
    if not isinstance(message, list) or len(message) != 3:
        raise MalformedMessage("a command is [id, name, params]")
    command_id, name, params = message
    if isinstance(command_id, bool) or not isinstance(command_id, int) or not 0 < command_id < 2**32:
        raise MalformedMessage("id is a number from 1 to 2^32 - 1")
    if not isinstance(name, str) or not isinstance(params, dict):
        raise MalformedMessage("name is text, params is a map")
    return Command(command_id, name, params)


def text_parameter(params: Mapping[str, Any], name: str, minimum: int, maximum: int) -> str:
    """The text under `name`, trimmed, with its length in characters checked. Raises CommandError `bad_params`."""
    value = params.get(name)
    if not isinstance(value, str):
        raise CommandError("bad_params", f"{name} must be text")
    value = value.strip()
    if not minimum <= len(value) <= maximum:
        raise CommandError("bad_params", f"{name} must have {minimum} to {maximum} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise CommandError("bad_params", f"{name} is not valid Unicode") from None
    return value


def integer_parameter(params: Mapping[str, Any], name: str, minimum: int, maximum: int) -> int:
    """The whole number under `name`, within bounds. Raises CommandError `bad_params`."""
    value = params.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise CommandError("bad_params", f"{name} must be a whole number from {minimum} to {maximum}")
    return value


def pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed


def unpack(packed: bytes) -> Any:
    """One trusted value (ours, from Redis); what clients send goes through `decode_command`."""
    return msgpack.unpackb(packed, strict_map_key=False)


def encode_tick(
    server_time_ms: int,
    epoch: str,
    first_offset: int,
    events: Sequence[bytes],
    values: Iterable[tuple[str, bytes]],
) -> bytes:
    """A TICK from already packed events and values: nothing inside is decoded or encoded again."""
    packer = msgpack.Packer(autoreset=False)
    packer.pack_array_header(6)
    packer.pack(int(Kind.TICK))
    packer.pack(server_time_ms)
    packer.pack(epoch)
    packer.pack(first_offset)
    packer.pack_array_header(len(events))
    head = packer.bytes()
    packer.reset()
    items = list(values)
    packer.pack_map_header(len(items))
    parts = [head, *events, packer.bytes()]
    for key, value in items:
        parts.append(pack(key))
        parts.append(value)
    return b"".join(parts)


def encode_reply(command_id: int, payload: Mapping[str, Any]) -> bytes:
    return pack([int(Kind.REPLY), command_id, True, dict(payload)])


def encode_refusal(command_id: int, error: CommandError) -> bytes:
    return pack([int(Kind.REPLY), command_id, False, error.as_payload()])


def encode_notice(type_: str, **data: Any) -> bytes:
    return pack([int(Kind.NOTICE), {"type": type_, **data}])


def encode_personal(offset: int, packed_message: bytes) -> bytes:
    """A PERSONAL from the packed pair `[type, data]`."""
    type_, data = msgpack.unpackb(packed_message)
    return pack([int(Kind.PERSONAL), offset, type_, data])


def as_json(message: bytes) -> str:
    """The same message for the debugging sub-protocol."""
    return json.dumps(msgpack.unpackb(message), ensure_ascii=False, separators=(",", ":"))


def frame(payload: bytes, *, text: bool = False) -> bytes:
    """One unmasked, final WebSocket data frame (RFC 6455 section 5.2): the bytes every connection of a room shares."""
    first = 0x81 if text else 0x82
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 65536:
        return struct.pack("!BBH", first, 126, length) + payload
    return struct.pack("!BBQ", first, 127, length) + payload
