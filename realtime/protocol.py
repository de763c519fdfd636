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
OFFSET_MAX: Final = 2**53 - 1
SNAPSHOT_EVENTS: Final = 50


LIMITS: Final = {"comment_characters": MAX_COMMENT_CHARACTERS, "likes": MAX_LIKES_PER_COMMAND}
"""What JOINED tells a client about its commands."""


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
            message = msgpack.unpackb(data, strict_map_key=True)  # lengths inside are bounded by the data's
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


@dataclass(frozen=True, slots=True)
class Join:
    """The parameters of `join`; None where the client names none."""

    ticket: str
    epoch: str | None
    offset: int | None
    personal_offset: int | None


def parse_join(command: Command) -> Join:
    """Raises CommandError `bad_params`."""
    params = command.params
    ticket, epoch = params.get("ticket"), params.get("epoch")
    if not isinstance(ticket, str):
        raise CommandError("bad_params", "ticket must be text")
    if epoch is not None and not isinstance(epoch, str):
        raise CommandError("bad_params", "epoch must be text")
    if (epoch is None) != (params.get("offset") is None):
        raise CommandError("bad_params", "epoch and offset come together")
    offset = None if epoch is None else integer_parameter(params, "offset", 0, OFFSET_MAX)
    personal_offset = (
        None
        if params.get("personal_offset") is None
        else integer_parameter(params, "personal_offset", 0, OFFSET_MAX)
    )
    return Join(ticket, epoch, offset, personal_offset)


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
    return encode_tick_events(server_time_ms, epoch, first_offset, events) + encode_tick_values(values)


def encode_tick_events(server_time_ms: int, epoch: str, first_offset: int, events: Sequence[bytes]) -> bytes:
    """A TICK up to its values, which come last, so that newer ones can take their place."""
    packer = msgpack.Packer(autoreset=False)
    packer.pack_array_header(6)
    packer.pack(int(Kind.TICK))
    packer.pack(server_time_ms)
    packer.pack(epoch)
    packer.pack(first_offset)
    packer.pack_array_header(len(events))
    return b"".join((packer.bytes(), *events))


def encode_tick_values(values: Iterable[tuple[str, bytes]]) -> bytes:
    """The rest of a TICK."""
    items = list(values)
    packer = msgpack.Packer(autoreset=False)
    packer.pack_map_header(len(items))
    parts = [packer.bytes()]
    for key, value in items:
        parts.append(pack(key))
        parts.append(value)
    return b"".join(parts)


@dataclass(frozen=True, slots=True)
class JoinedTail:
    """The part of JOINED that viewers share who are owed the same events; already packed, see `encode_joined`."""

    offset: int
    recovered: bool
    packed: bytes


def encode_joined_tail(
    epoch: str,
    offset: int,
    recovered: bool,
    first_offset: int,
    events: Sequence[bytes],
    values: Sequence[tuple[str, bytes]],
) -> JoinedTail:
    """What a joining viewer is told about the room, from already packed events and values."""
    packer = msgpack.Packer(autoreset=False)
    for key, item in (
        ("epoch", epoch),
        ("offset", offset),
        ("recovered", recovered),
        ("first_offset", first_offset),
        ("limits", LIMITS),
    ):
        packer.pack(key)
        packer.pack(item)
    packer.pack("events")
    packer.pack_array_header(len(events))
    head = packer.bytes()
    packer.reset()
    packer.pack("values")
    packer.pack_map_header(len(values))
    parts = [head, *events, packer.bytes()]
    for key, value in values:
        parts.append(pack(key))
        parts.append(value)
    return JoinedTail(offset, recovered, b"".join(parts))


def encode_joined(
    tail: JoinedTail,
    *,
    room_id: str,
    viewer_id: str,
    server_time_ms: int,
    personal_offset: int,
    mode: Mapping[str, Any],
) -> bytes:
    """A JOINED: five fields of this viewer's own, then the seven shared ones."""
    own = {
        "room_id": room_id,
        "viewer_id": viewer_id,
        "server_time_ms": server_time_ms,
        "personal_offset": personal_offset,
        "mode": mode,
    }
    # An array of two, a map of twelve: the header of `own` alone (a map of five) is replaced.
    return b"\x92\x04\x8c" + pack(own)[1:] + tail.packed


def encode_reply(command_id: int, payload: Mapping[str, Any]) -> bytes:
    return pack([int(Kind.REPLY), command_id, True, dict(payload)])


def encode_refusal(command_id: int, error: CommandError) -> bytes:
    return pack([int(Kind.REPLY), command_id, False, error.as_payload()])


def encode_notice(type_: str, **data: Any) -> bytes:
    return pack([int(Kind.NOTICE), {"type": type_, **data}])


def encode_personal(offset: int, packed_message: bytes) -> bytes:
    """A PERSONAL from the packed pair `[type, data]`."""
    # The pair's header (an array of two) is replaced by ours of four.
    assert packed_message[:1] == b"\x92"
    return b"\x94\x03" + pack(offset) + packed_message[1:]


def as_json(message: bytes) -> str:
    """The same message for the debugging sub-protocol."""
    return json.dumps(unpack(message), ensure_ascii=False, separators=(",", ":"))


def frame(payload: bytes, *, text: bool = False) -> bytes:
    """One unmasked, final WebSocket data frame (RFC 6455 section 5.2): the bytes every connection of a room shares."""
    first = 0x81 if text else 0x82
    length = len(payload)
    if length < 126:
        return bytes((first, length)) + payload
    if length < 65536:
        return struct.pack("!BBH", first, 126, length) + payload
    return struct.pack("!BBQ", first, 127, length) + payload
