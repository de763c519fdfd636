from __future__ import annotations

import contextlib
import json
import math

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from realtime import protocol
from realtime.protocol import Command, CommandError, MalformedMessage

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=5000))
@example(b"\xc7\x0c\xff" + bytes(12))  # a timestamp
@example(b"\xd4\x01\x00")
@example(b"\x93\x01\xa4ping\x81\xa1a\xc4\x01\xff")
def test_bytes_are_a_command_or_malformed_and_nothing_else(data: bytes) -> None:
    try:
        command = protocol.decode_command(data)
    except MalformedMessage:
        return
    assert 0 < command.id < 2**32


@given(st.text(max_size=5000))
@example("[" * 4096)
@example('[1, "a", ' + '{"a":' * 600 + "1" + "}" * 601)
@example("[1" + "0" * 4090 + "]")
@example('[1, "\\ud800", {}]')
@example("[NaN, Infinity, {}]")
def test_text_is_a_command_or_malformed_and_nothing_else(data: str) -> None:
    try:
        command = protocol.decode_command(data)
    except MalformedMessage:
        return
    assert isinstance(command.params, dict)


@given(
    st.integers(1, 2**32 - 1),
    st.text(max_size=20),
    st.dictionaries(st.text(max_size=5), ANYTHING, max_size=4),
)
def test_a_command_is_read_as_it_was_written(id_: int, name: str, params: dict[str, object]) -> None:
    packed = msgpack.packb([id_, name, params])
    if len(packed) > protocol.MAX_COMMAND_BYTES:
        with pytest.raises(MalformedMessage):
            protocol.decode_command(packed)
    else:
        assert protocol.decode_command(packed) == Command(id_, name, params)


@given(ANYTHING)
def test_every_parameter_is_checked_whatever_its_type(value: object) -> None:
    for check in (
        lambda: protocol.text_parameter({"p": value}, "p", 1, 10),
        lambda: protocol.integer_parameter({"p": value}, "p", 1, 10),
        lambda: protocol.parse_join(Command(1, "join", {"ticket": value})),
        lambda: protocol.parse_join(Command(1, "join", {"ticket": "t", "epoch": value, "offset": value})),
        lambda: protocol.parse_join(Command(1, "join", {"ticket": "t", "personal_offset": value})),
    ):
        with contextlib.suppress(CommandError):
            check()


def test_text_is_trimmed_and_measured_in_characters() -> None:
    assert protocol.text_parameter({"text": " " + "你" * 200 + "\n"}, "text", 1, 200) == "你" * 200
    for bad in ("", " ", "你" * 201, "\ud800"):
        with pytest.raises(CommandError):
            protocol.text_parameter({"text": bad}, "text", 1, 200)


def test_whole_numbers_are_neither_booleans_nor_floats() -> None:
    assert protocol.integer_parameter({"n": 50}, "n", 1, 50) == 50
    for bad in (True, 1.0, "1", None, math.inf, 0, 51):
        with pytest.raises(CommandError):
            protocol.integer_parameter({"n": bad}, "n", 1, 50)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 100_000])
@pytest.mark.parametrize("text", [False, True])
def test_a_frame_is_what_the_websockets_library_would_read(size: int, text: bool) -> None:
    payload = b"x" * size
    ours = protocol.frame(payload, text=text)
    opcode = Opcode.TEXT if text else Opcode.BINARY
    assert ours == Frame(opcode, payload).serialize(mask=False)
    reader = StreamReader()
    reader.feed_data(ours)
    parsing = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    assert parsed.value.value.data == payload


@given(st.lists(ANYTHING, max_size=20), st.dictionaries(st.text(max_size=8), ANYTHING, max_size=20))
def test_packed_parts_make_the_same_tick_as_packing_the_whole(
    events: list[object], values: dict[str, object]
) -> None:
    tick = protocol.encode_tick(
        5, "e", 7, [protocol.pack(e) for e in events], [(k, protocol.pack(v)) for k, v in values.items()]
    )
    assert tick == protocol.pack([1, 5, "e", 7, events, values])


@given(
    st.booleans(),
    st.lists(ANYTHING, max_size=20),
    st.dictionaries(st.text(max_size=8), ANYTHING, max_size=20),
    st.integers(0, 2**53),
)
def test_packed_parts_make_the_same_joined_as_packing_the_whole(
    recovered: bool, events: list[object], values: dict[str, object], offset: int
) -> None:
    tail = protocol.encode_joined_tail(
        "e",
        offset,
        recovered,
        3,
        [protocol.pack(e) for e in events],
        [(k, protocol.pack(v)) for k, v in values.items()],
    )
    message = protocol.encode_joined(
        tail, room_id="r", viewer_id="v", server_time_ms=9, personal_offset=4, mode={"chat": "full"}
    )
    assert message == protocol.pack(
        [
            4,
            {
                "room_id": "r",
                "viewer_id": "v",
                "server_time_ms": 9,
                "personal_offset": 4,
                "mode": {"chat": "full"},
                "epoch": "e",
                "offset": offset,
                "recovered": recovered,
                "first_offset": 3,
                "limits": protocol.LIMITS,
                "events": events,
                "values": values,
            },
        ]
    )


def test_a_personal_message_is_its_number_type_and_data() -> None:
    packed = protocol.pack(["order", {"order_id": "or_1"}])
    message = protocol.encode_personal(1_795_000_000_000, packed)
    assert protocol.unpack(message) == [3, 1_795_000_000_000, "order", {"order_id": "or_1"}]
    assert json.loads(protocol.as_json(message)) == [3, 1_795_000_000_000, "order", {"order_id": "or_1"}]
