from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.protocol import State
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

from realtime import handshake
from realtime.handshake import Handshake

ORIGINS = ("https://shop.example", "http://127.0.0.1:8000")
HEADERS = {
    "Host": "shop.example",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Origin": "https://shop.example",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0",
    "Cookie": "a=b; c=d",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "flashroom.v1.msgpack",
    "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
}


def head(changes: dict[str, str | None] | None = None, start: str = "GET /v1 HTTP/1.1") -> bytes:
    headers = HEADERS | (changes or {})
    lines = [start, *(f"{name}: {value}" for name, value in headers.items() if value is not None)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def plain(path: str) -> tuple[int, str] | None:
    return None if path == "/v1" else (404, "nothing here\n")


def careful(data: bytes) -> Handshake:
    return handshake._careful(data, ORIGINS, plain)


def essence(answer: Handshake) -> tuple[bool, bool, tuple[str, ...], bytes, set[bytes]]:
    """All that matters of an answer: the careful one also says the date."""
    status, *lines = answer.response.split(b"\r\n")
    kept = {line for line in lines if not line.startswith(b"Date:")} if answer.accepted else set()
    return answer.accepted, answer.is_json, tuple(answer.forwarded_for), status, kept


def test_an_ordinary_browser_takes_the_fast_path_and_gets_the_same_answer() -> None:
    fast = handshake._fast(head(), ORIGINS)
    assert fast is not None
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in fast.response  # RFC 6455 section 1.3
    assert essence(fast) == essence(careful(head()))


@pytest.mark.parametrize(
    "changes",
    [
        {"Sec-WebSocket-Protocol": "flashroom.v1.json, flashroom.v1.msgpack"},
        {"Sec-WebSocket-Protocol": "flashroom.v1.json"},
        {"Connection": "keep-alive, Upgrade"},
        {"Upgrade": "WebSocket"},
        {"Origin": None},
        {"X-Forwarded-For": "203.0.113.9, 198.51.100.2"},
    ],
)
def test_variants_that_take_the_fast_path_are_answered_alike(changes: dict[str, str | None]) -> None:
    fast = handshake._fast(head(changes), ORIGINS)
    assert fast is not None
    assert essence(fast) == essence(careful(head(changes)))


STARTS = [
    *["GET /v1 HTTP/1.1"] * 4,
    "GET /v1?a=b HTTP/1.1",
    "POST /v1 HTTP/1.1",
    "GET /v1 HTTP/1.0",
    "GET / HTTP/1.1",
]
CHANGES = st.dictionaries(
    st.sampled_from(
        [*HEADERS, "X-Forwarded-For", "Content-Length", "Transfer-Encoding", "connection", "Bad Name"]
    ),
    st.one_of(
        st.none(),
        st.sampled_from(
            [
                "",
                "websocket",
                "Upgrade",
                "upgrade, keep-alive",
                "close",
                "13",
                "8",
                "flashroom.v1.json",
                "flashroom.v1.msgpack,flashroom.v1.json",
                "flashroom.v1.msgpack, ,",
                'flashroom.v1.msgpack, "x"',
                "chat",
                "AAAAAAAAAAAAAAAAAAAAAA==",
                "AAAAAAAAAAAAAAAAAAAAAA==x",
                "!!!!!!!!!!!!!!!!!!!!!!==",
                "https://shop.example",
                "https://shop.example.evil",
                "null",
                "5",
                "\xe9",
                "a\x00b",
                " a\tb ",
            ]
        ),
    ),
    max_size=4,
)


@given(CHANGES, st.sampled_from(STARTS))
def test_the_fast_path_never_differs_from_the_careful_one(changes: dict[str, str | None], start: str) -> None:
    data = head(changes, start)
    fast = handshake._fast(data, ORIGINS)
    if fast is not None:
        assert essence(fast) == essence(careful(data))
    assert essence(handshake.answer(data, ORIGINS, plain)) == essence(careful(data))


@given(
    st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda t: head({"X": None}) + t.encode()))
)
def test_no_bytes_crash_a_handshake(data: bytes) -> None:
    answer = handshake.answer(data + b"\r\n\r\n", ORIGINS, plain)
    assert answer.response.startswith(b"HTTP/1.1 ")


def test_a_broken_frame_behind_a_refused_request_is_not_looked_at() -> None:
    answer = handshake.answer(head({"Sec-WebSocket-Key": None}) + b"\xff" * 40, ORIGINS, plain)
    assert not answer.accepted
    assert answer.response.startswith(b"HTTP/1.1 4")


def test_the_websockets_client_accepts_our_answer() -> None:
    client = ClientProtocol(
        parse_uri("ws://shop.example/v1"),
        origin=Origin("https://shop.example"),
        subprotocols=[Subprotocol("flashroom.v1.msgpack")],
    )
    client.send_request(client.connect())
    (request,) = client.data_to_send()
    client.receive_data(handshake.answer(request, ORIGINS, plain).response)
    assert client.state is State.OPEN
    assert client.subprotocol == "flashroom.v1.msgpack"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-WebSocket-Protocol": "chat"}, 400),
        ({"Sec-WebSocket-Protocol": None}, 400),
        ({"Sec-WebSocket-Key": "short"}, 400),
        ({"Upgrade": None}, 426),
    ],
)
def test_what_is_refused_is_refused_with_a_reason(changes: dict[str, str | None], status: int) -> None:
    answer = handshake.answer(head(changes), ORIGINS, plain)
    assert not answer.accepted
    assert re.match(rb"HTTP/1.1 %d " % status, answer.response)
