"""Rooms, pins, announcements, numbers, moderation: what the host does and viewers see."""

from __future__ import annotations

from typing import Any

from realtime import delays
from tests.live.conftest import Shop


async def events(shop: Shop) -> list[tuple[str, dict[str, Any]]]:
    return [event for _, event in await shop.wiring.broker.history(shop.room_id, 0, 100)]


async def actions(shop: Shop) -> list[str]:
    host = await shop.staff("host")
    found = (await host.get(f"/api/rooms/{shop.room_id}/audit")).json()["entries"]
    return [entry["action"] for entry in reversed(found)]


async def test_a_pin_is_an_event_a_value_and_a_line_in_the_log(shop: Shop) -> None:
    seller = await shop.staff("seller")
    path = f"/api/rooms/{shop.room_id}/pin"
    assert (await seller.call("PUT", path, {"product_id": "pr_mug"})).status_code == 200
    assert (await events(shop))[0][0] == "pin"
    assert (await shop.wiring.broker.values(shop.room_id))["pin"][1]["product_id"] == "pr_mug"
    assert (await seller.get(f"/api/rooms/{shop.room_id}")).json()["pinned_product_id"] == "pr_mug"
    assert (await seller.call("PUT", path, {"product_id": None})).status_code == 200
    assert (await seller.get(f"/api/rooms/{shop.room_id}")).json()["pinned_product_id"] is None
    foreign = await seller.call("PUT", path, {"product_id": "pr_elsewhere"})
    assert (foreign.status_code, foreign.json()["code"]) == (409, "not_in_room")
    assert await actions(shop) == ["pin", "pin"]


async def test_going_on_air_sets_when_the_show_started_once(shop: Shop) -> None:
    host = await shop.staff("host")
    path = f"/api/rooms/{shop.room_id}/status"
    started = (await host.post(path, {"status": "live"})).json()["started_at_ms"]
    assert started is not None
    await host.post(path, {"status": "away"})
    assert (await host.post(path, {"status": "live"})).json()["started_at_ms"] == started
    values = await shop.wiring.broker.values(shop.room_id)
    assert values["room"][1]["status"] == "live"


async def test_moderation_reaches_the_room_and_the_log(shop: Shop) -> None:
    moderator = await shop.staff("moderator")
    base = f"/api/rooms/{shop.room_id}"
    for method, path, body in (
        ("DELETE", "/comments/co_1", None),
        ("POST", "/comments/co_1/restore", {}),
        ("POST", "/mutes", {"viewer_id": "gu_x", "seconds": 60}),
        ("DELETE", "/mutes/gu_x", None),
        ("POST", "/bans", {"viewer_id": "gu_x"}),
        ("DELETE", "/bans/gu_x", None),
        ("POST", "/announcements", {"text": "Opens at nine 九点开始"}),
    ):
        answer = await moderator.call(method, base + path, body)
        assert answer.status_code == 204, (path, answer.text)
    kinds = [(kind, data.get("restored")) for kind, data in await events(shop)]
    assert kinds == [("comment_deleted", None), ("comment_deleted", True), ("announcement", None)]
    assert await actions(shop) == [
        "comment_delete",
        "comment_restore",
        "mute",
        "unmute",
        "ban",
        "unban",
        "announce",
    ]


async def test_chat_rules_are_stored_shown_and_applied(shop: Shop) -> None:
    moderator = await shop.staff("moderator")
    rules = {"slow_mode_s": 7, "review": True, "off": False, "followers_only": False}
    assert (await moderator.call("PUT", f"/api/rooms/{shop.room_id}/chat", rules)).json() == rules
    chat = (await shop.wiring.broker.values(shop.room_id))["chat"][1]
    assert {name: chat[name] for name in rules} == rules
    passes = await shop.wiring.broker.may_comment(shop.room_id, "gu_a", staff=False, now_ms=1)
    assert passes is False


async def test_a_held_comment_is_approved_once(shop: Shop) -> None:
    moderator = await shop.staff("moderator")
    comment = {
        "id": "co_held",
        "viewer_id": "gu_a",
        "name": "Ann",
        "role": "viewer",
        "text": "hello",
        "at_ms": 1,
    }
    await shop.wiring.broker.hold_comment(shop.room_id, comment)
    path = f"/api/rooms/{shop.room_id}/held-comments"
    assert [one["id"] for one in (await moderator.get(path)).json()["comments"]] == ["co_held"]
    assert (await moderator.post(f"{path}/co_held", {"approve": True})).status_code == 204
    again = await moderator.post(f"{path}/co_held", {"approve": True})
    assert (again.status_code, again.json()["code"]) == (404, "unknown_comment")
    assert [kind for kind, _ in await events(shop)] == ["comment"]
    stats = (await moderator.get(f"/api/rooms/{shop.room_id}/stats")).json()
    assert stats["comments"] == 1


async def test_a_repeated_announcement_is_said_once(shop: Shop) -> None:
    moderator = await shop.staff("moderator")
    for _ in range(2):
        await moderator.post(
            f"/api/rooms/{shop.room_id}/announcements",
            {"text": "once"},
            headers={"Idempotency-Key": "announce-1"},
        )
    assert len(await events(shop)) == 1


async def test_the_numbers_say_how_late_half_of_the_pictures_are(shop: Shop) -> None:
    host = await shop.staff("host")
    path = f"/api/rooms/{shop.room_id}/stats"
    assert (await host.get(path)).json()["delay_ms"] is None
    counts = delays.no_counts()
    for way, delay_ms in (("webrtc", 300), ("hls", 2_800), ("hls", 3_000)):
        counts[delays.place_of({"video": way, "delay_ms": delay_ms})] += 1
    await shop.wiring.broker.enter_delays(shop.room_id, "hub", counts)
    assert 2_000 <= (await host.get(path)).json()["delay_ms"] <= 3_000
