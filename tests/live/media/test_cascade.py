"""A room that one media process carries, watched at another: pulled once, forwarded to all, and never on to a third."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from live.media import places, tokens
from live.media.cascade import Pulls
from realtime.broker import connect_redis
from tests.live.media.peers import MediaServer, publisher, watcher
from tests.live.media.test_app import offer
from tests.live.media.test_places import new_room, two_processes
from tests.services import wait_until


@pytest.fixture
async def pair(redis_url: str, tmp_path: Path) -> AsyncIterator[tuple[MediaServer, MediaServer]]:
    redis = connect_redis(redis_url)
    await redis.delete(*places._KEYS)
    async with AsyncExitStack() as stack:
        one, two = await two_processes(stack, tmp_path, redis_url)
        yield one, two
    await redis.aclose()


def relays(server: MediaServer) -> int:
    return sum(s.token.audience == "relay" for s in server.sessions.by_id.values())


async def test_a_room_is_pulled_once_for_all_its_viewers_and_let_go_after_the_last(
    pair: tuple[MediaServer, MediaServer],
) -> None:
    (one, two), room_id = pair, new_room()
    pulls = two.app.state.pulls
    pulls.linger_s = 0.0
    async with publisher(one, codec="H264", room_id=room_id, brightness=90):
        await wait_until(lambda: one.sessions.is_on_air(room_id))
        asked, began_s = one.sessions.stream(room_id).key_frames_asked, time.monotonic()
        async with AsyncExitStack() as stack:
            crowd = [
                await stack.enter_async_context(watcher(two, room_id=room_id, subject=f"gu_{number}"))
                for number in range(3)
            ]
            await wait_until(
                lambda: all(v.frames >= 3 and v.sounds >= 3 and abs(v.brightness - 90) <= 4 for v in crowd),
                15,
                "the picture at the other process",
            )
            assert relays(one) == 1
            most = asked + 2 + int(time.monotonic() - began_s)
            assert one.sessions.stream(room_id).key_frames_asked <= most, "one a second at most"
            assert two.sessions.stream(room_id).is_relayed
            async with httpx.AsyncClient() as http:
                await refuses_to_hand_on(http, two, room_id)
                playlist = await http.get(f"{two.url}/hls/{room_id}/index.m3u8", timeout=20)
                assert (playlist.status_code, "avc1" in playlist.text) == (200, True)
                page = (await http.get(f"{two.url}/metrics")).text
                assert 'flashroom_media_pulls{state="ready"} 1.0' in page
        two.app.state.hls.find(room_id).asked_at_s = -1000.0
        await wait_until(lambda: not pulls.by_room and relays(one) == 0, 10, "the pull to end")


async def refuses_to_hand_on(http: httpx.AsyncClient, server: MediaServer, room_id: str) -> None:
    """What was pulled is not to be pulled again: no circle, whoever asks."""
    token = server.token("relay", room_id, "another process")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    answer = await http.post(
        f"{server.url}/relay/{room_id}", content=await offer("recvonly"), headers=headers
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "not_carried_here")
    headers["Authorization"] = f"Bearer {server.token('whep', room_id)}"
    answer = await http.post(
        f"{server.url}/relay/{room_id}", content=await offer("recvonly"), headers=headers
    )
    assert answer.status_code == 401, "a viewer's token opens no relay"


async def test_viewers_stay_where_they_are_when_the_host_goes_to_another_process(
    pair: tuple[MediaServer, MediaServer],
) -> None:
    (one, two), room_id = pair, new_room()
    async with AsyncExitStack() as stack:
        async with publisher(one, room_id=room_id, brightness=60):
            await wait_until(lambda: one.sessions.is_on_air(room_id))
            viewer = await stack.enter_async_context(watcher(one, room_id=room_id))
            await wait_until(lambda: abs(viewer.brightness - 60) <= 4, 15, "the first picture")
        places_of_one, carrier = one.carrier.places, one.carrier
        assert places_of_one is not None
        found = await places_of_one.claim(carrier.process_id, room_id)
        await places_of_one.release(carrier.process_id, {room_id: found[1]})
        await two.carrier.claim(room_id)
        async with publisher(two, room_id=room_id, brightness=200) as host:
            assert host.address.startswith(two.url)
            await wait_until(
                lambda: abs(viewer.brightness - 200) <= 4, 20, "the picture from the other process"
            )
        assert viewer.connection.connectionState == "connected"


async def test_a_viewer_is_sent_to_the_carrier_when_it_can_not_be_pulled_from(
    pair: tuple[MediaServer, MediaServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    (one, two), room_id = pair, new_room()
    monkeypatch.setattr(Pulls, "token", lambda _, room: tokens.sign(b"x" * 32, relay_token(room)))
    async with publisher(one, room_id=room_id):
        await wait_until(lambda: one.sessions.is_on_air(room_id))
        async with watcher(two, room_id=room_id) as viewer:
            assert viewer.address.startswith(one.url)
            await wait_until(lambda: viewer.frames >= 1, 15, "a picture")
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"{two.url}/hls/{room_id}/live.m3u8?_HLS_msn=7")
        assert answer.status_code == 307
        assert answer.headers["location"] == f"{one.url}/hls/{room_id}/live.m3u8?_HLS_msn=7"
        assert two.app.state.pulls.failures >= 1


def relay_token(room_id: str) -> tokens.MediaToken:
    return tokens.MediaToken("relay", room_id, "nobody", 1 << 60)
