"""What the console's plots are drawn from. Each answers one question; people and ghosts are told apart, never added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from redis.exceptions import RedisError

from commerce import reports, sale_rows
from commerce.errors import Unavailable
from live import audit, decision_times, samples
from live.api.endpoint import READ, Call, Endpoint
from live.api.models import Model
from realtime import delays

WITHOUT_A_START_MS: Final = 6 * 3_600_000
"""How far back a plot of a room goes that was never on air."""
MAX_MONEY_STEPS: Final = 300
MONEY_STEPS_MS: Final = (1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000)
MAX_MARKS: Final = 200
MARKED: Final = frozenset(
    {
        *("pin", "status", "announce", "desk_take_over"),
        *(f"sale_{action}" for action in ("fire", "abort", "pause", "resume", "stock", "extend", "end")),
    }
)


class Mark(Model):
    """Something that somebody did at a moment: an action of the audit log and what it was done to."""

    at_ms: int
    action: str
    target: str


class WatchingPoint(Model):
    at_ms: int
    people: int
    ghosts: int


class WatchingShown(Model):
    now_ms: int
    points: list[WatchingPoint]
    marks: list[Mark]


class MoneyPoint(Model):
    """What was placed, paid and refunded from `at_ms` to the next step."""

    at_ms: int
    ghost: bool
    placed_minor: int
    paid_minor: int
    refunded_minor: int


class MoneyShown(Model):
    now_ms: int
    since_ms: int
    step_ms: int
    steps: list[MoneyPoint]


class BuyersShown(Model):
    tapped: int
    held: int
    placed: int
    paid: int
    expired: int
    declined: int
    cancelled: int
    refunded: int
    units_paid: int
    paid_minor: int
    refunded_minor: int


class SaleFunnel(Model):
    """`watching`: the most people who watched at once while the sale ran, `watching_ghosts` the simulated ones."""

    sale_id: str
    product_id: str
    variant_id: str
    round: int
    state: str
    currency: str
    price_minor: int
    units: int
    sold: int
    opened_at_ms: int
    closed_at_ms: int | None
    watching: int
    watching_ghosts: int
    people: BuyersShown
    ghosts: BuyersShown


class FunnelShown(Model):
    sales: list[SaleFunnel]


class TimesPoint(Model):
    at_ms: int
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class LatencyShown(Model):
    """How long the hubs took to decide taps on Buy, in windows of `window_ms`."""

    window_ms: int
    points: list[TimesPoint]


class DelayClass(Model):
    """How many pages show a picture that is more than the class before and at most `up_to_ms` late; the last class has no bound."""

    up_to_ms: int | None
    webrtc: int
    hls: int


class WayShown(Model):
    """Of the pages that watch this way; no percentiles while there are none."""

    pages: int
    p50_ms: float | None
    p95_ms: float | None


class DelaysShown(Model):
    """How late viewers' pictures are now, as their pages measure it and tell it every 10 s."""

    now_ms: int
    webrtc: WayShown
    hls: WayShown
    classes: list[DelayClass]


class StockPoint(Model):
    at_ms: int
    available: int
    held: int
    sold: int


class StockHistory(Model):
    sale_id: str
    opened_at_ms: int | None
    closed_at_ms: int | None
    points: list[StockPoint]
    marks: list[Mark]


def _since_ms(call: Call) -> int:
    return call.in_room.started_at_ms or call.now_ms - WITHOUT_A_START_MS


async def _watching(call: Call) -> WatchingShown:
    room_id, since_ms = call.in_room.room_id, _since_ms(call)
    async with call.wiring.database.read() as c:
        points = await samples.watching(c, room_id, since_ms)
        done = await audit.done_since(c, room_id, MARKED, since_ms, MAX_MARKS)
    return WatchingShown(
        now_ms=call.now_ms,
        points=[WatchingPoint(**asdict(point)) for point in points],
        marks=[_mark(entry) for entry in done],
    )


def _mark(entry: audit.Entry) -> Mark:
    return Mark(at_ms=entry.at_ms, action=entry.action, target=entry.target)


async def _money(call: Call) -> MoneyShown:
    since_ms = _since_ms(call)
    lasts_ms = call.now_ms - since_ms
    fitting = (step for step in MONEY_STEPS_MS if lasts_ms / step <= MAX_MONEY_STEPS)
    step_ms = next(fitting, MONEY_STEPS_MS[-1])
    since_ms -= since_ms % step_ms
    async with call.wiring.database.read() as c:
        steps = await reports.money_steps(c, call.in_room.room_id, since_ms, step_ms)
    return MoneyShown(
        now_ms=call.now_ms,
        since_ms=since_ms,
        step_ms=step_ms,
        steps=[MoneyPoint(**asdict(step)) for step in steps],
    )


async def _funnel(call: Call) -> FunnelShown:
    return FunnelShown(sales=await sale_funnels(call))


async def sale_funnels(call: Call) -> list[SaleFunnel]:
    """Every sale of the room that has opened, newest first, with how far its buyers came."""
    room_id = call.in_room.room_id
    shown = []
    async with call.wiring.database.read() as c:
        for sale in await reports.sale_reports(c, room_id):
            until_ms = sale.closed_at_ms or call.now_ms
            people, ghosts = await samples.most_watching(c, room_id, sale.opened_at_ms, until_ms)
            known = asdict(sale) | {"watching": people, "watching_ghosts": ghosts}
            shown.append(SaleFunnel.model_validate(known))
    return shown


async def _latency(call: Call) -> LatencyShown:
    try:
        points = await decision_times.decision_times(call.wiring.redis, call.in_room.room_id)
    except (RedisError, OSError) as error:
        raise Unavailable("redis_unavailable", "Redis does not answer. Try again.") from error
    return LatencyShown(
        window_ms=decision_times.WINDOW_MS, points=[TimesPoint(**asdict(point)) for point in points]
    )


async def _delays(call: Call) -> DelaysShown:
    try:
        counts = delays.by_way(await call.wiring.broker.delays(call.in_room.room_id))
    except (RedisError, OSError) as error:
        raise Unavailable("redis_unavailable", "Redis does not answer. Try again.") from error
    return DelaysShown(
        now_ms=call.now_ms,
        webrtc=_way_shown(counts["webrtc"]),
        hls=_way_shown(counts["hls"]),
        classes=[
            DelayClass(up_to_ms=up_to_ms, webrtc=webrtc, hls=hls)
            for up_to_ms, webrtc, hls in zip(
                (*delays.BOUNDS_MS, None), counts["webrtc"], counts["hls"], strict=True
            )
        ],
    )


def _way_shown(counts: Sequence[int]) -> WayShown:
    pages = sum(counts)
    p50_ms, p95_ms = (
        decision_times.percentile_ms(counts, share, delays.BOUNDS_MS) if pages else None
        for share in (0.5, 0.95)
    )
    return WayShown(pages=pages, p50_ms=p50_ms, p95_ms=p95_ms)


async def _stock(call: Call) -> StockHistory:
    sale_id = call.parameter("sale_id")
    async with call.wiring.database.read() as c:
        sale = await sale_rows.get(c, sale_id)
        points = await samples.stock(c, sale_id)
        done = await audit.done_since(c, sale.room_id, MARKED, 0, MAX_MARKS, target=sale_id)
    return StockHistory(
        sale_id=sale_id,
        opened_at_ms=sale.opened_at_ms,
        closed_at_ms=sale.closed_at_ms,
        points=[StockPoint(**asdict(point)) for point in points],
        marks=[_mark(entry) for entry in done],
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/charts/watching",
        summary="How many watched since the show began, and what was done when",
        tag="charts",
        handler=_watching,
        roles=READ,
        answer=WatchingShown,
    ),
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/charts/money",
        summary="Placed, paid and refunded in steps of time since the show began; ghosts' apart",
        tag="charts",
        handler=_money,
        roles=READ,
        answer=MoneyShown,
    ),
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/charts/funnel",
        summary="Where buyers fell out, per sale: watching, tapped, held, placed, paid",
        tag="charts",
        handler=_funnel,
        roles=READ,
        answer=FunnelShown,
    ),
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/charts/latency",
        summary="How long buy decisions took: median, 95th and 99th percentile",
        tag="charts",
        handler=_latency,
        roles=READ,
        answer=LatencyShown,
    ),
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/charts/delays",
        summary="How late viewers' pictures are now: how many pages in which class, median and 95th percentile, WebRTC and HLS apart",
        tag="charts",
        handler=_delays,
        roles=READ,
        answer=DelaysShown,
    ),
    Endpoint(
        method="GET",
        path="/api/sales/{sale_id}/charts/stock",
        summary="A sale's available, held and sold units over time, and what was done to it when",
        tag="charts",
        handler=_stock,
        roles=READ,
        answer=StockHistory,
    ),
)
