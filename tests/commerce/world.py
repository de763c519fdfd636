"""A small shop for tests: real SQL, real Redis, a clock that only the test moves, and helpers that say what a buyer does."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import Any

from sqlalchemy import text

from commerce import catalogue, invariants, orders, outbox
from commerce.catalogue import Product, Variant
from commerce.checkout import Checkout
from commerce.database import Database
from commerce.hold_tokens import HoldToken, sign
from commerce.hot_ledger import HoldRequest, HotLedger
from commerce.orders import Order
from commerce.outbox import OutboxEvent
from commerce.payments.attempts import Attempt
from commerce.payments.cashier import Cashier
from commerce.payments.sandbox import Sandbox
from commerce.sale_rules import NewSale, Sale
from commerce.sales import SaleDesk

TOKEN_KEY = b"t" * 32
WEBHOOK_KEY = b"w" * 32
ADDRESS = {
    "contact": "lin@example.com",
    "line1": "1 Harbour Road",
    "city": "Shanghai",
    "postcode": "200000",
    "country": "CN",
}


def address_of(buyer_id: str) -> dict[str, str]:
    """Everybody can be reached somewhere else."""
    return {**ADDRESS, "contact": f"{buyer_id}@example.com"}


OK_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"
POOR_CARD = "4000000000009995"
SILENT_CARD = "4000000000000341"
TWICE_CARD = "4000000000000259"
DISORDERLY_CARD = "4000000000003220"


def new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"


class Clock:
    """Starts at the wall clock, because Redis uses its own; moves only when told."""

    def __init__(self) -> None:
        self.now_ms = time.time_ns() // 1_000_000

    def __call__(self) -> int:
        return self.now_ms

    def pass_ms(self, milliseconds: int) -> None:
        self.now_ms += milliseconds


class World:
    """`desk`, `checkout`, `cashier` and `sandbox` as the processes use them, on one database and one Redis."""

    def __init__(self, database: Database, hot: HotLedger, clock: Clock | None = None) -> None:
        self.database = database
        self.hot = hot
        self.clock = clock or Clock()
        self.room_id = new_id("rm")
        self.variant_id = new_id("va")
        self.product_id = new_id("pr")
        self.desk = SaleDesk(database, hot, self.clock, new_id)
        self.checkout = Checkout(database, hot, TOKEN_KEY, self.clock, new_id)
        self.sandbox = Sandbox(database, WEBHOOK_KEY, self.clock)
        self.cashier = Cashier(database, hot, {"sandbox": self.sandbox}, self.clock, new_id)
        self._seq = 0

    async def stock_shelf(self, on_hand: int = 100, price_minor: int = 19_900) -> None:
        variant = Variant(
            variant_id=self.variant_id,
            product_id=self.product_id,
            title={"en": "50 ml", "zh": "50 毫升"},
            price_minor=price_minor,
            on_hand=on_hand,
        )
        product = Product(
            product_id=self.product_id,
            title={"en": "Serum", "zh": "精华"},
            description={"en": "", "zh": ""},
            picture="serum.svg",
            currency="CNY",
            variants=(variant,),
        )
        async with self.database.begin() as c:
            await catalogue.put_product(c, product)

    async def on_hand(self) -> int:
        async with self.database.read() as c:
            return (await catalogue.get_variant(c, self.variant_id))[0].on_hand

    def terms(self, **changes: Any) -> NewSale:
        return replace(
            NewSale(variant_id=self.variant_id, price_minor=9_900, quota=3, countdown_ms=0), **changes
        )

    async def armed_sale(self, **terms: Any) -> Sale:
        sale = await self.desk.create(self.room_id, self.terms(**terms))
        return await self.desk.arm(sale.sale_id)

    async def open_sale(self, **terms: Any) -> Sale:
        sale = await self.desk.fire((await self.armed_sale(**terms)).sale_id)
        self.clock.pass_ms(sale.countdown_ms)
        await self.desk.tick()
        return await self.desk.get(sale.sale_id)

    async def open_sale_again(self, **terms: Any) -> Sale:
        """End the running sale of the variant, let it settle, and open the next round."""
        running, _ = await self.desk.list(self.room_id)
        await self.desk.end_early(running[0].sale_id)
        await self.desk.tick()
        return await self.open_sale(**terms)

    def hold(self, sale: Sale, buyer_id: str, quantity: int = 1, **changes: Any) -> HoldToken:
        """A hold as Redis would have granted it now. Nothing checks here that it could: SQL has to."""
        self._seq += 1
        hold = HoldToken(
            hold_id=new_id("hd"),
            sale_id=sale.sale_id,
            room_id=sale.room_id,
            epoch=sale.epoch,
            seq=self._seq,
            buyer_id=buyer_id,
            quantity=quantity,
            price_minor=sale.price_minor,
            currency=sale.currency,
            granted_at_ms=self.clock.now_ms,
            expires_at_ms=self.clock.now_ms + sale.hold_ms,
            ghost=False,
        )
        return replace(hold, **changes)

    async def granted_hold(self, sale: Sale, buyer_id: str, quantity: int = 1) -> HoldToken:
        """A hold that Redis really granted, by its own clock."""
        request = HoldRequest(request_id=uuid.uuid4().hex, buyer_id=buyer_id, quantity=quantity)
        decision = (await self.hot.decide(sale.room_id, sale.sale_id, [request]))[0][0]
        assert decision.decision == "granted", decision
        assert decision.hold_id is not None
        assert decision.seq is not None
        assert decision.granted_at_ms is not None
        assert decision.expires_at_ms is not None
        changes = {"hold_id": decision.hold_id, "seq": decision.seq}
        times = {"granted_at_ms": decision.granted_at_ms, "expires_at_ms": decision.expires_at_ms}
        return self.hold(sale, buyer_id, quantity, **changes, **times)

    async def bind(self, hold: HoldToken, buyer_id: str | None = None) -> Order:
        return await self.checkout.bind(
            sign(TOKEN_KEY, hold), buyer_id or hold.buyer_id, "Lin Mei", address_of(hold.buyer_id)
        )

    async def bind_apart(self, hold: HoldToken) -> Order:
        """Bind as another process would: no commit is shared with other calls, so that they really race."""
        apart = Checkout(self.database, self.hot, TOKEN_KEY, self.clock, new_id)
        return await apart.bind(sign(TOKEN_KEY, hold), hold.buyer_id, "Lin Mei", address_of(hold.buyer_id))

    async def placed_order(self, sale: Sale, buyer_id: str = "gu_ana", quantity: int = 1) -> Order:
        return await self.bind(self.hold(sale, buyer_id, quantity))

    async def pay(self, order: Order, card: str = OK_CARD, key: str | None = None) -> tuple[Order, Attempt]:
        return await self.cashier.pay(
            order.order_id, order.buyer_id, "sandbox", {"card_number": card}, key or uuid.uuid4().hex
        )

    async def order(self, order_id: str) -> Order:
        async with self.database.read() as c:
            return await orders.get(c, order_id)

    async def sale(self, sale_id: str) -> Sale:
        return await self.desk.get(sale_id)

    async def deliver_webhooks(self) -> int:
        """Let the sandbox send what is due straight to the cashier, and process it."""

        async def post(headers: dict[str, str], body: bytes) -> int:
            await self.cashier.receive_webhook("sandbox", headers, body)
            return 204

        delivered = await self.sandbox.deliver_due(post)
        await self.cashier.process_inbox()
        return delivered

    async def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        async with self.database.read() as c:
            return [dict(row._mapping) for row in await c.execute(text(sql), parameters)]

    async def events(self, aggregate: str) -> list[str]:
        """The types of an aggregate's outbox events, in order."""
        found = await self.rows(
            "SELECT type FROM outbox WHERE aggregate = :a ORDER BY outbox_id", a=aggregate
        )
        return [row["type"] for row in found]

    async def assert_sound(self, but: tuple[str, ...] = ()) -> None:
        """Every invariant (but those named) holds, once a relay has taken what waits in the outbox."""

        async def take(_: OutboxEvent) -> None:
            pass

        await outbox.relay(self.database, take, 1_000, clock_ms=self.clock)
        async with self.database.read() as c:
            found = await invariants.check(c, self.clock.now_ms)
        broken = [violation for violation in found if violation.name not in but]
        assert not broken, broken
