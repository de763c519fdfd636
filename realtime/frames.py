"""WebSocket frames of a client (RFC 6455 section 5), without I/O: bytes in, whole frames out. Small, unfragmented messages only.

The same answers as `websockets`' sans-IO protocol (tests hold them side by side) for a third of the time and a tenth of the memory.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from realtime import deflate
from realtime.protocol import MAX_COMMAND_BYTES, CloseCode

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
PROTOCOL_ERROR: Final = 1002
INVALID_DATA: Final = 1007
COMPRESSED: Final = 0x40
"""RSV1 (RFC 7692 section 7): set on a message that is compressed, where both sides agreed that messages may be."""
TOO_BIG: Final = 1009
_OPCODES: Final = frozenset((0, TEXT, BINARY, CLOSE, PING, PONG))
_CLOSE_CODES: Final = frozenset((*range(1000, 1004), *range(1007, 1015)))

Frame = tuple[int, bytes]
"""(opcode, unmasked payload)"""


@dataclass(frozen=True, slots=True)
class FrameError:
    """Why nothing more is read, as a close code."""

    code: int
    reason: str


def split(buffer: bytes, *, may_be_compressed: bool = False) -> tuple[list[Frame], bytes, FrameError | None]:
    """The whole frames at the front of the buffer, what is left, and what is wrong with it, if anything is.

    Compressed messages are given back whole; one that can't be is an error.
    """
    frames: list[Frame] = []
    at, end = 0, len(buffer)
    while end - at >= 2:
        first, second = buffer[at], buffer[at + 1]
        opcode = first & 0x0F
        if opcode not in _OPCODES:
            return frames, b"", FrameError(PROTOCOL_ERROR, "invalid opcode")
        if not second & 0x80:
            return frames, b"", FrameError(PROTOCOL_ERROR, "a client's frames are masked")
        length, body = second & 0x7F, at + 6
        if length == 126:
            if end - at < 4:
                break
            length, body = (buffer[at + 2] << 8) | buffer[at + 3], at + 8
        elif length == 127:
            if end - at < 10:
                break
            length, body = int.from_bytes(buffer[at + 2 : at + 10], "big"), at + 14
        if length > MAX_COMMAND_BYTES:
            return frames, b"", FrameError(TOO_BIG, f"above {MAX_COMMAND_BYTES} bytes")
        if end < body + length:
            break
        error = _check(first, opcode, length, may_be_compressed)
        if error is not None:
            return frames, b"", error
        payload = _unmask(buffer[body : body + length], buffer[body - 4 : body])
        if first & COMPRESSED:
            try:
                payload = deflate.decompress(payload, MAX_COMMAND_BYTES)
            except deflate.Malformed as malformed:
                return frames, b"", FrameError(INVALID_DATA, str(malformed)[:60])
        if opcode == CLOSE:
            error = _check_close(payload)
            if error is not None:
                return frames, b"", error
        frames.append((opcode, payload))
        at = body + length
    return frames, buffer[at:], None


def _check(first: int, opcode: int, length: int, may_be_compressed: bool) -> FrameError | None:
    reserved = first & 0x70
    if reserved and not (reserved == COMPRESSED and may_be_compressed and opcode in (TEXT, BINARY)):
        return FrameError(PROTOCOL_ERROR, "reserved bits must be 0")
    if opcode >= CLOSE:
        if length > 125:
            return FrameError(PROTOCOL_ERROR, "control frame too long")
        if not first & 0x80:
            return FrameError(PROTOCOL_ERROR, "fragmented control frame")
    elif opcode == 0:
        return FrameError(PROTOCOL_ERROR, "unexpected continuation frame")
    elif not first & 0x80:
        return FrameError(CloseCode.MALFORMED, "fragmented messages are not accepted")
    return None


def _check_close(payload: bytes) -> FrameError | None:
    if not payload:
        return None
    if len(payload) == 1:
        return FrameError(PROTOCOL_ERROR, "close frame too short")
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return FrameError(INVALID_DATA, "a reason that is not UTF-8")
    code = int.from_bytes(payload[:2], "big")
    if code not in _CLOSE_CODES and not 3000 <= code < 5000:
        return FrameError(PROTOCOL_ERROR, "invalid close code")
    return None


def _unmask(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    if not size:
        return b""
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def close_frame(code: int, reason: str) -> bytes:
    """A server's close frame; the reason is cut to fit."""
    payload = struct.pack("!H", code) + reason.encode()[:120].decode(errors="ignore").encode()
    return bytes((0x80 | CLOSE, len(payload))) + payload


def control_frame(opcode: int, payload: bytes = b"") -> bytes:
    """A server's ping, pong, or echoed close; at most 125 bytes."""
    assert len(payload) <= 125
    return bytes((0x80 | opcode, len(payload))) + payload
