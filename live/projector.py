"""What viewers see of commerce: its events, sales and stock numbers, turned into the room's events, values and personal messages.

The one place that knows both commerce's words and the wire's (realtime/PROTOCOL.md). Everything here may be done twice: values
carry the version of what they show, events and personal messages are published once per outbox event.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from commerce import orders, sale_rows
from commerce.database import Database
from commerce.errors import Unavailable
from commerce.hold_desk import personal_message
from commerce.hot_ledger import EPOCH_SHIFT, HotLedger, Notice, StockNumbers
from commerce.orders import Order
from commerce.outbox import OutboxEvent
from commerce.sale_rules import OCCUPYING, Sale
from live.media_time import with_media_time
from live.stock_values import PUBLISH_ERRORS, publish_numbers, stock_values
from realtime.broker import Broker
from realtime.protocol import Event, Value

log = logging.getLogger("flashroom.projector")

PRIVATE_STATES: Final = ("draft", "ready")
"""What a seller still edits is nobody else's business; pages forget a sale that goes back to these."""
FINISHED_SALES_SHOWN: Final = 20
MAX_ACTIVE_SALES: Final = 500
ORDER_STATES: Final[Mapping[str, str]] = {
    "order_placed": "placed",
    "order_paid": "paid",
    "order_expired": "expired",
    "order_cancelled": "cancelled",
    "order_refunded": "refunded",
}
PAYMENT_STATES: Final[Mapping[str, str]] = {
    "payment_declined": "declined",
    "payment_closed": "declined",
    "payment_returned": "returned",
}
"""What a buyer hears of a payment that was pending and did not lead to a paid order."""
_SALE_FIELDS: Final = (
    "sale_id",
    "product_id",
    "variant_id",
    "round",
    "state",
    "state_reason",
    "price_minor",
    "list_price_minor",
    "currency",
    "quota",
    "limit_per_buyer",
    "hold_ms",
    "rule",
    "seed_hash",
    "terms_hash",
    "opens_at_ms",
    "closes_at_ms",
    "extendable_ms",
    "extended",
)


def sale_value(sale: Sale) -> dict[str, Any]:
    """The `sale:ID` value: the terms and state that everyone may see."""
    return {name: getattr(sale, name) for name in _SALE_FIELDS}


def masked_name(name: str) -> str:
    """A buyer's name for the ticker: first and last character, nothing in between."""
    characters = name.strip()
    if not characters:
        return "***"
    return f"{characters[0]}***{characters[-1] if len(characters) > 2 else ''}"


def sale_values(sale: Sale, numbers: StockNumbers | None) -> dict[str, Value]:
    """Values of one sale. A sale that is private is gone for viewers, until a higher version shows it."""
    if sale.state in PRIVATE_STATES:
        return {f"sale:{sale.sale_id}": (sale.version, None)}
    values: dict[str, Value] = {f"sale:{sale.sale_id}": (sale.version, sale_value(sale))}
    if numbers is not None:
        values |= stock_values(numbers)
    elif sale.state not in OCCUPYING:
        values[f"stock:{sale.sale_id}"] = final_stock(sale)
    return values


def final_stock(sale: Sale) -> Value:
    """The numbers of a sale that Redis has forgotten because it is over: what SQL says, newer than all that Redis said of this epoch."""
    version = (sale.epoch + 1) * EPOCH_SHIFT - 2**30 + sale.version
    return version, {
        "sale_id": sale.sale_id,
        "quota": sale.capacity,
        "available": sale.base,
        "held": sale.reserved,
        "sold": sale.sold,
        "waiting": 0,
        "next_hold_ends_at_ms": None,
        "epoch": sale.epoch,
        "seq": 0,
    }


def ticker_event(payload: Mapping[str, Any]) -> Event:
    """The `order` event of a paid order: who (masked) bought what."""
    data = {
        "name": masked_name(str(payload["buyer_name"])),
        "product_id": payload["product_id"],
        "quantity": payload["quantity"],
        "at_ms": payload["at_ms"],
    }
    return "order", {**data, "ghost": True} if payload.get("ghost") else data


class Projector:
    """Publishes for web, hub and worker alike. The `publish_` methods never fail their caller: the worker repeats all values every 2 s."""

    def __init__(self, database: Database, hot_ledger: HotLedger, broker: Broker) -> None:
        self._database = database
        self._hot_ledger = hot_ledger
        self._broker = broker
        self._moved: dict[str, set[str]] = {}

    async def publish_sale(self, sale: Sale) -> None:
        """Show a sale as it was just committed, with its stock as Redis has it."""
        await self._try(sale.room_id, sale_values(sale, await self._numbers(sale)))

    async def publish_numbers(self, room_id: str, numbers: StockNumbers) -> None:
        """Show a sale's stock; what HoldDesk calls after each batch."""
        await publish_numbers(self._broker, room_id, numbers)

    async def publish_orders(self, room_id: str) -> None:
        """Show how many orders of people were placed and paid."""
        await self._try(room_id, await self._order_values(room_id))

    async def publish_room(self, room_id: str) -> int:
        """Show everything commerce knows of a room: active sales, the last finished ones, orders. Gives the number of values.

        With unchanged versions nothing is sent to anybody; an emptied Redis is filled again. Raises BrokerUnavailable, RedisError.
        """
        async with self._database.read() as c:
            recent, _ = await sale_rows.list_for_room(c, room_id, limit=FINISHED_SALES_SHOWN)
            active = await sale_rows.list_in_states(c, OCCUPYING, MAX_ACTIVE_SALES)
        shown = {sale.sale_id: sale for sale in (*active, *recent) if sale.room_id == room_id}
        values = await self._order_values(room_id)
        for sale in shown.values():
            if sale.state not in PRIVATE_STATES:
                values |= sale_values(sale, await self._numbers(sale))
        await self._broker.publish(room_id, values=values)
        return len(values)

    async def forget_old_sales(self, room_id: str) -> int:
        """Take sales that are no longer among those shown out of the room's values, so that a join stays small."""
        async with self._database.read() as c:
            recent, _ = await sale_rows.list_for_room(c, room_id, limit=FINISHED_SALES_SHOWN)
            active = await sale_rows.list_in_states(c, OCCUPYING, MAX_ACTIVE_SALES)
        kept = {sale.sale_id for sale in (*recent, *active)}
        gone: dict[str, Value] = {
            key: (version + 1, None)
            for key, (version, _) in (await self._broker.values(room_id)).items()
            if key.startswith(("sale:", "stock:")) and key.partition(":")[2] not in kept
        }
        if gone:
            await self._broker.publish(room_id, values=gone)
        return len(gone)

    async def tell_notice(
        self, room_id: str, sale_id: str, notice: Notice, token_key: bytes, at_ms: int
    ) -> None:
        """Tell a buyer that a hold ended, that their place in the wait list was served, or how the lots fell."""
        type_, data = personal_message(token_key, room_id, sale_id, notice, at_ms)
        once = f"{notice.kind}:{notice.decision.hold_id or notice.decision.seq}:{sale_id}"
        await self._broker.publish_personal(room_id, notice.buyer_id, type_, data, once=once)

    async def deliver(self, event: OutboxEvent) -> None:
        """Publish one outbox event; raises when Redis or SQL does not answer, and may then be called again.

        The values that orders move follow with `publish_moved`.
        """
        once = f"outbox:{event.outbox_id}"
        if event.type == "sale_changed":
            await self._deliver_sale(event.payload, once)
        elif event.type in ORDER_STATES:
            await self._deliver_order(event.type, event.payload, once)
        elif event.type == "order_resent":
            await self._tell_buyer(event.payload, once)
        elif event.type in PAYMENT_STATES:
            await self._deliver_payment(event.type, event.payload, once)
        else:
            log.debug("outbox event %s is for nobody in the room", event.type)

    async def _deliver_sale(self, payload: Mapping[str, Any], once: str) -> None:
        async with self._database.read() as c:
            sale = await sale_rows.get(c, payload["sale_id"])
        events: list[Event] = []
        if payload["state"] not in PRIVATE_STATES or payload.get("action") in ("disarm", "abort"):
            told = {
                name: payload[name] for name in ("sale_id", "state", "reason", "at_ms") if payload.get(name)
            }
            events.append(("sale", await with_media_time(self._broker, sale.room_id, told)))
        values = sale_values(sale, await self._numbers(sale))
        await self._broker.publish(sale.room_id, events=events, values=values, once=once)

    async def _deliver_payment(self, type_: str, payload: Mapping[str, Any], once: str) -> None:
        names = ("order_id", "hold_id", "sale_id", "reason")
        told = {name: payload[name] for name in names if payload.get(name)}
        told["state"] = PAYMENT_STATES[type_]
        await self._broker.publish_personal(
            payload["room_id"], payload["buyer_id"], "payment", told, once=once
        )

    async def _deliver_order(self, type_: str, payload: Mapping[str, Any], once: str) -> None:
        room_id = payload["room_id"]
        order = await self._tell_buyer(payload, once, ORDER_STATES[type_])
        if type_ == "order_paid":
            await self._broker.publish(room_id, events=[ticker_event(payload)], once=once)
        self._moved.setdefault(room_id, set()).add(order.sale_id)

    async def _tell_buyer(self, payload: Mapping[str, Any], once: str, state: str | None = None) -> Order:
        """Word of an order to its buyer: the state it has come to, or (None) once more how it stands now."""
        async with self._database.read() as c:
            order = await orders.get(c, payload["order_id"])
        told = {name: getattr(order, name) for name in ("order_id", "order_number", "sale_id", "hold_id")}
        told |= {"state": order.state, "again": True} if state is None else {"state": state}
        await self._broker.publish_personal(order.room_id, order.buyer_id, "order", told, once=once)
        return order

    async def publish_moved(self) -> int:
        """Show the values that delivered order events have moved: once per room, however many orders there were.

        The relay calls it after each batch. What a crash leaves out is shown within 2 s, as all values are.
        """
        moved, self._moved = self._moved, {}
        for room_id, sale_ids in moved.items():
            values = await self._order_values(room_id)
            for sale_id in sale_ids:
                async with self._database.read() as c:
                    sale = await sale_rows.get(c, sale_id)
                values |= sale_values(sale, await self._numbers(sale))
            await self._try(room_id, values)
        return len(moved)

    async def _order_values(self, room_id: str) -> dict[str, Value]:
        async with self._database.read() as c:
            counts = await orders.counts(c, room_id)
        placed, paid = counts["placed"], counts["paid"]
        # Both only ever grow, so their sum is a version.
        return {"orders": (placed + paid, {"placed": placed, "paid": paid})}

    async def _numbers(self, sale: Sale) -> StockNumbers | None:
        if sale.state in PRIVATE_STATES:
            return None
        try:
            return await self._hot_ledger.numbers(sale.room_id, sale.sale_id)
        except Unavailable:
            return None

    async def _try(self, room_id: str, values: Mapping[str, Value]) -> None:
        try:
            await self._broker.publish(room_id, values=values)
        except PUBLISH_ERRORS as error:
            log.warning("room %s was not told at once: %s", room_id, error)


__all__ = ["Projector", "masked_name", "publish_numbers", "sale_value"]
