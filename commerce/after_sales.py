"""After the sale: refunds (whole or part), where returned units go, fulfilment, and notes on orders.

A refund is decided here in one transaction and paid by the refund worker (`payments.refunds`) under the same id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import ledger, orders, outbox, sale_rows, snapshots, stock
from commerce.database import Database
from commerce.errors import Invalid, OutOfState, Refused
from commerce.hot_ledger import HotLedger
from commerce.orders import Order
from commerce.payments import attempts, refunds
from commerce.payments.attempts import Attempt
from commerce.sale_rules import OCCUPYING, reopens
from commerce.schema import hold as hold_table
from commerce.schema import order as order_table
from commerce.schema import order_note
from commerce.schema import refund as refund_table
from commerce.schema import sale as sale_table

RESTOCK: Final = ("sale", "shelf", "none")
"""Where the units of a wholly refunded order go: back into the sale while it runs (else to the shelf), to the shelf, or nowhere."""
MAX_NOTE_CHARACTERS: Final = 500
MAX_NOTES: Final = 100
MAX_KEY_CHARACTERS: Final = 255


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody of the show wrote down about an order ("gift promised on air")."""

    note_id: str
    order_id: str
    author_id: str
    text: str
    at_ms: int


class AfterSales:
    """What sellers do with paid orders. Raises NotFound, OutOfState, Refused and Invalid."""

    def __init__(
        self,
        database: Database,
        hot_ledger: HotLedger,
        clock_ms: Callable[[], int],
        new_id: Callable[[str], str],
    ) -> None:
        self.database = database
        self.hot_ledger = hot_ledger
        self.clock_ms = clock_ms
        self.new_id = new_id

    async def refund(
        self,
        order_id: str,
        request_key: str,
        reason: str,
        amount_minor: int | None = None,
        restock: str = "sale",
    ) -> Order:
        """Promise `amount_minor` (default: all that is left) back to the buyer; the same request key promises it once.

        A wholly refunded order ends as refunded, and its units go where `restock` says. Raises Refused("refund_above_paid").
        """
        if restock not in RESTOCK:
            raise Invalid("bad_restock", f"restock is one of {', '.join(RESTOCK)}", field="restock")
        words = _text(reason, "reason", 80)
        if not 0 < len(request_key) <= MAX_KEY_CHARACTERS:
            raise Invalid("bad_request_key", f"a request key has 1 to {MAX_KEY_CHARACTERS} characters")
        refund_id = f"rf_{hashlib.sha256(f'{order_id} {request_key}'.encode()).hexdigest()[:40]}"
        async with self.database.begin() as c:
            await orders.get(c, order_id)
            hold = await attempts.lock_order(c, order_id)
            order = await orders.get(c, order_id)
            if await _exists(c, refund_id):
                return order
            orders.next_state(order.state, "refund")
            amount = self._amount(order, amount_minor)
            attempt = await self._paying_attempt(c, order_id, amount)
            now_ms = self.clock_ms()
            await refunds.promise(c, refund_id, attempt, amount, words, now_ms)
            await ledger.post(c, ledger.refund_promised(refund_id, order_id, amount, order.currency), now_ms)
            whole = order.refunded_minor + amount == order.total_minor
            await self._note_refund(c, order, amount, whole, words, now_ms)
            if whole and restock != "none":
                await self._take_back(c, hold, refund_id, restock, now_ms)
            done = await orders.get(c, order_id)
            more = {"refund_id": refund_id, "amount_minor": amount, "whole": whole, "reason": words}
            await outbox.record(c, order_id, "order_refunded", orders.event_payload(done, now_ms, **more))
            sale = await sale_rows.get(c, order.sale_id)
            used = await stock.used_quota(c, order.sale_id, order.buyer_id)
        if sale.state in OCCUPYING:
            await snapshots.tell(self.hot_ledger, sale, {order.buyer_id: used})
        return done

    def _amount(self, order: Order, asked: int | None) -> int:
        left = order.total_minor - order.refunded_minor
        amount = left if asked is None else asked
        if type(amount) is not int or amount <= 0:
            raise Invalid("bad_amount", "amount_minor must be a positive integer", field="amount_minor")
        if amount > left:
            raise Refused("refund_above_paid", "more would go back than is left", left_minor=left)
        return amount

    async def _paying_attempt(self, c: AsyncConnection, order_id: str, amount: int) -> Attempt:
        for attempt in await attempts.list_for_order(c, order_id):
            if attempt.state == "succeeded" and attempt.captured_minor - attempt.refunded_minor >= amount:
                return attempt
        raise Refused("refund_above_paid", "no payment of this order has that much left", order_id=order_id)

    async def _note_refund(
        self, c: AsyncConnection, order: Order, amount: int, whole: bool, reason: str, now_ms: int
    ) -> None:
        values: dict[str, Any] = {"refunded_minor": order.refunded_minor + amount, "changed_at_ms": now_ms}
        if whole:
            values |= {"state": orders.next_state(order.state, "refund"), "state_reason": reason}
        cas = update(order_table).where(
            order_table.c.order_id == order.order_id,
            order_table.c.state == order.state,
            order_table.c.refunded_minor == order.refunded_minor,
        )
        if (await c.execute(cas.values(values))).rowcount != 1:
            raise OutOfState("order_changed_meanwhile", "the order has just changed; look again")

    async def _take_back(
        self, c: AsyncConnection, hold: Any, refund_id: str, restock: str, now_ms: int
    ) -> None:
        """The order's units are free again: in the sale while it runs, else on the shelf. A sold-out sale opens again for them."""
        cas = update(hold_table).where(hold_table.c.hold_id == hold.hold_id, hold_table.c.state == "sold")
        if (await c.execute(cas.values(state="returned"))).rowcount != 1:
            raise OutOfState("order_changed_meanwhile", "the order's units are not sold (any more)")
        await stock.free_quota(c, hold.sale_id, hold.buyer_id, hold.quantity)
        # The sale's row is locked, so that it cannot settle between our look at its state and the units' return.
        locked = select(sale_table.c.state).where(sale_table.c.sale_id == hold.sale_id)
        await c.execute(locked.with_for_update())
        await stock.unsell(c, hold.sale_id, hold.quantity)
        sale = await sale_rows.get(c, hold.sale_id)
        if restock == "shelf" or sale.state not in OCCUPYING:
            await stock.move(
                c,
                movement_id=f"return:{refund_id}",
                variant_id=sale.variant_id,
                sale_id=hold.sale_id,
                units=-hold.quantity,
                reason="return",
                at_ms=now_ms,
            )
        elif reopens(sale, now_ms):
            await sale_rows.change(c, sale, "reopen", now_ms, state_reason=None, closed_at_ms=None)

    async def fulfil(self, order_id: str, carrier: str, tracking_number: str) -> Order:
        """The goods are on their way. The same carrier and number again changes nothing; others are an error."""
        sent_by, number = _text(carrier, "carrier", 40), _text(tracking_number, "tracking_number", 80)
        async with self.database.begin() as c:
            await orders.get(c, order_id)
            await attempts.lock_order(c, order_id)
            order = await orders.get(c, order_id)
            if (order.state, order.carrier, order.tracking_number) == ("fulfilled", sent_by, number):
                return order
            state, now_ms = orders.next_state(order.state, "fulfil"), self.clock_ms()
            cas = update(order_table).where(
                order_table.c.order_id == order_id, order_table.c.state == order.state
            )
            values = {"state": state, "carrier": sent_by, "tracking_number": number, "changed_at_ms": now_ms}
            if (await c.execute(cas.values(values))).rowcount != 1:
                raise OutOfState("order_changed_meanwhile", "the order has just changed; look again")
            done = await orders.get(c, order_id)
            sent = {"carrier": sent_by, "tracking_number": number}
            await outbox.record(c, order_id, "order_fulfilled", orders.event_payload(done, now_ms, **sent))
            return done

    async def add_note(self, order_id: str, author_id: str, text: str) -> Note:
        """Write a note on an order of any state; at most 100 each."""
        words = _text(text, "text", MAX_NOTE_CHARACTERS)
        note = Note(self.new_id("no"), order_id, author_id, words, self.clock_ms())
        async with self.database.begin() as c:
            await orders.get(c, order_id)
            if len(await list_notes(c, order_id)) >= MAX_NOTES:
                raise Refused("too_many_notes", f"an order has at most {MAX_NOTES} notes")
            row = {"note_id": note.note_id, "order_id": order_id, "author_id": author_id}
            await c.execute(insert(order_note).values(**row, text=words, at_ms=note.at_ms))
        return note


async def list_notes(c: AsyncConnection, order_id: str) -> list[Note]:
    """An order's notes, oldest first."""
    query = select(order_note).where(order_note.c.order_id == order_id)
    rows = await c.execute(query.order_by(order_note.c.at_ms, order_note.c.note_id).limit(MAX_NOTES))
    return [Note(row.note_id, row.order_id, row.author_id, row.text, row.at_ms) for row in rows]


async def _exists(c: AsyncConnection, refund_id: str) -> bool:
    query = select(refund_table.c.refund_id).where(refund_table.c.refund_id == refund_id)
    return (await c.execute(query)).first() is not None


def _text(value: str, field: str, longest: int) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not 0 < len(text) <= longest or not text.isprintable():
        raise Invalid(f"bad_{field}", f"{field} has 1 to {longest} printable characters", field=field)
    return text
