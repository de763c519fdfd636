"""Buying over HTTP: bind a hold, pay, cancel; what is mine; and a room's orders for those who work in it."""

from __future__ import annotations

from typing import Final

import segno
from starlette.responses import PlainTextResponse, Response

from commerce import orders, sale_rows
from commerce.errors import Refused
from commerce.hold_desk import granted
from commerce.orders import Order
from commerce.payments import attempts
from commerce.payments.attempts import Attempt
from commerce.sale_rules import BINDABLE
from live import cool_down, followers, reminders, rooms
from live.api import models
from live.api.endpoint import CURSOR, LIMIT, READ, SELL, Call, Endpoint, Query, record
from live.limits import WEBHOOK
from live.problems import HttpProblem
from live.projector import masked_name
from live.tellers import Tellers

ACTIVE_SALES: Final = 100
_SHOWN: Final = tuple(models.OrderShown.model_fields)

STATE: Final = Query(
    "state",
    "One of: placed, paid, fulfilled, refunded, cancelled, expired; or by the payment: paying, failed, unpaid.",
    rf"^({'|'.join((*orders.STATES, *orders.BY_PAYMENT))})$",
)
SEARCH: Final = Query("q", "Part of an order's number or of a name, 1 to 80 characters.", r"^.{1,80}$")
ROOM: Final = Query("room_id", "Only of this room.", r"^rm_[A-Za-z0-9_]{1,60}$")


def shown(order: Order) -> models.OrderShown:
    """An order as its buyer and those who send the goods see it."""
    return models.OrderShown(**{name: getattr(order, name) for name in _SHOWN})


def shown_to(call: Call, order: Order) -> models.OrderShown:
    """An order as the caller may see it: where a buyer lives is not for moderators and analysts."""
    whole = shown(order)
    if order.buyer_id == call.buyer_id or call.caller.role_in(order.room_id) in SELL:
        return whole
    return whole.model_copy(update={"name": masked_name(order.name), "address": {}})


async def _mine(call: Call) -> models.Mine:
    wiring, room_id, buyer_id = call.wiring, call.in_room.room_id, call.buyer_id
    async with wiring.database.read() as c:
        sales, _ = await sale_rows.list_for_room(c, room_id, ACTIVE_SALES, states=BINDABLE)
        mine, _ = await orders.list_for_buyer(c, buyer_id, room_id)
        wanted = await reminders.of_viewer(c, room_id, buyer_id)
        following = await followers.is_one(c, room_id, buyer_id)
    places = [
        (sale.sale_id, await wiring.hot_ledger.place(room_id, sale.sale_id, buyer_id)) for sale in sales
    ]
    key = wiring.settings.key("hold token")
    holds = [
        (sale.sale_id, hold)
        for sale in sales
        for hold in await wiring.hot_ledger.buyer_holds(room_id, sale.sale_id, buyer_id)
        if hold.expires_at_ms > call.now_ms
    ]
    bound = {order.hold_id for order in mine}
    return models.Mine(
        holds=[
            models.HoldShown(**granted(key, room_id, sale_id, hold))
            for sale_id, hold in holds
            if hold.hold_id not in bound
        ],
        places=[models.Place(sale_id=sale_id, place=place) for sale_id, place in places if place is not None],
        orders=[shown(order) for order in mine],
        reminders=wanted,
        following=following,
    )


async def _place(call: Call) -> models.OrderShown:
    body: models.NewOrder = call.body
    address = body.address.model_dump(exclude_none=True)
    if not address.get("line2"):
        address.pop("line2", None)
    order = await call.wiring.checkout.bind(
        body.hold_token, call.buyer_id, body.name, address, buyer_name=call.caller.name
    )
    await tell(call, order)
    return shown(order)


async def tell(call: Call, order: Order) -> None:
    """Show the room what an order has changed; orders that come together are told together."""
    wiring, sale_id, room_id = call.wiring, order.sale_id, order.room_id

    async def work() -> None:
        await wiring.projector.publish_sale(await wiring.sale_desk.get(sale_id))
        await wiring.projector.publish_orders(room_id)

    tellers: Tellers = call.request.app.state.tellers
    await tellers.tell(sale_id, work)


def shown_payment(attempt: Attempt) -> models.PaymentShown:
    """An attempt as its buyer sees it; while it is pending, with what they have to do."""
    action = attempt.next_action if attempt.answer == "pending" else None
    shown_action = None
    if action is not None:
        picture = None
        if action["type"] == "qr":
            picture = segno.make_qr(action["url"], error="m").svg_data_uri(scale=6, border=3)
        shown_action = models.NextAction.model_validate({**action, "picture": picture})
    return models.PaymentShown(
        attempt_id=attempt.attempt_id, state=attempt.answer, reason=attempt.reason, next_action=shown_action
    )


async def _get(call: Call) -> models.MyOrder:
    async with call.wiring.database.read() as c:
        order = await orders.get(c, call.parameter("order_id"))
        tried = await attempts.list_for_order(c, order.order_id)
    if order.buyer_id != call.buyer_id and call.caller.role_in(order.room_id) not in READ:
        raise HttpProblem(404, "unknown_order", "There is no such order.")
    mine = order.buyer_id == call.buyer_id and bool(tried)
    payment = shown_payment(tried[-1]) if mine else None
    return models.MyOrder(**shown_to(call, order).model_dump(), payment=payment)


async def _list(call: Call) -> models.OrderPage:
    async with call.wiring.database.read() as c:
        found, next_cursor = await orders.list_for_buyer(
            c, call.buyer_id, call.query("room_id"), call.limit, call.query("cursor")
        )
    return models.OrderPage(orders=[shown(order) for order in found], next_cursor=next_cursor)


async def _room_orders(call: Call) -> models.OrderPage:
    async with call.wiring.database.read() as c:
        found, next_cursor = await orders.list_for_room(
            c, call.in_room.room_id, call.query("state"), call.query("q"), call.limit, call.query("cursor")
        )
    return models.OrderPage(orders=[shown_to(call, order) for order in found], next_cursor=next_cursor)


async def _refuse_money_in_rehearsal(call: Call, provider: str) -> None:
    """What is ordered in a rehearsal is paid with test cards alone."""
    async with call.wiring.database.read() as c:
        order = await orders.find(c, call.parameter("order_id"))
        if order is not None and provider != "sandbox" and (await rooms.get(c, order.room_id)).rehearsal:
            raise Refused("rehearsal_payment", "In a rehearsal only the sandbox's test cards pay.")


async def _pay(call: Call) -> models.PaymentAnswer:
    body: models.NewPayment = call.body
    await _refuse_money_in_rehearsal(call, body.provider)
    order, attempt = await call.wiring.cashier.pay(
        call.parameter("order_id"),
        call.buyer_id,
        body.provider,
        {"card_number": body.card_number, "device": body.device, "address": call.caller.address},
        call.key,
    )
    await tell(call, order)
    return models.PaymentAnswer(
        payment=shown_payment(attempt),
        order=shown(order),
    )


async def _cancel(call: Call) -> models.OrderShown:
    order_id = call.parameter("order_id")
    async with call.wiring.database.read() as c:
        before = await orders.get(c, order_id)
    is_buyer = before.buyer_id == call.buyer_id
    if not is_buyer and call.caller.role_in(before.room_id) not in SELL:
        raise HttpProblem(404, "unknown_order", "There is no such order.")
    if not is_buyer:
        cool_down_ms = call.wiring.settings.cool_down_ms
        async with call.wiring.database.begin() as c:
            await cool_down.begin(
                c, before.room_id, call.caller.principal, call.action_id, call.now_ms, cool_down_ms
            )
    order = await call.wiring.cashier.cancel_order(order_id, "buyer" if is_buyer else "seller")
    if not is_buyer:
        async with call.wiring.database.begin() as c:
            await record(
                c,
                call,
                "order_cancel",
                order_id,
                room_id=order.room_id,
                before={"state": before.state},
                after={"state": order.state},
            )
    await tell(call, order)
    return shown(order)


CNY_ONLY: Final = ("alipay", "wechat_pay")


async def _providers(call: Call) -> models.PaymentProviders:
    room_id, names = call.query("room_id"), list(call.wiring.providers)
    if room_id is not None:
        async with call.wiring.database.read() as c:
            if (await rooms.get(c, room_id)).rehearsal:
                names = [name for name in names if name == "sandbox"]
    return models.PaymentProviders(
        providers=[
            models.PaymentProvider.model_validate(
                {
                    "name": name,
                    "method": "card" if name == "sandbox" else "page",
                    "currencies": ["CNY"] if name in CNY_ONLY else None,
                }
            )
            for name in names
        ]
    )


async def _webhook(call: Call) -> Response | None:
    headers = {name.lower(): value for name, value in call.request.headers.items()}
    provider = call.wiring.cashier.provider(call.parameter("provider"))
    try:
        await call.wiring.cashier.receive_webhook(provider.name, headers, call.raw)
    except Refused as error:
        raise HttpProblem(400, error.code, error.message) from None
    return None if provider.webhook_reply is None else PlainTextResponse(provider.webhook_reply)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/mine",
        summary="My holds not yet orders, with their tokens; my places in line, orders, reminders; whether I follow the room",
        tag="orders",
        handler=_mine,
        roles="viewer",
        answer=models.Mine,
    ),
    Endpoint(
        method="POST",
        path="/api/orders",
        summary="Turn a hold into an order; the same hold always gives the same order",
        tag="orders",
        handler=_place,
        roles="viewer",
        body=models.NewOrder,
        answer=models.OrderShown,
        status=201,
    ),
    Endpoint(
        method="GET",
        path="/api/orders",
        summary="My orders, newest first",
        tag="orders",
        handler=_list,
        roles="viewer",
        answer=models.OrderPage,
        queries=(ROOM, LIMIT, CURSOR),
    ),
    Endpoint(
        method="GET",
        path="/api/orders/{order_id}",
        summary="One of my orders, or of a room I work in",
        tag="orders",
        handler=_get,
        roles="viewer",
        answer=models.MyOrder,
    ),
    Endpoint(
        method="POST",
        path="/api/orders/{order_id}/payments",
        summary="Pay; a declined card keeps the hold to its end, and `pending` is decided later",
        tag="orders",
        handler=_pay,
        roles="viewer",
        body=models.NewPayment,
        answer=models.PaymentAnswer,
    ),
    Endpoint(
        method="POST",
        path="/api/orders/{order_id}/cancel",
        summary="Cancel an unpaid order",
        tag="orders",
        handler=_cancel,
        roles="viewer",
        body=models.Empty,
        answer=models.OrderShown,
    ),
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/orders",
        summary="The room's orders, newest first, ghosts' marked",
        tag="orders",
        handler=_room_orders,
        roles=READ,
        answer=models.OrderPage,
        queries=(STATE, SEARCH, LIMIT, CURSOR),
    ),
    Endpoint(
        method="GET",
        path="/api/payment-providers",
        summary="Who can be paid through here; of a room: a rehearsal takes test cards alone",
        tag="orders",
        handler=_providers,
        answer=models.PaymentProviders,
        queries=(ROOM,),
    ),
    Endpoint(
        method="POST",
        path="/api/webhooks/{provider}",
        summary="A payment provider's message: verified, stored, processed by the worker",
        tag="webhooks",
        handler=_webhook,
        status=204,
        limit=WEBHOOK,
        raw=True,
    ),
)
