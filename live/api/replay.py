"""A show's stock over time, for whoever watches it again: what everybody was shown then, no more."""

from __future__ import annotations

from typing import Final

from commerce import sale_rows
from commerce.errors import Invalid
from live import samples
from live.api.charts import WITHOUT_A_START_MS
from live.api.endpoint import Call, Endpoint, Query
from live.api.models import Model

MAX_SALES: Final = 50
MAX_POINTS: Final = 10_000
"""Of all sales together: some 300 KB of JSON at most."""
MAX_SPAN_MS: Final = 48 * 3_600_000
_MS: Final = r"^[0-9]{1,15}$"
FROM_MS: Final = Query("from_ms", "Where the film begins (UTC ms); left out: the show's start.", _MS, True)
UNTIL_MS: Final = Query("until_ms", "Where it ends; left out: now. At most 48 h later.", _MS, True)


class SaleTrack(Model):
    """A sale that was open in that time. A point is [ms after `from_ms`, available, held, sold] and holds until the next one."""

    sale_id: str
    product_id: str
    round: int
    price_minor: int
    currency: str
    opened_at_ms: int
    closed_at_ms: int | None
    points: list[tuple[int, int, int, int]]


class StockTracks(Model):
    from_ms: int
    until_ms: int
    sales: list[SaleTrack]


async def _stock(call: Call) -> StockTracks:
    room = call.in_room
    begins_ms = room.started_at_ms or call.now_ms - WITHOUT_A_START_MS
    from_ms = int(call.query("from_ms") or begins_ms)
    until_ms = int(call.query("until_ms") or min(call.now_ms, from_ms + MAX_SPAN_MS))
    if not from_ms <= until_ms <= from_ms + MAX_SPAN_MS:
        raise Invalid("bad_span", "until_ms lies within 48 h after from_ms", field="until_ms")
    tracks = []
    async with call.wiring.database.read() as c:
        found = await sale_rows.open_between(c, room.room_id, from_ms, until_ms, MAX_SALES)
        for sale in found:
            assert sale.opened_at_ms is not None
            steps = min(samples.MAX_POINTS, MAX_POINTS // len(found))
            points = await samples.stock_between(c, sale.sale_id, from_ms, until_ms, steps)
            tracks.append(
                SaleTrack(
                    sale_id=sale.sale_id,
                    product_id=sale.product_id,
                    round=sale.round,
                    price_minor=sale.price_minor,
                    currency=sale.currency,
                    opened_at_ms=sale.opened_at_ms,
                    closed_at_ms=sale.closed_at_ms,
                    points=[
                        (max(0, one.at_ms - from_ms), one.available, one.held, one.sold) for one in points
                    ],
                )
            )
    return StockTracks(from_ms=from_ms, until_ms=until_ms, sales=tracks)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/replay/stock",
        summary="How the stock of a show's sales stood from moment to moment, for its replay; the newest 50 sales",
        tag="replay",
        handler=_stock,
        answer=StockTracks,
        queries=(FROM_MS, UNTIL_MS),
    ),
)
