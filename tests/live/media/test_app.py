"""WHIP (RFC 9725) and WHEP over real HTTP: what is refused, how, and that nothing piles up."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from live.media.offers import Offer
from live.media.sessions import Bounds, Session
from tests.live.media.peers import MediaServer, Peer, new_peer, publisher
from tests.services import wait_until

SDP = {"Content-Type": "application/sdp"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[MediaServer]:
    async with MediaServer(tmp_path).running() as running:
        yield running


@pytest.fixture
async def http(server: MediaServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
        yield client


async def offer(direction: str = "sendonly", kinds: tuple[str, ...] = ("audio", "video")) -> str:
    connection = new_peer()
    for kind in kinds:
        connection.addTransceiver(kind, direction)
    await connection.setLocalDescription(await connection.createOffer())
    sdp = connection.localDescription.sdp
    await connection.close()
    return sdp


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["access-control-allow-origin"] == "*"
    return response.status_code, response.json()["code"]


async def test_publishing_is_answered_with_an_address_to_end_it_at(
    server: MediaServer, http: httpx.AsyncClient
) -> None:
    headers = SDP | bearer(server.token("whip"))
    answer = await http.post("/whip/rm_1", content=await offer(), headers=headers)
    assert answer.status_code == 201
    assert answer.headers["content-type"].startswith("application/sdp")
    assert answer.headers["etag"].startswith('"')
    location = answer.headers["location"]
    assert location.startswith("/whip/rm_1/sessions/")
    assert (await http.delete(location, headers=headers)).status_code == 200
    assert problem(await http.delete(location, headers=headers)) == (404, "no_such_session")
    assert not server.sessions.by_id


async def test_a_page_of_any_origin_may_ask_first(http: httpx.AsyncClient) -> None:
    answer = await http.options("/whep/rm_1", headers={"Origin": "https://a.example"})
    assert answer.status_code == 204
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Authorization" in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
async def test_other_methods_are_not_allowed(http: httpx.AsyncClient, method: str) -> None:
    answer = await http.request(method, "/whip/rm_1")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


async def test_a_token_opens_its_room_and_purpose_only(server: MediaServer, http: httpx.AsyncClient) -> None:
    sdp = await offer()
    cases = [
        ({}, "token_required"),
        ({"Authorization": "Basic abc"}, "token_required"),
        (bearer("nonsense"), "bad_token"),
        (bearer(server.token("whep")), "bad_token"),
        (bearer(server.token("whip", "rm_2")), "bad_token"),
    ]
    for headers, code in cases:
        answer = await http.post("/whip/rm_1", content=sdp, headers=SDP | headers)
        assert problem(answer) == (401, code)
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert not server.sessions.by_id


async def bad_offers() -> dict[str, tuple[bytes, int]]:
    good = await offer()
    return {
        "nothing": (b"", 400),
        "not text": (b"\xff\xfe\x00", 400),
        "json": (b'{"sdp": 1}', 400),
        "half a line": (b"v=0\r\nm=", 400),
        "bad port": (re.sub(r"m=audio \d+", "m=audio nine", good).encode(), 400),
        "too large": (b"v=0\r\n" + b"a=x\r\n" * 20_000, 413),
        "a long line": (b"v=0\r\na=" + b"x" * 10_000, 400),
        "no media": (b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", 422),
        "wants to receive": ((await offer("recvonly")).encode(), 422),
        "no fingerprint": (
            "\r\n".join(x for x in good.split("\r\n") if "fingerprint" not in x).encode(),
            422,
        ),
        "no credentials": ("\r\n".join(x for x in good.split("\r\n") if "ice-" not in x).encode(), 422),
        "no bundle": ("\r\n".join(x for x in good.split("\r\n") if "BUNDLE" not in x).encode(), 422),
        "no codec of ours": (good.replace("opus/48000", "speex/48000").encode(), 422),
        "two videos": ((await offer(kinds=("video", "video"))).encode(), 422),
    }


async def test_a_bad_offer_is_refused_and_leaves_nothing(
    server: MediaServer, http: httpx.AsyncClient
) -> None:
    headers = SDP | bearer(server.token("whip"))
    found: dict[str, int] = {}
    expected: dict[str, int] = {}
    for name, (body, status) in (await bad_offers()).items():
        found[name] = problem(await http.post("/whip/rm_1", content=body, headers=headers))[0]
        expected[name] = status
    assert found == expected
    assert not server.sessions.by_id


async def test_another_content_type_is_refused(server: MediaServer, http: httpx.AsyncClient) -> None:
    answer = await http.post(
        "/whip/rm_1",
        content=await offer(),
        headers=bearer(server.token("whip")) | {"Content-Type": "text/plain"},
    )
    assert problem(answer) == (415, "wrong_content_type")


async def test_there_is_nothing_to_watch_before_somebody_publishes(
    server: MediaServer, http: httpx.AsyncClient
) -> None:
    answer = await http.post(
        "/whep/rm_1", content=await offer("recvonly"), headers=SDP | bearer(server.token("whep"))
    )
    assert problem(answer) == (409, "not_on_air")
    assert answer.headers["retry-after"]


async def test_candidates_are_taken_and_a_restart_is_told_to_begin_anew(
    server: MediaServer, http: httpx.AsyncClient
) -> None:
    headers = bearer(server.token("whip"))
    sdp = await offer()
    answer = await http.post("/whip/rm_1", content=sdp, headers=SDP | headers)
    location, etag = answer.headers["location"], answer.headers["etag"]
    user = next(line for line in sdp.split("\r\n") if line.startswith("a=ice-ufrag:"))
    fragment = f"{user}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\n"

    async def patch(body: str, **more: str) -> httpx.Response:
        typed = {"Content-Type": "application/trickle-ice-sdpfrag"}
        return await http.patch(location, content=body, headers=headers | typed | more)

    assert (await patch(fragment, **{"If-Match": etag})).status_code == 204
    assert problem(await patch(fragment)) == (428, "etag_required")
    assert problem(await patch(fragment, **{"If-Match": '"older"'})) == (412, "wrong_etag")
    assert problem(await patch(fragment, **{"If-Match": "*"})) == (400, "no_new_credentials")
    renewed = f"a=ice-ufrag:another1\r\na=ice-pwd:{'p' * 24}\r\n"
    assert problem(await patch(renewed, **{"If-Match": "*"})) == (422, "no_ice_restart"), "it never connected"
    assert problem(await patch("a=ice-ufrag:x\r\n", **{"If-Match": "*"})) == (400, "malformed_fragment")
    assert problem(await patch("rubbish", **{"If-Match": etag})) == (400, "malformed_fragment")
    session = next(iter(server.sessions.by_id.values()))
    ice = session.connection.getTransceivers()[0].receiver.transport.transport
    assert not ice.getRemoteCandidates(), "no packet goes to an address because somebody wrote it in a text"


async def test_another_viewer_cannot_end_my_session(server: MediaServer, http: httpx.AsyncClient) -> None:
    mine, other = server.token("whip"), server.token("whip", subject="us_2")
    answer = await http.post("/whip/rm_1", content=await offer(), headers=SDP | bearer(mine))
    refused = await http.delete(answer.headers["location"], headers=bearer(other))
    assert problem(refused) == (403, "not_your_session")
    assert len(server.sessions.by_id) == 1


async def test_the_same_host_takes_over_from_another_device_and_nobody_else_does(server: MediaServer) -> None:
    async with publisher(server, subject="us_1") as first:
        stream = server.sessions.stream("rm_1")
        await wait_until(lambda: stream.is_publishing)
        stranger = Peer(server, new_peer())
        stranger.connection.addTransceiver("video", "sendonly")
        with pytest.raises(AssertionError, match="somebody_publishes"):
            await stranger.begin("whip", subject="us_2")
        await stranger.connection.close()
        async with publisher(server, subject="us_1"):
            await wait_until(lambda: len(server.sessions.by_id) == 1)
            before = stream.tracks["video"].packets
            await wait_until(lambda: stream.tracks["video"].packets > before)
            async with httpx.AsyncClient(base_url=server.url) as http:
                answer = await http.delete(first.location, headers=bearer(first.token))
            assert problem(answer) == (410, "taken_over")


async def test_half_open_sessions_are_bounded_and_reaped(tmp_path: Path) -> None:
    bounds = Bounds(half_open=5, per_subject=1000, connect_s=1.5)
    async with MediaServer(tmp_path, bounds).running() as server:
        sdp = await offer()
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as http:

            async def knock(number: int) -> int:
                room = f"rm_{number}"
                headers = SDP | bearer(server.token("whip", room, f"us_{number}"))
                return (await http.post(f"/whip/{room}", content=sdp, headers=headers)).status_code

            answers = await asyncio.gather(*(knock(number) for number in range(40)))
            assert set(answers) == {201, 503}
            assert answers.count(201) == 5
            assert len(server.sessions.by_id) <= 5
            await wait_until(lambda: not server.sessions.by_id)
            assert server.sessions.reaped == 5
            assert await knock(99) == 201


async def test_a_room_is_not_forgotten_while_its_host_s_offer_is_answered(
    server: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine an answer takes longer than a tick; the host would publish into a stream that nobody finds."""
    answer = Session.answer_publisher

    async def slowly(session: Session, given: Offer) -> None:
        server.sessions.tick()
        await answer(session, given)

    monkeypatch.setattr(Session, "answer_publisher", slowly)
    async with publisher(server):
        [session] = server.sessions.by_id.values()
        assert server.sessions.stream("rm_1").source is session


async def test_numbers_are_there_for_prometheus(server: MediaServer, http: httpx.AsyncClient) -> None:
    await http.post("/whip/rm_1", content="", headers=SDP | bearer(server.token("whip")))
    text = (await http.get("/metrics")).text
    assert 'flashroom_media_refused_total{code="malformed_sdp"} 1.0' in text
    assert 'flashroom_media_sessions{protocol="whep",state="connected"} 0.0' in text
    healthy: dict[str, Any] = (await http.get("/healthz")).json()
    assert healthy == {"status": "ok"}
