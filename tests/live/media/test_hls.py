"""HLS over real HTTP from a real publisher: what a player and a cache between may rely on."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from time import time

import av
import httpx
import pytest

from live.media.feed import Fragment, Init
from live.media.hls import IDLE_S, SEGMENTS_KEPT, SEGMENTS_LISTED, HlsRoom
from tests.live.media.peers import MediaServer, publisher
from tests.services import wait_until

LIVE = "/hls/rm_1/live.m3u8"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[MediaServer]:
    async with MediaServer(tmp_path).running() as running:
        yield running


@pytest.fixture
async def http(server: MediaServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
        yield client


def names(playlist: str) -> list[str]:
    """The files of whole segments."""
    return [line for line in playlist.splitlines() if line and not line.startswith("#")]


def tag(playlist: str, name: str) -> str:
    return next(line.split(":", 1)[1] for line in playlist.splitlines() if line.startswith(f"#{name}:"))


def last_part(playlist: str) -> tuple[int, int]:
    """Segment and part that come next."""
    found = re.search(r'PRELOAD-HINT:TYPE=PART,URI="[0-9a-f]+-(\d+)\.(\d+)\.mp4"', playlist)
    assert found is not None
    return int(found[1]), int(found[2])


async def test_a_playlist_leads_to_segments_that_play_and_may_be_kept_for_ever(
    server: MediaServer, http: httpx.AsyncClient
) -> None:
    async with publisher(server, codec="H264"):
        await wait_until(lambda: server.sessions.is_on_air("rm_1"))
        answer = await http.get(LIVE)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/vnd.apple.mpegurl")
        assert answer.headers["cache-control"] == "public, max-age=1"
        assert answer.headers["access-control-allow-origin"] == "*"
        playlist = answer.text
        while len(names(playlist)) < 2:
            number, part = last_part(playlist)
            answer = await http.get(LIVE, params={"_HLS_msn": number, "_HLS_part": part})
            assert answer.headers["cache-control"] == "public, max-age=4"
            playlist = answer.text
        first, second = names(playlist)[:2]
        init = tag(playlist, "EXT-X-MAP").split('"')[1]
        content = b""
        for name in (init, first, second):
            file = await http.get(f"/hls/rm_1/{name}")
            assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert file.headers["content-type"] == "video/mp4"
            content += file.content
        with av.open(io.BytesIO(content)) as film:
            assert sum(isinstance(frame, av.VideoFrame) for frame in film.decode()) > 50
        shown_at = datetime.fromisoformat(tag(playlist, "EXT-X-PROGRAM-DATE-TIME")).timestamp()
        assert 0 < time() - shown_at < 20
        head = await http.head(LIVE)
        assert (head.status_code, head.content) == (200, b"")


async def test_an_index_says_what_a_player_must_be_able_to_play(
    server: MediaServer, http: httpx.AsyncClient
) -> None:
    async with publisher(server, codec="H264"):
        await wait_until(lambda: server.sessions.is_on_air("rm_1"))
        answer = await http.get("/hls/rm_1/index.m3u8")
    assert answer.headers["cache-control"] == "public, max-age=1"
    assert re.search(
        r'CODECS="avc1\.42[0-9a-f]{4},mp4a\.40\.2",RESOLUTION=160x120\nlive\.m3u8\n', answer.text
    )


async def test_parts_together_are_the_segment(server: MediaServer, http: httpx.AsyncClient) -> None:
    async with publisher(server, codec="H264"):
        await wait_until(lambda: server.sessions.is_on_air("rm_1"))
        playlist = (await http.get(LIVE)).text
        number, _ = last_part(playlist)
        playlist = (await http.get(LIVE, params={"_HLS_msn": number})).text
        segment = next(name for name in names(playlist) if f"-{number}.mp4" in name)
        parts = re.findall(rf'URI="([0-9a-f]+-{number}\.\d+\.mp4)"', playlist)
        assert len(parts) >= 3
        whole = b"".join([(await http.get(f"/hls/rm_1/{name}")).content for name in parts])
        assert whole == (await http.get(f"/hls/rm_1/{segment}")).content


async def test_a_playlist_waits_for_the_part_that_is_asked_for_and_so_does_the_hinted_part(
    server: MediaServer, http: httpx.AsyncClient
) -> None:
    async with publisher(server, codec="H264"):
        await wait_until(lambda: server.sessions.is_on_air("rm_1"))
        playlist = (await http.get(LIVE)).text
        number, part = last_part(playlist)
        hint = tag(playlist, "EXT-X-PRELOAD-HINT").split('"')[1]
        later, file = await asyncio.gather(
            http.get(LIVE, params={"_HLS_msn": number, "_HLS_part": part}), http.get(f"/hls/rm_1/{hint}")
        )
        assert hint in later.text.split("#EXT-X-PRELOAD-HINT")[0]
        assert file.status_code == 200
        assert file.content[4:8] == b"moof"


async def test_what_cannot_be_answered_is_refused_shortly(
    server: MediaServer, http: httpx.AsyncClient
) -> None:
    async def problem(path: str) -> tuple[int, str]:
        answer = await http.get(path)
        assert answer.headers["cache-control"] == "public, max-age=1"
        assert answer.headers["access-control-allow-origin"] == "*"
        return answer.status_code, answer.json()["code"]

    assert await problem(LIVE) == (404, "not_on_air")
    assert await problem("/hls/rm_1/0000000a-12.mp4") == (404, "not_found")
    async with publisher(server, codec="H264"):
        await wait_until(lambda: server.sessions.is_on_air("rm_1"))
        playlist = (await http.get(LIVE)).text
        number, _ = last_part(playlist)
        assert await problem(f"{LIVE}?_HLS_msn={number + 5}") == (400, "too_far_ahead")
        assert await problem(f"{LIVE}?_HLS_msn=x") == (400, "bad_query")
        assert await problem(f"{LIVE}?_HLS_part=1") == (400, "bad_query")
        run = tag(playlist, "EXT-X-MAP").split('"')[1].split("-")[0]
        assert await problem(f"/hls/rm_1/{run}-{number + 100}.mp4") == (404, "not_found")
        assert await problem(f"/hls/rm_1/{run}-secret.mp4") == (404, "not_found")


async def test_vp8_is_refused_because_browsers_do_not_play_it_in_mp4(
    server: MediaServer, http: httpx.AsyncClient
) -> None:
    async with publisher(server, codec="VP8"):
        await wait_until(lambda: server.sessions.stream("rm_1").tracks["video"].codec is not None)
        answer = await http.get(LIVE)
    assert (answer.status_code, answer.json()["code"]) == (409, "codec_not_for_hls")


async def test_a_window_ends_when_nobody_asks_any_more(server: MediaServer, http: httpx.AsyncClient) -> None:
    async with publisher(server, codec="H264"):
        await wait_until(lambda: server.sessions.is_on_air("rm_1"))
        assert (await http.get(LIVE)).status_code == 200
        stream, hls = server.sessions.stream("rm_1"), server.app.state.hls
        assert stream.listeners
        hls.by_room["rm_1"].asked_at_s -= IDLE_S
        await wait_until(lambda: not hls.by_room)
        assert not stream.listeners
        assert not server.app.state.feeds.by_room


# -- the window by itself


INIT = Init("0123456789ab", b"init", None, True)
OTHER = Init("ba9876543210", b"other", None, True)


def part(number: int, init: Init = INIT, *, breaks: bool = False) -> Fragment:
    """Every fourth one ends a segment."""
    return Fragment(
        init=init,
        content=b"%d" % number,
        at_s=number / 2,
        duration_s=0.5,
        wall_ms=number * 500,
        is_independent=number % 4 == 0,
        is_first=number % 4 == 0,
        is_last=number % 4 == 3,
        after_break=breaks,
    )


def test_the_window_is_bounded_and_its_numbers_grow() -> None:
    room = HlsRoom(0.0, 7_000)
    for number in range(400):
        room.take(part(number))
    playlist = room.playlist()
    assert playlist is not None
    assert len(names(playlist)) == SEGMENTS_LISTED
    assert tag(playlist, "EXT-X-MEDIA-SEQUENCE") == str(7 + 100 - SEGMENTS_LISTED)
    assert playlist.count("#EXT-X-PART:") == 12, "parts of the last three segments only"
    assert room.segment(7 + 100 - SEGMENTS_KEPT) == b"356357358359"
    assert room.segment(7 + 100 - SEGMENTS_KEPT - 1) is None


def test_a_break_is_marked_and_counted_when_it_has_left_the_list() -> None:
    room = HlsRoom(0.0, 7_000)
    for number in range(8):
        room.take(part(number, breaks=number == 0))
    for number in range(8, 16):
        room.take(part(number, OTHER, breaks=number == 8))
    playlist = room.playlist()
    assert playlist is not None
    assert playlist.count("#EXT-X-DISCONTINUITY\n") == 1
    assert playlist.index("#EXT-X-DISCONTINUITY\n") < playlist.index(OTHER.init_id)
    before = int(tag(playlist, "EXT-X-DISCONTINUITY-SEQUENCE"))
    for number in range(16, 16 + 4 * 40):
        room.take(part(number, OTHER))
    later = room.playlist()
    assert later is not None
    assert "#EXT-X-DISCONTINUITY\n" not in later
    assert int(tag(later, "EXT-X-DISCONTINUITY-SEQUENCE")) == before + 1


def test_a_window_begins_with_a_segment_that_needs_no_other() -> None:
    room = HlsRoom(0.0, 0)
    room.take(part(2))
    room.take(part(3))
    room.take(replace(part(0), is_independent=False))
    assert room.playlist() is None
    room.take(part(4))
    assert room.playlist() is not None
