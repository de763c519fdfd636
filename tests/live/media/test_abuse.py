"""Offers made to hurt, tokens for something else, and crowds at the door: all answered, with the right code, and nothing piles up."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from live.media import app as media_app
from live.media.offers import MAX_CODECS, MAX_LINES, read_offer
from live.media.sessions import Bounds
from live.problems import HttpProblem
from tests.live.media.peers import MediaServer, publisher, watcher
from tests.live.media.test_app import SDP, bearer, offer, problem
from tests.services import wait_until

FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[MediaServer]:
    async with MediaServer(tmp_path, Bounds(close_s=1)).running() as running:
        yield running


@pytest.fixture
async def http(server: MediaServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        yield client


# -- offers


def mutated(rng: random.Random, good: str) -> bytes:
    """The offer with a few of the mistakes that programs and people make."""
    lines = good.split("\r\n")
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        match rng.randrange(6):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[rng.randrange(len(lines))])
            case 2:
                lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]
            case 3:
                lines[at] = lines[at].replace(" ", "", 1)
            case 4:
                lines[at] = "".join(rng.choice("9-:/ x\x00é") if c.isdigit() else c for c in lines[at])
            case _:
                rng.shuffle(lines)
        if not lines:
            break
    return "\r\n".join(lines).encode()


async def test_broken_offers_get_an_answer_that_is_not_a_fault_of_ours(
    server: MediaServer, http: httpx.AsyncClient
) -> None:
    rng = random.Random(7)
    good = await offer()
    headers = SDP | bearer(server.token("whip"))
    answers: Counter[int] = Counter()
    for _ in range(80):
        answer = await http.post("/whip/rm_1", content=mutated(rng, good), headers=headers)
        answers[answer.status_code] += 1
        if answer.status_code == 201:
            await http.delete(answer.headers["location"], headers=headers)
    assert set(answers) <= {201, 400, 422}, answers
    assert answers[400] >= 3
    assert answers[422] >= 3
    assert not server.sessions.by_id


def hurtful(good: str) -> dict[str, str]:
    """Within 64 KB, yet far more work than any real offer."""
    tail = {
        "codecs times feedback": "a=rtpmap:97 x/1\r\na=rtcp-fb:* a\r\n" * 1600,
        "codecs": "a=rtpmap:97 x/1\r\n" * (MAX_CODECS + 1),
        "sources": "".join(f"a=ssrc:{number} a:\r\n" for number in range(2500)),
        "lines": "a=x\r\n" * MAX_LINES,
    }
    return {name: good + lines for name, lines in tail.items()}


async def test_an_offer_that_would_keep_the_process_busy_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def parse(_: str) -> None:
        raise AssertionError("parsed")

    good = await offer()
    monkeypatch.setattr("live.media.offers.SessionDescription.parse", parse)
    for name, sdp in hurtful(good).items():
        with pytest.raises(HttpProblem) as refused:
            read_offer(sdp.encode(), publishing=True)
        assert (refused.value.status, refused.value.code) == (422, "unusable_offer"), name


async def test_an_offer_of_many_megabytes_is_cut_off_as_it_comes(server: MediaServer) -> None:
    """Nothing says how long it will be, and most of it is never read."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 200 << 20:
            sent += 1 << 16
            yield b"a" * (1 << 16)

    async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:
        headers = SDP | bearer(server.token("whip"))
        try:
            answer = await http.post("/whip/rm_1", content=endless(), headers=headers)
            assert problem(answer) == (413, "sdp_too_large")
        except (httpx.NetworkError, httpx.RemoteProtocolError):
            pass  # hung up on a client that does not listen while it writes
    assert sent < 50 << 20, "the server has read on and on"
    assert not server.sessions.by_id


async def test_an_offer_sent_drop_by_drop_does_not_keep_its_connection(
    server: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_app, "BODY_WITHIN_S", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    token = server.token("whip")
    writer.write(
        f"POST /whip/rm_1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: application/sdp\r\nContent-Length: 1000\r\n\r\nv=0\r\n".encode()
    )
    async with asyncio.timeout(10):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"body_too_slow" in answer
    writer.close()


# -- tokens and content types, for every call


async def test_every_call_wants_its_own_token_and_content_type(
    server: MediaServer, http: httpx.AsyncClient
) -> None:
    sdp = await offer()
    whip, whep = server.token("whip"), server.token("whep")
    begun = await http.post("/whip/rm_1", content=sdp, headers=SDP | bearer(whip))
    path, match = begun.headers["location"], {"If-Match": begun.headers["etag"]}
    elsewhere = path.replace("rm_1", "rm_2")
    cases: list[tuple[str, str, dict[str, str], int, str]] = [
        ("POST", "/whep/rm_1", SDP, 401, "token_required"),
        ("POST", "/whep/rm_1", SDP | bearer(whip), 401, "bad_token"),
        ("POST", "/whip/rm_2", SDP | bearer(whip), 401, "bad_token"),
        ("POST", "/whip/rm_1", SDP | bearer(whip + "x"), 401, "bad_token"),
        ("POST", "/whip/rm_1", SDP | bearer("x" * 5000), 401, "bad_token"),
        ("POST", "/whip/rm_1", bearer(whip), 415, "wrong_content_type"),
        ("POST", "/whip/rm_1", FRAGMENT | bearer(whip), 415, "wrong_content_type"),
        ("PATCH", path, FRAGMENT | match, 401, "token_required"),
        ("PATCH", path, FRAGMENT | match | bearer(whep), 401, "bad_token"),
        ("PATCH", path, SDP | match | bearer(whip), 415, "wrong_content_type"),
        ("DELETE", path, {}, 401, "token_required"),
        ("DELETE", path, bearer(whep), 401, "bad_token"),
        ("DELETE", elsewhere, bearer(whip), 401, "bad_token"),
        ("DELETE", path + "x", bearer(whip), 404, "no_such_session"),
        ("POST", "/whup/rm_1", SDP | bearer(whip), 404, "not_found"),
    ]
    found = []
    for method, url, headers, _, _ in cases:
        found.append(problem(await http.request(method, url, content=sdp, headers=headers)))
    assert found == [(status, code) for *_, status, code in cases]
    assert len(server.sessions.by_id) == 1, "and nobody has ended or begun a session"


# -- crowds


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_thousand_half_open_sessions_are_bounded_answered_and_reaped_while_viewers_watch_on(
    tmp_path: Path,
) -> None:
    bounds = Bounds(half_open=50, connect_s=600.0)
    async with MediaServer(tmp_path, bounds).running() as server, publisher(server):
        await wait_until(lambda: server.sessions.is_on_air("rm_1"))
        async with watcher(server, subject="gu_good") as good:
            await wait_until(lambda: good.frames >= 1, 10, "a picture")
            files, shown = open_files(), good.frames
            answers = await knock(server, await offer("recvonly"), 1000)
            assert answers == {201: 50, 503: 950}
            assert len(server.sessions.by_id) == 52
            server.sessions.bounds = replace(bounds, connect_s=1.0)
            await wait_until(lambda: len(server.sessions.by_id) == 2, 10, "the half-open to be reaped")
            assert server.sessions.reaped == 50
            await wait_until(lambda: open_files() <= files + 10, 10, "their sockets to be closed")
            assert good.frames > shown, "who watches goes on watching"
            async with watcher(server, subject="gu_late") as late:
                await wait_until(lambda: late.frames >= 1, 10, "the next viewer's picture")


async def knock(server: MediaServer, sdp: str, count: int) -> Counter[int]:
    """So many different viewers who ask, and never come."""
    answers: Counter[int] = Counter()
    numbers = iter(range(count))
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:

        async def one_after_another() -> None:
            for number in numbers:
                headers = SDP | bearer(server.token("whep", subject=f"gu_{number}"))
                answer = await http.post("/whep/rm_1", content=sdp, headers=headers)
                answers[answer.status_code] += 1
                if answer.status_code == 503:
                    assert problem(answer) == (503, "media_busy")
                    assert answer.headers["retry-after"]

        await asyncio.gather(*(one_after_another() for _ in range(40)))
    return answers


async def test_one_viewer_holds_a_handful_of_sessions_and_no_more(
    server: MediaServer, http: httpx.AsyncClient
) -> None:
    sdp = await offer()
    headers = SDP | bearer(server.token("whip"))
    for _ in range(12):
        assert (await http.post("/whip/rm_1", content=sdp, headers=headers)).status_code == 201
    assert len(server.sessions.by_id) <= server.sessions.bounds.per_subject
