"""Compressed frames: agreed on only as RFC 7692 says, the same bytes for all, plain for what is one viewer's own."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.typing import Subprotocol

from realtime import deflate, frames
from realtime.hub import HubSettings
from realtime.protocol import MAX_COMMAND_BYTES
from tests.realtime.hubs import Wire, running_hub, ticket


@given(st.binary(max_size=5_000))
def test_what_is_compressed_is_what_comes_back(message: bytes) -> None:
    assert deflate.decompress(deflate.compress(message), 5_000) == message


@pytest.mark.parametrize(
    ("offers", "taken"),
    [
        (b"permessage-deflate", True),
        (b"permessage-deflate; client_max_window_bits", True),
        (b"permessage-deflate; client_max_window_bits=10; server_no_context_takeover", True),
        (b"permessage-deflate; server_max_window_bits=15", True),
        (b"permessage-deflate; server_max_window_bits=10", False),
        (b"permessage-deflate; server_max_window_bits=10, permessage-deflate", True),
        (b"permessage-deflate; what_is_this", False),
        (b"x-webkit-deflate-frame", False),
        (b"", False),
        (b";;,,==", False),
    ],
)
def test_an_offer_is_taken_only_when_all_of_it_can_be_kept(offers: bytes, taken: bool) -> None:
    assert deflate.accepts(offers) is taken


def masked(first: int, payload: bytes) -> bytes:
    head = bytes((first, 0x80 | 126)) + len(payload).to_bytes(2, "big")
    return head + bytes(4) + payload


def test_a_compressed_message_that_grows_too_big_or_is_nonsense_ends_the_connection() -> None:
    bomb = deflate.compress(bytes(MAX_COMMAND_BYTES + 1))
    found, _, error = frames.split(masked(0xC2, bomb), may_be_compressed=True)
    assert (found, error and error.code) == ([], frames.INVALID_DATA)
    _, _, error = frames.split(masked(0xC2, b"\xff\xff\xff\xff"), may_be_compressed=True)
    assert error is not None
    assert error.code == frames.INVALID_DATA
    _, _, error = frames.split(masked(0xC2, deflate.compress(b"hello")))
    assert error is not None
    assert error.code == frames.PROTOCOL_ERROR  # nobody agreed on it
    found, _, error = frames.split(masked(0xC2, deflate.compress(b"hello")), may_be_compressed=True)
    assert (found, error) == ([(frames.BINARY, b"hello")], None)
    _, _, error = frames.split(masked(0xC9, b"ping" * 40), may_be_compressed=True)
    assert error is not None  # a control frame is never compressed


@pytest.mark.parametrize("compression", [True, False])
async def test_who_asks_for_it_gets_the_same_room_in_fewer_bytes(redis_url: str, compression: bool) -> None:
    room_id = f"rm_{uuid.uuid4().hex[:12]}"
    async with running_hub(redis_url, HubSettings(compression=compression)) as hub:
        extensions = [ClientPerMessageDeflateFactory()]
        async with (
            connect(
                hub.url,
                subprotocols=[Subprotocol("flashroom.v1.msgpack")],
                compression=None,
                extensions=extensions,
                proxy=None,
            ) as socket,
            connect(
                hub.url,
                subprotocols=[Subprotocol("flashroom.v1.msgpack")],
                compression=None,
                proxy=None,
            ) as plain_socket,
        ):
            assert bool(socket.protocol.extensions) is compression
            small, plain = Wire(socket), Wire(plain_socket)
            for one, name in ((small, "gu_small"), (plain, "gu_plain")):
                await one.join(ticket(room_id, name))
            text = "is the serum good for dry skin? " * 20
            events = [("comment", {"id": f"co_{n}", "text": text}) for n in range(5)]
            await hub.broker.publish(room_id, events=events)
            told = []
            for one in (small, plain):
                while (message := await one.receive())[0] != 1 or not message[4]:
                    continue
                told.append(message[4])
            assert told[0] == told[1] == [list(event) for event in events]
            # What the client sends compressed is understood (this client compresses whatever it sends).
            answer = await small.ask(7, "ping", {})
            assert answer[2] is True
