"""Tokens for video: who gets which, and what they open."""

from __future__ import annotations

from live.media import tokens
from live.media.places import Place
from tests.live.conftest import Shop


async def test_a_viewer_may_watch_live_and_again_and_nothing_else(shop: Shop) -> None:
    guest = await shop.guest()
    path = f"/api/rooms/{shop.room_id}/media-tokens"
    key = shop.wiring.settings.key("media")
    play = (await guest.post(path, {"purpose": "play"})).json()
    assert play["url"].endswith(f"/whep/{shop.room_id}")
    assert play["hls"].endswith(f"/hls/{shop.room_id}/index.m3u8")
    assert tokens.verify(key, play["token"], "whep", shop.room_id, 0)
    replay = (await guest.post(path, {"purpose": "replay"})).json()
    assert replay["url"].endswith(f"/recordings/{shop.room_id}")
    assert tokens.verify(key, replay["token"], "replay", shop.room_id, 0)
    for purpose in ("publish", "recordings"):
        assert (await guest.post(path, {"purpose": purpose})).status_code == 401


async def test_recordings_are_for_the_owner_only(shop: Shop) -> None:
    path = f"/api/rooms/{shop.room_id}/media-tokens"
    for role in ("moderator", "analyst", "seller", "host"):
        answer = await (await shop.staff(role)).post(path, {"purpose": "recordings"})
        assert (answer.status_code, answer.json()["code"]) == (403, "wrong_role")
    answer = await (await shop.staff("owner")).post(path, {"purpose": "recordings"})
    assert answer.status_code == 201
    key = shop.wiring.settings.key("media")
    assert tokens.verify(key, answer.json()["token"], "recordings", shop.room_id, 0)


async def test_the_address_is_of_the_process_that_carries_the_room(shop: Shop) -> None:
    owner = Place("mp_owner", 8003, "https://media2.example", "http://10.0.0.2:8003", 0, 500)
    idle = Place("mp_idle", 8002, None, "http://10.0.0.1:8002", 0, 500)
    places = shop.wiring.media_places
    await places.beat(idle, 0, {})
    await places.beat(owner, 5, {})
    await places.claim(owner.process_id, shop.room_id)
    guest = await shop.guest()
    play = (await guest.post(f"/api/rooms/{shop.room_id}/media-tokens", {"purpose": "play"})).json()
    assert play["url"] == f"https://media2.example/whep/{shop.room_id}"
    assert play["hls"] == f"https://media2.example/hls/{shop.room_id}/index.m3u8"
    for place in (owner, idle):
        await places.release(place.process_id, {}, ends=True)
