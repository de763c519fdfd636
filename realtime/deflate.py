"""permessage-deflate (RFC 7692) without context takeover, without I/O: what a room's members share is compressed once for all of them.

Each message stands alone, so the same bytes go to everybody; with a context per viewer they could not. What is for one viewer
(replies, personal messages, snapshots) is not compressed: it would cost once each.
"""

from __future__ import annotations

import zlib
from typing import Final

EXTENSION: Final = b"permessage-deflate"
ACCEPTED: Final = b"permessage-deflate; server_no_context_takeover; client_no_context_takeover"
LEAST_BYTES: Final = 160
"""Smaller messages are sent as they are: they would hardly shrink."""
LEVEL: Final = 4
_TAIL: Final = b"\x00\x00\xff\xff"  # RFC 7692 section 7.2.1
_KNOWN: Final = (b"server_no_context_takeover", b"client_no_context_takeover", b"client_max_window_bits")


class Malformed(ValueError):
    """What came is not deflated data, or is more than was agreed."""


def accepts(offers: bytes) -> bool:
    """Whether one of the offers in `Sec-WebSocket-Extensions` is one we can take (RFC 7692 section 7.1).

    We answer with a full window, so an offer that asks the server for a smaller one is left out.
    """
    for offer in offers.split(b","):
        name, *parameters = (part.strip(b" \t") for part in offer.split(b";"))
        if name.lower() != EXTENSION:
            continue
        asked = [part.partition(b"=") for part in parameters]
        if all(
            key.strip().lower() in _KNOWN
            or (key.strip().lower() == b"server_max_window_bits" and value.strip(b' "') == b"15")
            for key, _, value in asked
        ):
            return True
    return False


def compress(message: bytes) -> bytes:
    """The payload of one message."""
    return compress_part(message)[:-4]


def compress_part(part: bytes) -> bytes:
    """A part of a message, which parts that are compressed by themselves may follow; the last one without its four bytes of tail.

    Deflate blocks that end on a byte can stand behind one another (RFC 7692 section 7.2.3.4).
    """
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(part) + compressor.flush(zlib.Z_SYNC_FLUSH)


def decompress(payload: bytes, most_bytes: int) -> bytes:
    """The message behind a payload. Raises Malformed, also for one that would grow beyond `most_bytes`."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        message = inflater.decompress(payload + _TAIL, most_bytes + 1)
    except zlib.error as error:
        raise Malformed(str(error)) from None
    if len(message) > most_bytes:
        raise Malformed(f"above {most_bytes} bytes")
    return message
