"""Following a room: once per viewer, taken back, told once per show; and a chat for those who do."""

from __future__ import annotations

from pathlib import Path

import pytest

import realtime
from commerce import crash_points
from commerce.clock import wall_clock_ms
from live import followers, rehearsals, rooms
from live.api.followers import ENDPOINTS
from live.limits import FOLLOW
from live.wiring import new_id
from live.worker import Worker
from realtime.protocol import CommandError
from tests.live.api.test_reminders import id_of, told
from tests.live.conftest import Browser, Shop


async def follow(shop: Shop, who: Browser, method: str = "PUT") -> tuple[int, str | None]:
    answer = await who.call(method, f"/api/rooms/{shop.room_id}/follow")
    return answer.status_code, answer.json()["code"] if answer.content else None


async def follows(shop: Shop, who: Browser) -> bool:
    found: bool = (await who.get(f"/api/rooms/{shop.room_id}/mine")).json()["following"]
    return found


async def counted(shop: Shop, staff: Browser) -> tuple[int, int]:
    found = (await staff.get(f"/api/rooms/{shop.room_id}/stats")).json()
    return found["followers"], found["new_followers"]


async def go(shop: Shop, host: Browser, status: str) -> None:
    assert (await host.post(f"/api/rooms/{shop.room_id}/status", {"status": status})).status_code == 200


async def comment(shop: Shop, who: Browser, *, staff: bool = False) -> str:
    """What the hub would say to a comment."""
    try:
        await shop.wiring.broker.may_comment(
            shop.room_id, await id_of(who), staff=staff, now_ms=wall_clock_ms()
        )
    except CommandError as error:
        return error.code
    return "ok"


async def test_a_viewer_follows_once_and_takes_back_and_staff_see_how_many(shop: Shop) -> None:
    ann, host = await shop.guest(), await shop.staff("host")
    assert await follow(shop, shop.browser()) == (401, "sign_in_required")
    await go(shop, host, "ended")
    for _ in range(2):
        assert await follow(shop, ann) == (204, None)
    assert (await follows(shop, ann), await follows(shop, host)) == (True, False)
    await go(shop, host, "live")
    await follow(shop, host)  # an account is a viewer, too
    async with shop.wiring.database.begin() as c:
        room = await rooms.get(c, shop.room_id)
        await followers.add(c, room, "gu_ghost", wall_clock_ms(), ghost=True)
    assert await counted(shop, await shop.staff("analyst")) == (2, 1)
    for _ in range(2):
        assert await follow(shop, ann, "DELETE") == (204, None)
    assert not await follows(shop, ann)
    assert await counted(shop, host) == (1, 1)
    unknown = await ann.call("PUT", "/api/rooms/rm_none/follow")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_room")


def test_following_has_a_limit_of_its_own() -> None:
    assert [one.limit for one in ENDPOINTS] == [FOLLOW, FOLLOW]


async def test_a_chat_for_followers_lets_them_and_staff_write_also_after_redis_was_emptied(
    shop: Shop, worker: Worker
) -> None:
    ann, bob, moderator = await shop.guest(), await shop.guest("Bob"), await shop.staff("moderator")
    path, rules = f"/api/rooms/{shop.room_id}/chat", {"followers_only": True}
    assert (await ann.call("PUT", path, rules)).status_code == 401
    assert (await (await shop.staff("analyst")).call("PUT", path, rules)).status_code == 403
    assert (await moderator.call("PUT", path, {"followers_only": "yes"})).status_code == 422
    await follow(shop, bob)
    await worker.tell_followers()
    whole = {"slow_mode_s": 0, "review": False, "off": False, "followers_only": True}
    assert (await moderator.call("PUT", path, rules)).json() == whole
    (noted,) = (await moderator.get(f"/api/rooms/{shop.room_id}/audit?q=chat_rules")).json()["entries"]
    assert (noted["before"]["followers_only"], noted["after"]) == (False, whole)
    broker = shop.wiring.broker
    assert (await broker.values(shop.room_id))["chat"][1]["followers_only"] is True
    assert [await comment(shop, one) for one in (ann, bob)] == ["followers_only", "ok"]
    assert await comment(shop, moderator, staff=True) == "ok"

    await follow(shop, ann)
    assert await comment(shop, ann) == "ok"  # at once
    await follow(shop, ann, "DELETE")
    assert await comment(shop, ann) == "followers_only"

    async for key in shop.wiring.redis.scan_iter(match=f"{{room:{shop.room_id}}}:rt:*"):
        await shop.wiring.redis.delete(key)
    await worker.publish_values()
    assert [await comment(shop, one) for one in (ann, bob)] == ["unavailable", "unavailable"]
    await worker.tell_followers()
    assert [await comment(shop, one) for one in (ann, bob)] == ["followers_only", "ok"]


async def test_followers_are_told_once_per_show_in_batches_and_not_of_one_they_are_in(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, worker: Worker
) -> None:
    monkeypatch.setattr("live.worker.LIMIT", 2)
    host = await shop.staff("host")
    await go(shop, host, "ended")
    crowd = [await shop.guest(f"Ann {n}") for n in range(3)]
    for one in crowd:
        await follow(shop, one)
    assert await worker.tell_followers() == 0
    await go(shop, host, "live")
    with crash_points.armed("followers.told"), pytest.raises(crash_points.Crashed):
        await worker.tell_followers()
    late = await shop.guest("Late")
    await follow(shop, late)
    assert [await worker.tell_followers() for _ in range(3)] == [2, 1, 0]
    messages = [await told(shop, one, "live_now") for one in crowd]
    assert [len(one) for one in messages] == [1, 1, 1]
    assert await told(shop, late, "live_now") == []
    await go(shop, host, "away")
    await go(shop, host, "live")
    assert await worker.tell_followers() == 0  # the same show
    await go(shop, host, "ended")
    await go(shop, host, "live")
    assert [await worker.tell_followers() for _ in range(3)] == [2, 2, 0]
    first, second = await told(shop, crowd[0], "live_now")
    assert first["id"] != second["id"]


async def test_a_rehearsal_has_followers_of_its_own_and_the_shows_chat_rules(shop: Shop) -> None:
    ann, moderator = await shop.guest(), await shop.staff("moderator")
    await follow(shop, ann)
    await moderator.call("PUT", f"/api/rooms/{shop.room_id}/chat", {"followers_only": True})
    async with shop.wiring.database.begin() as c:
        show = await rooms.get(c, shop.room_id)
        twin = await rehearsals.prepare(c, show, new_id, wall_clock_ms())
        assert twin.followers_only
        assert await followers.counts(c, twin.room_id, None) == (0, 0)


async def test_guests_whose_cookies_are_over_are_forgotten_accounts_are_not(
    shop: Shop, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = shop.wiring.broker
    async with shop.wiring.database.begin() as c:
        room = await rooms.get(c, shop.room_id)
        old_ms = wall_clock_ms() - followers.GUEST_KEPT_MS - 1
        for viewer_id, since_ms in (("gu_gone", old_ms), ("us_old", old_ms), ("gu_here", old_ms + 60_000)):
            await followers.add(c, room, viewer_id, since_ms, ghost=False)
            await broker.follow(shop.room_id, viewer_id)
    await worker.tidy()
    monkeypatch.setattr(followers, "PAGE", 1)
    found = [page async for page in followers.pages(shop.wiring.database, shop.room_id)]
    assert found == [["gu_here"], ["us_old"]]
    kept = await shop.wiring.redis.smembers(f"{{room:{shop.room_id}}}:rt:followers")  # type: ignore[misc]
    assert kept == {b"gu_here", b"us_old"}


def test_the_message_is_documented_field_by_field() -> None:
    document = (Path(realtime.__file__).parent / "PROTOCOL.md").read_text()
    room = rooms.Room(**dict.fromkeys(rooms.Room.__dataclass_fields__))
    assert f"`live_now` `{{{', '.join(followers.live_now(room, 3))}}}`" in document
