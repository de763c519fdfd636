"""The run of show: its order, one more item, an item less, and files of items."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from commerce import catalogue
from commerce.catalogue import Product, Variant
from live import audit, rooms, run_of_show, scripts
from live.api import desk, models
from live.api.endpoint import READ, SELL, Call, Endpoint, record
from live.api.models import Line80, Minor, Model, ProductId
from live.api.rooms import product_shown
from live.problems import HttpProblem
from live.rooms import Room
from live.wiring import new_id

MAX_CSV_CHARACTERS: Final = 1_000_000
"""200 items with a full script each, and room for their other cells."""
MAX_CSV_BYTES: Final = 4 * 1024 * 1024
"""The same in Chinese, as JSON."""
FALLBACK_CURRENCY: Final = "CNY"


class RunOrder(Model):
    """Every product of the room, in the new order."""

    product_ids: Annotated[list[ProductId], Field(max_length=run_of_show.MAX_IN_ROOM)]


class QuickItem(Model):
    """One product with one variant; the currency is that of the room's other products."""

    title: Line80
    title_zh: Line80 | None = None
    price_minor: Minor
    stock: Annotated[int, Field(ge=0, le=catalogue.MAX_ON_HAND)]


class CsvFile(Model):
    """The text of a CSV file with the columns title, price, stock, and if wanted title_zh, variant, variant_zh, currency, picture,
    script (at most 4,000 characters, many lines) and minute (of the show); without these two, scripts stay as they are."""

    csv: Annotated[str, StringConstraints(min_length=1, max_length=MAX_CSV_CHARACTERS)]


class RunShown(Model):
    products: list[models.ProductShown]
    run_version: int


async def _do(call: Call, work: Callable[[AsyncConnection], Awaitable[Room]]) -> RunShown:
    """Change the run in one transaction; then everybody in the room hears that it is another one, and asks for it."""
    async with call.wiring.database.begin() as c:
        room = await work(c)
        ids = await rooms.product_ids(c, room.room_id)
        products = {product.product_id: product for product in await catalogue.get_products(c, ids)}
    await desk.tell(call, room)
    await desk.in_time(room.room_id, call.wiring.requests.allow(room.room_id, ids))
    return RunShown(
        products=[product_shown(products[one]) for one in ids if one in products],
        run_version=room.run_version,
    )


async def _reorder(call: Call) -> RunShown:
    body: RunOrder = call.body
    room_id = call.in_room.room_id

    async def work(c: AsyncConnection) -> Room:
        before = await rooms.product_ids(c, room_id)
        room = await run_of_show.reorder(c, room_id, body.product_ids)
        await record(
            c, call, "run_reorder", room_id, before={"order": before}, after={"order": body.product_ids}
        )
        return room

    return await _do(call, work)


async def _add(call: Call) -> RunShown:
    body: QuickItem = call.body
    product = _quick_product(body, _currency(await _products(call)))

    async def work(c: AsyncConnection) -> Room:
        room = await run_of_show.add(c, call.in_room.room_id, [product])
        after = {"title": body.title, "price_minor": body.price_minor, "stock": body.stock}
        await record(c, call, "run_add", product.product_id, after=after)
        return room

    return await _do(call, work)


def _quick_product(body: QuickItem, currency: str) -> Product:
    product_id = new_id("pr")
    variant = Variant(
        variant_id=new_id("va"),
        product_id=product_id,
        title={"en": "Standard", "zh": "标准"},
        price_minor=body.price_minor,
        on_hand=body.stock,
    )
    return Product(
        product_id=product_id,
        title=run_of_show.by_language(body.title, body.title_zh),
        description={},
        picture=run_of_show.DEFAULT_PICTURE,
        currency=currency,
        variants=(variant,),
    )


async def _import(call: Call) -> RunShown:
    body: CsvFile = call.body
    room_id = call.in_room.room_id
    known = await _products(call)
    items, errors = run_of_show.read_csv(body.csv, room_id, _currency(known), known)
    if errors:
        listed = [{"row": one.row, "column": one.column, "message": one.message} for one in errors]
        raise HttpProblem(422, "bad_rows", "Nothing was imported: mend these rows.", rows=listed)

    async def work(c: AsyncConnection) -> Room:
        room = await run_of_show.add_items(c, room_id, items)
        spoken = sum(bool(item.spoken.get("script")) for item in items)
        await record(c, call, "run_import", room_id, after={"products": len(items), "scripts": spoken})
        return room

    return await _do(call, work)


async def _remove(call: Call) -> RunShown:
    room_id, product_id = call.in_room.room_id, call.parameter("product_id")

    async def work(c: AsyncConnection) -> Room:
        room = await run_of_show.remove(c, room_id, product_id)
        await record(c, call, "run_remove", product_id)
        return room

    shown = await _do(call, work)
    await desk.in_time(room_id, call.wiring.requests.clear(room_id, [product_id]))
    return shown


async def _export(call: Call) -> Response:
    room_id = call.in_room.room_id
    products = await _products(call)
    async with call.wiring.database.begin() as c:
        spoken = {one.product_id: one for one in await scripts.read(c, room_id)}
        after = {"products": len(products)}
        caller, call_id = call.caller, new_id("ex")
        await audit.record(
            c, caller, room_id, "run_export", room_id, at_ms=call.now_ms, call_id=call_id, after=after
        )
    return Response(
        run_of_show.write_csv(products, spoken),
        media_type="text/csv",
        headers={
            "Content-Disposition": f'attachment; filename="run-{room_id}.csv"',
            "Cache-Control": "no-store",
        },
    )


async def _products(call: Call) -> list[Product]:
    """The room's products in the run's order."""
    async with call.wiring.database.read() as c:
        ids = await rooms.product_ids(c, call.in_room.room_id)
        found = {product.product_id: product for product in await catalogue.get_products(c, ids)}
    return [found[one] for one in ids if one in found]


async def room_currency(call: Call) -> str:
    """The currency of the room's products: of the first, where they have several."""
    return _currency(await _products(call))


def _currency(known: Sequence[Product]) -> str:
    return known[0].currency if known else FALLBACK_CURRENCY


def _endpoint(method: str, path: str, summary: str, handler: Any, **options: Any) -> Endpoint:
    return Endpoint(
        method=method,
        path=f"/api/rooms/{{room_id}}/{path}",
        summary=summary,
        tag="run of show",
        handler=handler,
        **{"roles": SELL, "answer": RunShown, **options},
    )


ENDPOINTS = (
    _endpoint("PUT", "products", "Put the room's products in another order", _reorder, body=RunOrder),
    _endpoint("POST", "products", "Add one item at the end of the run", _add, body=QuickItem, status=201),
    _endpoint(
        "POST",
        "product-imports",
        "Add the items of a CSV file with their scripts, all or none",
        _import,
        body=CsvFile,
        max_body_bytes=MAX_CSV_BYTES,
    ),
    _endpoint(
        "DELETE", "products/{product_id}", "Take an item out of the run; its sales and orders stay", _remove
    ),
    _endpoint(
        "GET",
        "products.csv",
        "The items with their scripts as a CSV file that may be imported again",
        _export,
        roles=READ,
        answer=None,
        media_type="text/csv",
    ),
)
