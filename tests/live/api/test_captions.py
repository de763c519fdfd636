"""Captions: one call shows a line to everybody, the newest only, and says nothing into the history."""

from __future__ import annotations

from typing import Any

import pytest

from live.api import captions
from live.limits import Limits
from live.media import show_captions
from tests.live.api.test_rooms import events
from tests.live.conftest import Shop
from tests.live.test_media_time import ON_AIR


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
    assert first["until_ms"] == first["at_ms"] + show_captions.SHOWN_MS
    assert "media_time_ms" not in first, "nothing is on air"
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


async def test_a_line_belongs_to_the_moment_of_the_show_in_which_it_was_spoken(shop: Shop) -> None:
    moderator = await shop.staff("moderator")
    path = f"/api/rooms/{shop.room_id}/captions"
    await moderator.post(path, {"text": "now"})
    now_ms = (await shown(shop))["at_ms"]
    zero_ms = now_ms - 60_000
    await shop.wiring.broker.publish(shop.room_id, values={"media": (1, {**ON_AIR, "zero_ms": zero_ms})})
    await moderator.post(path, {"text": "two seconds ago", "delay_ms": 2_000})
    late = await shown(shop)
    assert late["until_ms"] - late["at_ms"] == 2_000 + show_captions.SHOWN_MS
    assert late["media_time_ms"] == late["at_ms"] - zero_ms
    await moderator.post(path, {"text": "at that moment", "spoken_at_ms": now_ms - 3_000})
    assert (await shown(shop))["at_ms"] == now_ms - 3_000
    await moderator.post(path, {"text": "by a clock that is ahead", "spoken_at_ms": now_ms + 900})
    said = await shown(shop)
    assert said["at_ms"] <= said["until_ms"] - show_captions.SHOWN_MS, "nothing is spoken in the future"
    assert await events(shop) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"delay_ms": -1}, "bad_fields"),
        ({"delay_ms": 15_001}, "bad_fields"),
        ({"delay_ms": 1.5}, "bad_fields"),
        ({"delay_ms": 1, "spoken_at_ms": 1}, "bad_fields"),
        ({"spoken_at_ms": 1}, "bad_spoken_at"),
        ({"spoken_at_ms": 9_000_000_000_000}, "bad_spoken_at"),
    ],
)
async def test_a_moment_that_cannot_be_is_refused(shop: Shop, body: dict[str, Any], code: str) -> None:
    moderator = await shop.staff("moderator")
    answer = await moderator.post(f"/api/rooms/{shop.room_id}/captions", {"text": "hello", **body})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert "captions" not in await shop.wiring.broker.values(shop.room_id)


async def test_lines_are_left_for_the_film_only_while_one_is_made(shop: Shop) -> None:
    moderator = await shop.staff("moderator")
    path = f"/api/rooms/{shop.room_id}/captions"
    for version, recording in ((1, "off"), (2, "on"), (3, "no_space")):
        media = {**ON_AIR, "recording": recording}
        await shop.wiring.broker.publish(shop.room_id, values={"media": (version, media)})
        await moderator.post(path, {"text": f"recording {recording}", "language": "en", "delay_ms": 500})
    [(_, line)] = await show_captions.after(shop.wiring.redis, shop.room_id, None)
    assert (line["text"], line["language"]) == ("recording on", "en")
    assert await events(shop) == []
