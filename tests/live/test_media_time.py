"""Cues say which moment of the picture they belong to."""

from __future__ import annotations

from typing import Any

import pytest

from live.media_time import media_time_ms
from tests.live.conftest import Shop
from tests.live.test_projector import events_of, relay

ON_AIR = {"publishing": True, "since_ms": 1_000, "zero_ms": 1_000}


@pytest.mark.parametrize(
    ("media", "at_ms", "expected"),
    [
        (ON_AIR, 3_500, 2_500),
        (ON_AIR, 999, None),
        ({**ON_AIR, "publishing": False}, 3_500, None),
        ({"publishing": True}, 3_500, None),
        (None, 3_500, None),
    ],
)
def test_media_time_counts_from_the_picture_s_beginning(
    media: dict[str, Any] | None, at_ms: int, expected: int | None
) -> None:
    assert media_time_ms(media, at_ms) == expected


async def test_pins_announcements_and_sales_carry_the_media_time_while_a_picture_is_on_air(
    shop: Shop,
) -> None:
    host = await shop.staff("host")
    base = f"/api/rooms/{shop.room_id}"
    await host.call("PUT", f"{base}/pin", {"product_id": "pr_lamp"})
    zero_ms = (await events_of(shop))[0][1]["at_ms"] - 5_000
    await shop.wiring.broker.publish(shop.room_id, values={"media": (1, {**ON_AIR, "zero_ms": zero_ms})})
    await host.call("PUT", f"{base}/pin", {"product_id": "pr_mug"})
    await host.post(f"{base}/announcements", {"text": "Opens at nine"})
    await shop.open_sale(host)
    await relay(shop)
    before, *told = [data for kind, data in await events_of(shop) if kind in ("pin", "announcement", "sale")]
    assert "media_time_ms" not in before
    assert len(told) >= 4
    assert [data["media_time_ms"] for data in told] == [data["at_ms"] - zero_ms for data in told]
