"""What sellers do with orders: refund, send, write notes, take the list with them. For buyers' addresses this needs the role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from commerce import after_sales, orders, outbox
from commerce.after_sales import AfterSales, Note
from commerce.order_export import export_csv
from commerce.payments import attempts
from live import audit
from live.api import models
from live.api.asking import asking
from live.api.endpoint import SELL, Call, Endpoint, record
from live.api.orders import SEARCH, STATE, shown, tell
from live.console import Action, audited_after_sales
from live.limits import TooMany
from live.wiring import new_id

TELL_AGAIN_AFTER_MS: Final = 60_000
"""So long a buyer has peace after word of an order was sent to them again, whoever of the show asks for it."""


class SentJustNow(TooMany):
    """Word of this order went to its buyer a moment ago; `sent_at_ms` and `again_at_ms` are in the facts."""

    def __init__(self, sent_at_ms: int, now_ms: int) -> None:
        again_at_ms = sent_at_ms + TELL_AGAIN_AFTER_MS
        message = "The buyer was told a moment ago. Wait a minute."
        super().__init__(max(1, again_at_ms - now_ms), "sent_just_now", message)
        self.facts |= {"sent_at_ms": sent_at_ms, "again_at_ms": again_at_ms}


def _desk(call: Call, action: str, order_id: str) -> AfterSales:
    cool_down_ms = call.wiring.settings.cool_down_ms
    done = Action(call.caller, action, call.action_id, call.now_ms, cool_down_ms)
    return audited_after_sales(call.wiring.after_sales, done, order_id)


async def _refund(call: Call) -> models.OrderShown:
    body: models.NewRefund = call.body
    order_id = call.parameter("order_id")
    async with asking(call, "order_refund", order_id, body.model_dump()):
        order = await _desk(call, "order_refund", order_id).refund(
            order_id, call.action_id, body.reason, body.amount_minor, body.restock
        )
    await tell(call, order)
    return shown(order)


async def _fulfil(call: Call) -> models.OrderShown:
    body: models.Fulfilment = call.body
    order_id = call.parameter("order_id")
    order = await _desk(call, "order_fulfil", order_id).fulfil(order_id, body.carrier, body.tracking_number)
    return shown(order)


async def _add_note(call: Call) -> models.NoteShown:
    body: models.NewNote = call.body
    order_id = call.parameter("order_id")
    note = await call.wiring.after_sales.add_note(order_id, call.buyer_id, body.text)
    await _record(call, "order_note", order_id, call.action_id, {"note_id": note.note_id})
    return _note(note)


async def _tell_buyer(call: Call) -> models.BuyerTold:
    """Word of the order goes to its buyer once more, by the outbox as all of the order's news does."""
    order_id, room_id = call.parameter("order_id"), call.in_room.room_id
    async with call.wiring.database.begin() as c:
        await attempts.lock_order(c, order_id)  # of two at once, the second finds the line of the first
        since_ms = call.now_ms - TELL_AGAIN_AFTER_MS + 1
        told = await audit.done_since(c, room_id, {"order_resend"}, since_ms, 1, order_id)
        if told:
            raise SentJustNow(told[0].at_ms, call.now_ms)
        order = await orders.get(c, order_id)
        await outbox.record(c, order_id, "order_resent", orders.event_payload(order, call.now_ms))
        await record(c, call, "order_resend", order_id, after={"state": order.state})
    return models.BuyerTold(sent_at_ms=call.now_ms, again_at_ms=call.now_ms + TELL_AGAIN_AFTER_MS)


async def _notes(call: Call) -> models.Notes:
    async with call.wiring.database.read() as c:
        found = await after_sales.list_notes(c, call.parameter("order_id"))
    return models.Notes(notes=[_note(note) for note in found])


async def _export(call: Call) -> Response:
    room_id = call.in_room.room_id
    state, query = call.query("state"), call.query("q")
    await _record(call, "orders_export", room_id, new_id("ex"), {"state": state, "q": query})
    rows = export_csv(call.wiring.database, room_id, state, query)
    first = await anext(rows)  # what fails before the first line is still a problem, not half a file

    async def lines() -> AsyncIterator[str]:
        yield first
        async for some in rows:
            yield some

    headers = {
        "Content-Disposition": f'attachment; filename="orders-{room_id}.csv"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(lines(), media_type="text/csv", headers=headers)


async def _record(call: Call, action: str, target: str, call_id: str, after: Any) -> None:
    async with call.wiring.database.begin() as c:
        await audit.record(
            c,
            call.caller,
            call.in_room.room_id,
            action,
            target,
            at_ms=call.now_ms,
            call_id=call_id,
            after=after,
        )


def _note(note: Note) -> models.NoteShown:
    return models.NoteShown(**asdict(note))


def _endpoint(method: str, path: str, summary: str, handler: Any, **options: Any) -> Endpoint:
    return Endpoint(
        method=method,
        path=f"/api/orders/{{order_id}}/{path}",
        summary=summary,
        tag="after sales",
        handler=handler,
        roles=SELL,
        **options,
    )


ENDPOINTS = (
    _endpoint(
        "POST",
        "refunds",
        "Promise money back, all that is left or a part; the worker sends it",
        _refund,
        body=models.NewRefund,
        answer=models.OrderShown,
    ),
    _endpoint(
        "POST",
        "fulfilment",
        "The goods are on their way",
        _fulfil,
        body=models.Fulfilment,
        answer=models.OrderShown,
    ),
    _endpoint(
        "POST",
        "messages",
        "Show the buyer how the order stands once more, an unpaid one as a reminder; at most once a minute",
        _tell_buyer,
        body=models.Empty,
        answer=models.BuyerTold,
    ),
    _endpoint("GET", "notes", "What was written down about an order", _notes, answer=models.Notes),
    _endpoint(
        "POST",
        "notes",
        "Write something down about an order",
        _add_note,
        body=models.NewNote,
        answer=models.NoteShown,
        status=201,
    ),
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/orders.csv",
        summary="The room's orders with addresses, as CSV (RFC 4180)",
        tag="after sales",
        handler=_export,
        roles=SELL,
        queries=(STATE, SEARCH),
        media_type="text/csv",
    ),
)
