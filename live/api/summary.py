"""After the show: what it was, in numbers whose meaning is told, per product and altogether; as JSON and as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from commerce import catalogue, orders
from commerce.csv_lines import csv_lines, iso_time
from live import audit, samples, shows
from live.api.charts import BuyersShown, SaleFunnel, sale_funnels
from live.api.endpoint import READ, Call, Endpoint
from live.api.models import Localised, Model

COLUMNS: Final = (
    *("product_id", "product", "currency", "rounds", "units", "sold", "watching", "tapped", "held"),
    *("placed", "paid", "expired", "declined", "cancelled", "refunded", "units_paid"),
    *("paid_minor", "refunded_minor", "kept_minor", "simulated_placed", "simulated_paid"),
)
COMPARED: Final = (
    *("views", "watching_peak", "buyers", "placed", "paid", "units_paid"),
    *("paid_minor", "refunded_minor", "average_minor", "gpm_minor"),
)
_ADDED: Final = tuple(BuyersShown.model_fields)


class ProductSummary(Model):
    """All rounds of one product together. A buyer who came in two rounds counts in both."""

    product_id: str
    title: Localised
    currency: str
    rounds: int
    units: int
    sold: int
    watching: int
    people: BuyersShown
    ghosts: BuyersShown


class ShowNumbers(Model):
    """One show from its start on, people only. `views`: viewers who came in; `gpm_minor`: paid per thousand views. Null: not known."""

    room_id: str
    title: Localised
    started_at_ms: int
    ended_at_ms: int | None
    views: int | None
    watching_peak: int | None
    buyers: int
    placed: int
    paid: int
    units_paid: int
    paid_minor: int
    refunded_minor: int
    average_minor: int | None
    gpm_minor: int | None


class ShowSummary(Model):
    """`orders`: as in the room's stats: placed, paid and refunded apart, ghosts' apart; of all the room's shows.

    `this_show` and `last_show` are single shows, the latter the same host's before this one; null when there is none.
    """

    room_id: str
    title: Localised
    status: str
    rehearsal: bool
    started_at_ms: int | None
    ended_at_ms: int | None
    watching_peak: int
    comments: int
    likes: int
    orders: dict[str, int]
    unpaid: int
    """Orders of people that were placed and never paid: whom to write to."""
    published_logs: int
    open_sales: int
    this_show: ShowNumbers | None
    last_show: ShowNumbers | None
    products: list[ProductSummary]


async def _summary(call: Call) -> ShowSummary:
    return await summary(call)


async def summary(call: Call) -> ShowSummary:
    room, broker = call.in_room, call.wiring.broker
    sales = await sale_funnels(call)
    presence = await broker.presence(room.room_id)
    likes = (await broker.values(room.room_id)).get("likes")
    async with call.wiring.database.read() as c:
        counted = await orders.counts(c, room.room_id)
        ended = await audit.done_since(c, room.room_id, {"status"}, 0, 1, target="ended")
        known = await catalogue.get_products(c, {sale.product_id for sale in sales})
        last = await shows.last_before(c, room, _readable(call))
        own = await shows.spans(c, room)
        current = next((span for span in own if span.started_at_ms == room.started_at_ms), None)
        seen, _ = await samples.most_watching(c, room.room_id, room.started_at_ms or 0, call.now_ms)
        this_show = await _show_numbers(c, call, current)
        last_show = await _show_numbers(c, call, last)
    titles = {product.product_id: product.title for product in known}
    return ShowSummary(
        room_id=room.room_id,
        title=room.title,
        status=room.status,
        rehearsal=room.rehearsal,
        started_at_ms=room.started_at_ms,
        ended_at_ms=ended[0].at_ms if room.status == "ended" and ended else None,
        watching_peak=max(presence.peak, seen),
        comments=await broker.comment_count(room.room_id),
        likes=likes[1]["total"] if likes else 0,
        orders=counted,
        unpaid=sum(sale.people.placed - sale.people.paid for sale in sales),
        published_logs=sum(sale.state == "published" for sale in sales),
        open_sales=sum(sale.state in ("countdown", "open", "paused", "draining") for sale in sales),
        this_show=this_show,
        last_show=last_show,
        products=_by_product(sales, titles),
    )


def _readable(call: Call) -> frozenset[str]:
    user = call.caller.user
    return (
        frozenset() if user is None else frozenset(room for room, role in user.roles.items() if role in READ)
    )


async def _show_numbers(c: AsyncConnection, call: Call, span: shows.Span | None) -> ShowNumbers | None:
    if span is None:
        return None
    made = await shows.numbers(c, call.wiring.redis, span, call.now_ms)
    return ShowNumbers(
        room_id=span.room.room_id,
        title=span.room.title,
        started_at_ms=span.started_at_ms,
        ended_at_ms=span.ended_at_ms,
        average_minor=made.average_minor,
        gpm_minor=made.gpm_minor,
        **asdict(made),
    )


def _by_product(sales: Sequence[SaleFunnel], titles: dict[str, dict[str, str]]) -> list[ProductSummary]:
    grouped: dict[str, list[SaleFunnel]] = {}
    for sale in sales:
        grouped.setdefault(sale.product_id, []).append(sale)
    made = [
        ProductSummary(
            product_id=product_id,
            title=titles.get(product_id, {}),
            currency=found[0].currency,
            rounds=len(found),
            units=sum(sale.units for sale in found),
            sold=sum(sale.sold for sale in found),
            watching=max(sale.watching for sale in found),
            people=_sum([sale.people for sale in found]),
            ghosts=_sum([sale.ghosts for sale in found]),
        )
        for product_id, found in grouped.items()
    ]
    return sorted(made, key=lambda one: (-one.people.paid_minor, -one.sold, one.product_id))


def _sum(buyers: Sequence[BuyersShown]) -> BuyersShown:
    return BuyersShown(**{name: sum(getattr(one, name) for one in buyers) for name in _ADDED})


async def _csv(call: Call) -> Response:
    made = await summary(call)
    head = [
        ("room", made.room_id),
        ("started", iso_time(made.started_at_ms)),
        ("ended", iso_time(made.ended_at_ms)),
        ("watching_peak", made.watching_peak),
        ("comments", made.comments),
        ("likes", made.likes),
        *((f"orders_{name}", number) for name, number in made.orders.items()),
        ("unpaid", made.unpaid),
    ]
    rows = [_row(one) for one in made.products]
    text = csv_lines([*head, (), *_comparison(made), (), COLUMNS, *rows])
    headers = {
        "Content-Disposition": f'attachment; filename="summary-{made.room_id}.csv"',
        "Cache-Control": "no-store",
    }
    return Response(text, media_type="text/csv", headers=headers)


def _comparison(made: ShowSummary) -> list[tuple[str | int, ...]]:
    """This show beside the last; a cell is empty where a number is not known or there was no such show."""
    both = (made.this_show, made.last_show)
    rows: list[tuple[str | int, ...]] = [("compared", "this_show", "last_show")]
    for name in ("room_id", "started_at_ms", "ended_at_ms", *COMPARED):
        cells = [None if show is None else getattr(show, name) for show in both]
        if name.endswith("_at_ms"):
            rows.append((name.removesuffix("_at_ms"), *map(iso_time, cells)))
        else:
            rows.append((name.removesuffix("_id"), *("" if cell is None else cell for cell in cells)))
    return rows


def _row(one: ProductSummary) -> tuple[str | int, ...]:
    people = one.people
    return (
        *(one.product_id, one.title.get("en") or one.title.get("zh", ""), one.currency, one.rounds),
        *(one.units, one.sold, one.watching, people.tapped, people.held, people.placed, people.paid),
        *(people.expired, people.declined, people.cancelled, people.refunded, people.units_paid),
        *(people.paid_minor, people.refunded_minor, people.paid_minor - people.refunded_minor),
        *(one.ghosts.placed, one.ghosts.paid),
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/summary",
        summary="The show in numbers, per product and altogether",
        tag="rooms",
        handler=_summary,
        roles=READ,
        answer=ShowSummary,
    ),
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/summary.csv",
        summary="The show in numbers as CSV (RFC 4180)",
        tag="rooms",
        handler=_csv,
        roles=READ,
        media_type="text/csv",
    ),
)
