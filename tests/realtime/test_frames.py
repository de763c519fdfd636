from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from realtime import frames
from realtime.protocol import MAX_COMMAND_BYTES, CloseCode


def raw_frame(first: int, payload: bytes, mask: bytes | None, wide: int = 0) -> bytes:
    """A frame as it is on the wire; `wide` forces a longer form of its length."""
    size = len(payload)
    flag = 0 if mask is None else 0x80
    if size < 126 and wide == 0:
        head = struct.pack("!BB", first, flag | size)
    elif size < 65536 and wide < 2:
        head = struct.pack("!BBH", first, flag | 126, size)
    else:
        head = struct.pack("!BBQ", first, flag | 127, size)
    if mask is None:
        return head + payload
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


FIRST_BYTES = st.one_of(st.sampled_from((0x81, 0x82, 0x88, 0x89, 0x8A)), st.integers(0, 255))
PAYLOADS = st.one_of(
    st.binary(max_size=130),
    st.integers(0, 5000).map(bytes),
    st.integers(0, 6000).map(lambda code: struct.pack("!H", code) + b"why"),
)
MASKS = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=4, max_size=4), st.none())
WIRE = st.lists(st.builds(raw_frame, FIRST_BYTES, PAYLOADS, MASKS, st.integers(0, 2)), max_size=5).map(
    b"".join
)


def oracle(data: bytes) -> tuple[list[frames.Frame], int | None]:
    """What the websockets library reads: frames up to a close or an error, and the code of the error."""
    server = ServerProtocol(state=State.OPEN, max_size=MAX_COMMAND_BYTES)
    server.receive_data(data)
    read: list[frames.Frame] = []
    for event in server.events_received():
        assert isinstance(event, Frame)
        if event.opcode in (Opcode.TEXT, Opcode.BINARY) and not event.fin:
            return read, CloseCode.MALFORMED
        read.append((int(event.opcode), bytes(event.data)))
        if event.opcode is Opcode.CLOSE:
            return read, None
    if server.close_sent is not None:
        return read, server.close_sent.code
    return read, None


def ours(pieces: list[bytes]) -> tuple[list[frames.Frame], int | None]:
    read: list[frames.Frame] = []
    rest = b""
    for piece in pieces:
        found, rest, error = frames.split(rest + piece)
        for frame in found:
            read.append(frame)
            if frame[0] == frames.CLOSE:
                return read, None
        if error is not None:
            return read, error.code
    return read, None


@given(st.one_of(WIRE, st.binary(max_size=60)), st.lists(st.integers(0, 6000), max_size=4))
@example(raw_frame(0x88, struct.pack("!H", 1004), bytes(4)), [])
@example(raw_frame(0x88, struct.pack("!H", 1000) + b"\xff", bytes(4)), [])
@example(raw_frame(0x88, struct.pack("!H", 1004) + b"\xff", bytes(4)), [])
@example(raw_frame(0x89, bytes(126), bytes(4)), [3])
@example(raw_frame(0x82, bytes(4096), bytes(4)), [1, 2, 3, 5])
@example(raw_frame(0x82, bytes(4097), bytes(4)), [])
def test_we_read_what_the_websockets_library_reads_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    at = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[start:end] for start, end in pairwise(at)]
    assert ours(pieces) == oracle(data)


def test_a_huge_frame_is_refused_before_it_has_arrived() -> None:
    found, rest, error = frames.split(b"\x82\xff" + (2**62).to_bytes(8, "big"))
    assert (found, rest, error and error.code) == ([], b"", 1009)


@pytest.mark.parametrize("code", [1001, 4000, 4999])
@pytest.mark.parametrize("reason", ["", "draining", "长" * 100])
def test_a_close_frame_is_one_that_clients_read(code: int, reason: str) -> None:
    data = frames.close_frame(code, reason)
    assert data[0] == 0x88
    assert len(data) == 2 + data[1] <= 127
    close = Close.parse(data[2:])
    assert close.code == code
    assert reason.startswith(close.reason)


def test_control_frames_are_those_of_the_websockets_library() -> None:
    assert frames.control_frame(frames.PING) == Frame(Opcode.PING, b"").serialize(mask=False)
    assert frames.control_frame(frames.PONG, b"x" * 125) == Frame(Opcode.PONG, b"x" * 125).serialize(
        mask=False
    )
