"""The sale desk over HTTP: every control of PRODUCT.md 2.1 is one call, checked, audited and shown to viewers at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from starlette.responses import Response, StreamingResponse

from commerce import allocation_log, catalogue
from commerce.errors import Invalid, OutOfState, Refused, Unavailable
from commerce.sale_rules import OCCUPYING, NewSale, Problem, Sale
from commerce.sales import SaleDesk
from live import console, rooms
from live.api import desk as held_desk
from live.api import models
from live.api.asking import asking
from live.api.endpoint import CURSOR, LIMIT, READ, SELL, Call, Endpoint, record
from live.console import Action, audited_desk
from live.problems import HttpProblem
from live.projector import PRIVATE_STATES, final_stock
from live.wiring import Wiring

Act = Callable[[SaleDesk, str, Call], Awaitable[Sale]]
_SHOWN = [name for name in models.SaleShown.model_fields if name not in ("stock", "problems")]


async def shown_sales(wiring: Wiring, sales: Sequence[Sale]) -> list[models.SaleShown]:
    """Sales with their three numbers as Redis has them now."""
    return list(await asyncio.gather(*(shown(wiring, sale) for sale in sales)))


async def shown(wiring: Wiring, sale: Sale, problems: Sequence[Problem] | None = None) -> models.SaleShown:
    """A sale as the API gives it; `stock` is None before arming, and while Redis doesn't say."""
    stock = None
    if sale.state in OCCUPYING:
        try:
            numbers = await wiring.hot_ledger.numbers(sale.room_id, sale.sale_id)
        except Unavailable:
            numbers = None
        stock = models.StockShown(**numbers.as_value()) if numbers is not None else None
    elif sale.state not in PRIVATE_STATES:  # over: nothing is held any more, and SQL has the last word
        stock = models.StockShown(**final_stock(sale)[1])
    return models.SaleShown(
        **{name: getattr(sale, name) for name in _SHOWN},
        stock=stock,
        problems=None
        if problems is None
        else [models.SaleProblem(code=p.code, message=p.message) for p in problems],
    )


def _desk(call: Call, action: str, sale_id: str | None = None) -> SaleDesk:
    # A withdrawal gives units back that a viewer took meanwhile.
    withdraws = isinstance(call.body, models.StockChange) and call.body.delta < 0
    done = Action(call.caller, action, call.action_id, call.now_ms, may_spend=not withdraws)
    return audited_desk(call.wiring.sale_desk, done, sale_id)


async def _create(call: Call) -> models.SaleShown:
    await held_desk.require(call)
    body: models.NewSaleBody = call.body
    await _require_in_run(call, body.variant_id)
    sale = await _desk(call, "sale_create").create(call.in_room.room_id, NewSale(**body.model_dump()))
    return await shown(call.wiring, sale)


async def _require_in_run(call: Call, variant_id: str) -> None:
    """A room sells what is in its own run of show: a rehearsal can't take a live show's units, nor one room another's."""
    async with call.wiring.database.read() as c:
        variant, _ = await catalogue.get_variant(c, variant_id)
        if variant.product_id not in await rooms.product_ids(c, call.in_room.room_id):
            raise Refused("not_in_room", "This product is not in the room.")


async def _list(call: Call) -> models.SaleList:
    sales, next_cursor = await call.wiring.sale_desk.list(
        call.in_room.room_id, call.limit, call.query("cursor")
    )
    return models.SaleList(sales=await shown_sales(call.wiring, sales), next_cursor=next_cursor)


async def visible_sale(call: Call) -> Sale:
    """The sale of the path, which nobody but the room's staff sees while it is still edited."""
    sale = await call.wiring.sale_desk.get(call.parameter("sale_id"))
    if sale.state in PRIVATE_STATES and call.caller.role_in(sale.room_id) not in READ:
        raise HttpProblem(404, "unknown_sale", "There is no such sale.")
    return sale


async def _get(call: Call) -> models.SaleShown:
    return await shown(call.wiring, await visible_sale(call))


async def _log(call: Call) -> Response:
    """The whole log of a published sale, line by line; who wants it needs no account: it is public."""
    sale = await call.wiring.sale_desk.get(call.parameter("sale_id"))
    lines = allocation_log.export(call.wiring.database, sale)
    try:
        first = await anext(lines)  # refused before the first line is still a problem, not half a file
    except OutOfState as error:
        raise HttpProblem(404, error.code, "This sale's log is public once the sale is published.") from None

    async def rest() -> AsyncIterator[str]:
        yield f"{first}\n"
        async for line in lines:
            yield f"{line}\n"

    headers = {"Content-Disposition": f'attachment; filename="log-{sale.sale_id}.txt"'}
    return StreamingResponse(rest(), media_type="text/plain", headers=headers)


async def _edit(call: Call) -> models.SaleShown:
    await held_desk.require(call)
    body: models.SaleChanges = call.body
    changes = body.model_dump(exclude_unset=True, exclude_none=True)
    sale_id = call.parameter("sale_id")
    return await shown(call.wiring, await _desk(call, "sale_edit", sale_id).edit(sale_id, changes))


async def _validate(call: Call) -> models.Validated:
    await held_desk.require(call)
    sale_id = call.parameter("sale_id")
    desk = _desk(call, "sale_validate", sale_id)
    problems = await desk.validate(sale_id)
    sale = await desk.get(sale_id)
    if problems:
        await _note(call, "sale_validate", sale, {"problems": [problem.code for problem in problems]})
    return models.Validated(
        sale=await shown(call.wiring, sale, problems),
        problems=[models.SaleProblem(code=p.code, message=p.message) for p in problems],
    )


async def _reconcile(call: Call) -> models.SaleShown:
    await held_desk.require(call)
    sale = await call.wiring.sale_desk.reconcile(call.parameter("sale_id"))
    await _note(call, "sale_reconcile", sale, console.shown(sale))
    await call.wiring.projector.publish_sale(sale)
    return await shown(call.wiring, sale)


async def _note(call: Call, action: str, sale: Sale, after: Any) -> None:
    """The line of an action that changed nothing: its own transaction."""
    async with call.wiring.database.begin() as c:
        await record(c, call, action, sale.sale_id, after=after, room_id=sale.room_id)


def _control(action: str, act: Act) -> Callable[[Call], Any]:
    """A handler for one control: act with its line in the log, then tell the room."""

    async def handler(call: Call) -> models.SaleShown:
        await held_desk.require(call)
        sale_id = call.parameter("sale_id")
        async with asking(call, f"sale_{action}", sale_id, call.body.model_dump()):
            sale = await act(_desk(call, f"sale_{action}", sale_id), sale_id, call)
        await call.wiring.projector.publish_sale(sale)
        return await shown(call.wiring, sale)

    return handler


async def _change_stock(desk: SaleDesk, sale_id: str, call: Call) -> Sale:
    body: models.StockChange = call.body
    if body.delta > 0:
        return await desk.add_stock(sale_id, body.delta, call.action_id)
    if body.delta < 0:
        return await desk.withdraw_stock(sale_id, -body.delta, call.action_id)
    raise Invalid("bad_units", "delta must not be 0", field="delta")


def _endpoint(
    action: str,
    summary: str,
    act: Act,
    body: type[models.Model] = models.Empty,
) -> Endpoint:
    return Endpoint(
        method="POST",
        path=f"/api/sales/{{sale_id}}/{action}",
        summary=summary,
        tag="sales",
        handler=_control(action, act),
        roles=SELL,
        body=body,
        answer=models.SaleShown,
    )


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/api/rooms/{room_id}/sales",
        summary="Make a sale on a variant; a draft until it is armed",
        tag="sales",
        handler=_create,
        roles=SELL,
        body=models.NewSaleBody,
        answer=models.SaleShown,
        status=201,
    ),
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/sales",
        summary="The room's sales, newest first, drafts too",
        tag="sales",
        handler=_list,
        roles=READ,
        answer=models.SaleList,
        queries=(LIMIT, CURSOR),
    ),
    Endpoint(
        method="GET",
        path="/api/sales/{sale_id}",
        summary="A sale with its three numbers",
        tag="sales",
        handler=_get,
        answer=models.SaleShown,
    ),
    Endpoint(
        method="GET",
        path="/api/sales/{sale_id}/log",
        summary="A published sale's allocation log, for `flashroom verify`: every attempt, chained, with seed and root",
        tag="sales",
        handler=_log,
        media_type="text/plain",
    ),
    Endpoint(
        method="PATCH",
        path="/api/sales/{sale_id}",
        summary="Change the terms of a sale that is not armed",
        tag="sales",
        handler=_edit,
        roles=SELL,
        body=models.SaleChanges,
        answer=models.SaleShown,
    ),
    Endpoint(
        method="POST",
        path="/api/sales/{sale_id}/validate",
        summary="Check everything that arming needs; with no problem the sale is ready",
        tag="sales",
        handler=_validate,
        roles=SELL,
        body=models.Empty,
        answer=models.Validated,
    ),
    _endpoint("arm", "Freeze the terms and set the units aside", lambda desk, id, call: desk.arm(id)),
    _endpoint("disarm", "Back to ready, units back on the shelf", lambda desk, id, call: desk.disarm(id)),
    _endpoint(
        "fire",
        "Start the countdown; the server fixes the times",
        lambda desk, id, call: desk.fire(id),
    ),
    _endpoint(
        "abort",
        "Stop the countdown, until 3 s before opening",
        lambda desk, id, call: desk.abort(id, call.body.reason),
        models.WithReason,
    ),
    _endpoint(
        "pause",
        "No new holds; the sale's clock stands still",
        lambda desk, id, call: desk.pause(id, call.body.reason),
        models.PauseReason,
    ),
    _endpoint(
        "resume",
        "Open again after 5 s, with the time that was left",
        lambda desk, id, call: desk.resume(id),
    ),
    _endpoint(
        "stock",
        "Add units from the shelf, or take available ones back (negative)",
        _change_stock,
        models.StockChange,
    ),
    _endpoint(
        "extend",
        "Close later, once, by what the terms said",
        lambda desk, id, call: desk.extend(id),
    ),
    _endpoint(
        "end",
        "No new holds; those granted are honoured to their own expiry",
        lambda desk, id, call: desk.end_early(id, call.body.reason),
        models.OptionalReason,
    ),
    Endpoint(
        method="POST",
        path="/api/sales/{sale_id}/reconcile",
        summary="Show and check the sums",
        tag="sales",
        handler=_reconcile,
        roles=SELL,
        body=models.Empty,
        answer=models.SaleShown,
    ),
)
