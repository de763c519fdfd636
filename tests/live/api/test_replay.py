"""Stock in step with a film: what everybody saw, bounded however long the show was."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import insert, update

from commerce.schema import sale as sale_table
from live.schema import stock_sample
from tests.live.conftest import Shop

FROM_MS = 1_795_000_000_000


async def put(shop: Shop, sale_id: str, samples: list[tuple[int, int, int, int]]) -> None:
    """Samples as (ms after the film's beginning, available, held, sold)."""
    names = ("available", "held", "sold")
    rows = [
        {"sale_id": sale_id, "at_ms": FROM_MS + at_ms, **dict(zip(names, numbers, strict=True))}
        for at_ms, *numbers in samples
    ]
    async with shop.wiring.database.begin() as c:
        await c.execute(insert(stock_sample), rows)


async def sold(shop: Shop, opened_ms: int, closed_ms: int | None) -> str:
    """A sale that was open then (ms after the film's beginning); gives its id."""
    sale_id: str = (await shop.open_sale(await shop.staff("host")))["sale_id"]
    times = {"opened_at_ms": FROM_MS + opened_ms, "closed_at_ms": closed_ms and FROM_MS + closed_ms}
    async with shop.wiring.database.begin() as c:
        await c.execute(update(sale_table).where(sale_table.c.sale_id == sale_id).values(**times))
    return sale_id


async def test_a_replay_gets_the_stock_of_its_sales_from_moment_to_moment(shop: Shop) -> None:
    sale_id = await sold(shop, -5_000, 50_000)
    path = f"/api/rooms/{shop.room_id}/replay/stock"
    span = f"{path}?from_ms={FROM_MS}&until_ms={FROM_MS + 60_000}"
    viewer = shop.browser()
    assert [track["points"] for track in (await viewer.get(span)).json()["sales"]] == [[]]
    await put(
        shop,
        sale_id,
        [(-5_000, 9, 0, 0), (-2_000, 8, 1, 0), (1_000, 7, 2, 0), (9_000, 7, 0, 2), (70_000, 0, 0, 9)],
    )
    answer = (await viewer.get(span)).json()
    (track,) = answer["sales"]
    assert track["points"] == [[0, 8, 1, 0], [1_000, 7, 2, 0], [9_000, 7, 0, 2]]
    assert (track["sale_id"], track["product_id"], track["price_minor"]) == (sale_id, "pr_mug", 5_000)
    assert (track["opened_at_ms"], track["closed_at_ms"]) == (FROM_MS - 5_000, FROM_MS + 50_000)
    later = await viewer.get(f"{path}?from_ms={FROM_MS + 50_001}&until_ms={FROM_MS + 60_000}")
    assert later.json()["sales"] == []
    draft = await shop.staff("host")
    await draft.post(
        f"/api/rooms/{shop.room_id}/sales", {"variant_id": "va_lamp_blue", "price_minor": 1, "quota": 1}
    )
    assert len((await viewer.get(span)).json()["sales"]) == 1, "a sale that never opened is nobody's business"


async def test_a_long_sale_is_thinned_and_keeps_its_end(shop: Shop) -> None:
    sale_id = await sold(shop, 0, None)
    await put(shop, sale_id, [(n * 1_000, 9_999 - n, n, 0) for n in range(5_000)])
    until_ms = FROM_MS + 5_000_000
    answer = await shop.browser().get(
        f"/api/rooms/{shop.room_id}/replay/stock?from_ms={FROM_MS}&until_ms={until_ms}"
    )
    (track,) = answer.json()["sales"]
    assert 500 <= len(track["points"]) <= 600
    assert track["points"][-1] == [4_999_000, 5_000, 4_999, 0]
    assert len(json.dumps(track)) < 30_000


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("from_ms=2&until_ms=1", "bad_span"),
        (f"from_ms={FROM_MS}&until_ms={FROM_MS + 48 * 3_600_000 + 1}", "bad_span"),
        ("from_ms=yesterday", "bad_query"),
        ("from_ms=-1", "bad_query"),
    ],
)
async def test_a_span_that_is_none_is_refused(shop: Shop, query: str, code: str) -> None:
    answer = await shop.browser().get(f"/api/rooms/{shop.room_id}/replay/stock?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
