"""Captions: one call shows a line to everybody, the newest only, and says nothing into the history."""

from __future__ import annotations

from typing import Any

from live.api import captions
from live.limits import Limits
from tests.live.api.test_rooms import events
from tests.live.conftest import Shop


async def shown(shop: Shop) -> dict[str, Any]:
    value: dict[str, Any] = (await shop.wiring.broker.values(shop.room_id))["captions"][1]
    return value


async def test_a_line_is_a_value_for_a_while_and_the_next_replaces_it(shop: Shop) -> None:
    moderator = await shop.staff("moderator")
    path = f"/api/rooms/{shop.room_id}/captions"
    said = await moderator.post(path, {"text": " Thirty left 还有三十件 ", "language": "zh-Hans"})
    assert said.status_code == 204
    first = await shown(shop)
    assert (first["text"], first["language"]) == ("Thirty left 还有三十件", "zh-Hans")
    assert first["until_ms"] == first["at_ms"] + captions.SHOWN_MS
    await moderator.post(path, {"text": ""})
    assert (await shown(shop))["text"] == ""
    assert await events(shop) == []


async def test_a_line_is_bounded_in_length_language_and_rate(shop: Shop) -> None:
    moderator, guest = await shop.staff("moderator"), await shop.guest()
    path = f"/api/rooms/{shop.room_id}/captions"
    await shop.wiring.redis.delete("flashroom:limit:captions:us_moderator")
    assert (await guest.post(path, {"text": "hello"})).status_code == 401
    for bad in ({"text": "x" * 201}, {"text": "a\u0000b"}, {"text": "hi", "language": "x"}, {}):
        assert (await moderator.post(path, bad)).json()["code"] == "bad_fields"
    limits: Limits = shop.app.state.limits
    for _ in range(captions.CAPTIONS.allowed - 4):
        await limits.take(captions.CAPTIONS, "us_moderator", "")
    refused = await moderator.post(path, {"text": "hello"})
    await shop.wiring.redis.delete("flashroom:limit:captions:us_moderator")  # other tests share it
    assert refused.status_code == 429
