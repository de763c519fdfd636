"""A comment that stays on top: only one that was said, gone with its deletion, and the log knows."""

from __future__ import annotations

from typing import Any

from tests.live.conftest import Shop


async def say(shop: Shop, comment_id: str, text: str) -> None:
    comment = {
        "id": comment_id,
        "viewer_id": "gu_1",
        "name": "Ann",
        "role": "viewer",
        "text": text,
        "at_ms": 1,
    }
    await shop.wiring.broker.publish(shop.room_id, events=[("comment", comment)])


async def pinned(shop: Shop) -> Any:
    return (await shop.wiring.broker.values(shop.room_id))["chat"][1]["pinned_comment"]


async def test_a_comment_is_pinned_replaced_and_let_go(shop: Shop) -> None:
    moderator = await shop.staff("moderator")
    path = f"/api/rooms/{shop.room_id}/pinned-comment"
    await say(shop, "co_1", "Ships to Canada?")
    await say(shop, "co_2", "Yes, in three days")
    for comment_id, text in (("co_1", "Ships to Canada?"), ("co_2", "Yes, in three days")):
        assert (await moderator.call("PUT", path, {"comment_id": comment_id})).status_code == 204
        assert await pinned(shop) == {"id": comment_id, "name": "Ann", "text": text}
    assert (await moderator.call("PUT", path, {"comment_id": None})).status_code == 204
    assert await pinned(shop) is None
    log = (await moderator.get(f"/api/rooms/{shop.room_id}/audit")).json()["entries"]
    assert [one["action"] for one in log[:3]] == ["comment_unpin", "comment_pin", "comment_pin"]


async def test_what_was_never_said_cannot_be_pinned_and_a_deleted_comment_is_not_on_top(shop: Shop) -> None:
    moderator = await shop.staff("moderator")
    path = f"/api/rooms/{shop.room_id}"
    unknown = await moderator.call("PUT", f"{path}/pinned-comment", {"comment_id": "co_none"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_comment")
    await say(shop, "co_1", "something unkind")
    await moderator.call("PUT", f"{path}/pinned-comment", {"comment_id": "co_1"})
    assert (await moderator.call("DELETE", f"{path}/comments/co_1")).status_code == 204
    assert await pinned(shop) is None
