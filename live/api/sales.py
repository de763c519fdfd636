"""The sale desk over HTTP: every control of PRODUCT.md 2.1 is one call, checked, audited and shown to viewers at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from commerce.errors import Invalid, Unavailable
from commerce.hot_ledger import StockNumbers
from commerce.sale_rules import OCCUPYING, NewSale, Problem, Sale
from live import audit
from live.api import models
from live.api.endpoint import CURSOR, LIMIT, READ, SELL, Call, Endpoint
from live.problems import HttpProblem
from live.projector import PRIVATE_STATES, final_stock
from live.wiring import Wiring

_SHOWN = [name for name in models.SaleShown.model_fields if name not in ("stock", "problems")]


async def shown_sales(wiring: Wiring, sales: Sequence[Sale]) -> list[models.SaleShown]:
    """Sales with their three numbers as Redis has them now."""
    return [await shown(wiring, sale) for sale in sales]


async def shown(wiring: Wiring, sale: Sale, problems: Sequence[Problem] | None = None) -> models.SaleShown:
    numbers: StockNumbers | None = None
    if sale.state not in PRIVATE_STATES:
        try:
            numbers = await wiring.hot_ledger.numbers(sale.room_id, sale.sale_id)
        except Unavailable:
            numbers = None
    stock = None
    if numbers is not None:
        stock = models.StockShown(**numbers.as_value())
    elif sale.state not in PRIVATE_STATES and sale.state not in OCCUPYING:
        stock = models.StockShown(**final_stock(sale)[1])
    return models.SaleShown(
        **{name: getattr(sale, name) for name in _SHOWN},
        stock=stock,
        problems=None
        if problems is None
        else [models.SaleProblem(code=p.code, message=p.message) for p in problems],
    )


async def _create(call: Call) -> models.SaleShown:
    body: models.NewSaleBody = call.body
    sale = await call.wiring.sale_desk.create(call.in_room.room_id, NewSale(**body.model_dump()))
    await _note(call, "sale_create", None, sale)
    return await shown(call.wiring, sale)


async def _list(call: Call) -> models.SaleList:
    sales, next_cursor = await call.wiring.sale_desk.list(
        call.in_room.room_id, call.limit, call.query("cursor")
    )
    return models.SaleList(sales=await shown_sales(call.wiring, sales), next_cursor=next_cursor)


async def _get(call: Call) -> models.SaleShown:
    sale = await call.wiring.sale_desk.get(call.parameter("sale_id"))
    if sale.state in PRIVATE_STATES and call.caller.role_in(sale.room_id) not in READ:
        raise HttpProblem(404, "unknown_sale", "There is no such sale.")
    return await shown(call.wiring, sale)


async def _edit(call: Call) -> models.SaleShown:
    body: models.SaleChanges = call.body
    changes = body.model_dump(exclude_unset=True, exclude_none=True)
    desk, sale_id = call.wiring.sale_desk, call.parameter("sale_id")
    before = await desk.get(sale_id)
    after = await desk.edit(sale_id, changes)
    await _note(call, "sale_edit", before, after)
    return await shown(call.wiring, after)


async def _validate(call: Call) -> models.Validated:
    desk, sale_id = call.wiring.sale_desk, call.parameter("sale_id")
    problems = await desk.validate(sale_id)
    sale = await desk.get(sale_id)
    return models.Validated(
        sale=await shown(call.wiring, sale, problems),
        problems=[models.SaleProblem(code=p.code, message=p.message) for p in problems],
    )


def _control(action: str, act: Callable[[Call, str], Awaitable[Sale]]) -> Callable[[Call], Any]:
    """A handler for one control: look, act, write the log, tell the room."""

    async def handler(call: Call) -> models.SaleShown:
        sale_id = call.parameter("sale_id")
        before = await call.wiring.sale_desk.get(sale_id)
        after = await act(call, sale_id)
        await _note(call, f"sale_{action}", before, after)
        await call.wiring.projector.publish_sale(after)
        return await shown(call.wiring, after)

    return handler


async def _change_stock(call: Call, sale_id: str) -> Sale:
    body: models.StockChange = call.body
    desk = call.wiring.sale_desk
    if body.delta > 0:
        return await desk.add_stock(sale_id, body.delta, call.action_id)
    if body.delta < 0:
        return await desk.withdraw_stock(sale_id, -body.delta, call.action_id)
    raise Invalid("bad_units", "delta must not be 0", field="delta")


async def _note(call: Call, action: str, before: Sale | None, after: Sale) -> None:
    """Sales change in transactions of commerce, so the line follows right after; both are kept or the call is repeated."""
    async with call.wiring.database.begin() as c:
        await audit.record(
            c,
            call.caller,
            after.room_id,
            action,
            after.sale_id,
            at_ms=call.now_ms,
            before=None if before is None else _audited(before),
            after=_audited(after),
        )


def _audited(sale: Sale) -> dict[str, Any]:
    names = (
        "state",
        "state_reason",
        "price_minor",
        "quota",
        "limit_per_buyer",
        "hold_ms",
        "duration_ms",
        "capacity",
        "reserved",
        "sold",
        "opens_at_ms",
        "closes_at_ms",
    )
    return {name: getattr(sale, name) for name in names}


def _endpoint(
    action: str,
    summary: str,
    act: Callable[[Call, str], Awaitable[Sale]],
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
    _endpoint(
        "arm", "Freeze the terms and set the units aside", lambda call, id: call.wiring.sale_desk.arm(id)
    ),
    _endpoint(
        "disarm", "Back to ready, units back on the shelf", lambda call, id: call.wiring.sale_desk.disarm(id)
    ),
    _endpoint(
        "fire",
        "Start the countdown; the server fixes the times",
        lambda call, id: call.wiring.sale_desk.fire(id),
    ),
    _endpoint(
        "abort",
        "Stop the countdown, until 3 s before opening",
        lambda call, id: call.wiring.sale_desk.abort(id, call.body.reason),
        models.WithReason,
    ),
    _endpoint(
        "pause",
        "No new holds; the sale's clock stands still",
        lambda call, id: call.wiring.sale_desk.pause(id, call.body.reason),
        models.PauseReason,
    ),
    _endpoint(
        "resume",
        "Open again after 5 s, with the time that was left",
        lambda call, id: call.wiring.sale_desk.resume(id),
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
        lambda call, id: call.wiring.sale_desk.extend(id),
    ),
    _endpoint(
        "end",
        "No new holds; those granted are honoured to their own expiry",
        lambda call, id: call.wiring.sale_desk.end_early(id, call.body.reason),
        models.OptionalReason,
    ),
    _endpoint("reconcile", "Show and check the sums", lambda call, id: call.wiring.sale_desk.reconcile(id)),
)
