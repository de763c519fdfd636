"""The sale desk: every control of a sale (PRODUCT.md 2.1) as one call, one transaction, and one snapshot to the hot ledger after it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields, replace
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import catalogue, crash_points, sale_rows, sale_timers, snapshots, stock
from commerce.database import Database
from commerce.errors import Invalid, OutOfState, Refused, Unavailable
from commerce.hot_ledger import HotLedger
from commerce.invariants import require_sums
from commerce.lots import seed_of
from commerce.sale_rules import (
    MAX_OUTAGES,
    PAUSE_REASONS,
    NewSale,
    Problem,
    Sale,
    hash_seed,
    hash_terms,
    next_state,
    preflight,
    reopens,
    require_abortable,
    resumed_times,
    terms_of,
)
from commerce.schema import hold as hold_table
from commerce.schema import sale as sale_table

logger = logging.getLogger(__name__)

MAX_REASON_CHARACTERS: Final = 200
__all__ = ["NewSale", "Problem", "Sale", "SaleDesk", "get_sale"]

Sales = list[Sale]
Problems = list[Problem]
get_sale = sale_rows.get


class SaleDesk:
    """Every call gives the sale as committed. Raises NotFound, OutOfState, Refused and Invalid; nothing changed then."""

    def __init__(
        self,
        database: Database,
        hot_ledger: HotLedger,
        clock_ms: Callable[[], int],
        new_id: Callable[[str], str],
        new_seed: Callable[[], str] = lambda: secrets.token_hex(32),
        lights: Callable[[], Awaitable[list[Problem]]] | None = None,
    ) -> None:
        self.database = database
        self.hot_ledger = hot_ledger
        self.clock_ms = clock_ms
        self.new_id = new_id
        self.new_seed = new_seed
        self.lights = lights
        """What else has to be right before a sale is armed: clocks, payments."""

    async def get(self, sale_id: str) -> Sale:
        async with self.database.read() as c:
            return await sale_rows.get(c, sale_id)

    async def list(
        self, room_id: str, limit: int = 50, cursor: str | None = None
    ) -> tuple[Sales, str | None]:
        """A room's sales, newest first, and the cursor of the next page or None."""
        async with self.database.read() as c:
            return await sale_rows.list_for_room(c, room_id, limit, cursor)

    async def create(self, room_id: str, new: NewSale) -> Sale:
        """A draft with these terms."""
        new.check()
        sale_id, seed = self.new_id("sl"), self.new_seed()
        async with self.database.begin() as c:
            variant, currency = await catalogue.get_variant(c, new.variant_id)
            values = asdict(new) | {
                "sale_id": sale_id,
                "room_id": room_id,
                "product_id": variant.product_id,
                "round": await sale_rows.next_round(c, new.variant_id),
                "state": "draft",
                "list_price_minor": variant.price_minor,
                "currency": currency,
                "extended": False,
                "seed": seed,
                "seed_hash": hash_seed(seed),
                "created_at_ms": self.clock_ms(),
            }
            await sale_rows.add(c, values)
            return await sale_rows.get(c, sale_id)

    async def edit(self, sale_id: str, changes: dict[str, Any]) -> Sale:
        """Change terms before arming; a sale that was ready is a draft again."""
        known = {field.name for field in fields(NewSale)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise Invalid("bad_terms", f"not a term of a sale: {', '.join(unknown)}", field=unknown[0])
        async with self.database.begin() as c:
            sale = await sale_rows.get(c, sale_id)
            next_state(sale.state, "edit")
            new = replace(terms_of(sale), **changes)
            new.check()
            variant, currency = await catalogue.get_variant(c, new.variant_id)
            values = asdict(new) | {
                "product_id": variant.product_id,
                "list_price_minor": variant.price_minor,
                "currency": currency,
                "round": await sale_rows.next_round(c, new.variant_id),
            }
            await sale_rows.change(c, sale, "edit", self.clock_ms(), **values)
            return await sale_rows.get(c, sale_id)

    async def validate(self, sale_id: str) -> Problems:
        """Every red light; with none the draft becomes ready."""
        outside = await self._outside_lights()
        async with self.database.begin() as c:
            sale = await sale_rows.get(c, sale_id)
            next_state(sale.state, "validate")
            problems, changes = await self._preflight(c, sale)
            problems += outside
            if not problems:
                await sale_rows.change(c, sale, "validate", self.clock_ms(), **changes)
            return problems

    async def _outside_lights(self) -> Problems:
        """Asked before the transaction, so that none is open while somebody else is slow to answer."""
        return [] if self.lights is None else await self.lights()

    async def _preflight(self, c: AsyncConnection, sale: Sale) -> tuple[Problems, dict[str, Any]]:
        """The red lights, and what is taken afresh from the catalogue with the check."""
        variant, _ = await catalogue.get_variant(c, sale.variant_id)
        problems = preflight(
            terms_of(sale),
            on_hand=variant.on_hand,
            list_price_minor=variant.price_minor,
            floor_minor=variant.floor_minor,
            overlapping=await sale_rows.is_occupied(c, sale.variant_id, sale.sale_id),
        )
        fresh = {
            "list_price_minor": variant.price_minor,
            "round": await sale_rows.next_round(c, sale.variant_id),
        }
        return problems, fresh

    async def arm(self, sale_id: str) -> Sale:
        """Freeze and hash the terms and set the quota aside from the shelf. Raises Refused("preflight") with the red lights."""
        outside = await self._outside_lights()
        try:
            async with self.database.begin() as c:
                sale = await sale_rows.get(c, sale_id)
                next_state(sale.state, "arm")
                problems, fresh = await self._preflight(c, sale)
                problems += outside
                if problems:
                    raise _red_lights(problems)
                frozen = replace(sale, **fresh)
                now_ms = self.clock_ms()
                await sale_rows.change(c, sale, "arm", now_ms, terms_hash=hash_terms(frozen), **fresh)
                await self._move(c, sale, sale.quota, f"arm:{sale_id}:{sale.version}", "arm", now_ms)
                armed = await sale_rows.get(c, sale_id)
        except IntegrityError as error:
            raise _red_lights(
                [Problem("overlapping_sale", "another sale of this variant is not settled yet")]
            ) from error
        await snapshots.tell(self.hot_ledger, armed)
        return armed

    async def _move(
        self, c: AsyncConnection, sale: Sale, units: int, movement_id: str, reason: str, at_ms: int
    ) -> bool:
        return await stock.move(
            c,
            movement_id=movement_id,
            variant_id=sale.variant_id,
            sale_id=sale.sale_id,
            units=units,
            reason=reason,
            at_ms=at_ms,
        )

    async def disarm(self, sale_id: str) -> Sale:
        """Back to ready: terms may change again, and the units are back on the shelf."""
        return await self._back_to_ready(sale_id, "disarm", None)

    async def abort(self, sale_id: str, reason: str) -> Sale:
        """Stop the countdown, until 3 s before the opening; back to ready, units back on the shelf."""
        return await self._back_to_ready(sale_id, "abort", _reason(reason))

    async def _back_to_ready(self, sale_id: str, action: str, reason: str | None) -> Sale:
        async with self.database.begin() as c:
            sale, now_ms = await sale_rows.get(c, sale_id), self.clock_ms()
            next_state(sale.state, action)
            if action == "abort":
                require_abortable(sale, now_ms)
            cleared = {"terms_hash": None, "opens_at_ms": None, "closes_at_ms": None}
            await sale_rows.change(c, sale, action, now_ms, state_reason=reason, **cleared)
            free = await stock.free_units(c, sale_id)
            await self._move(c, sale, -free, f"{action}:{sale_id}:{sale.version}", action, now_ms)
            done = await sale_rows.get(c, sale_id)
            if done.capacity:  # somebody bound a hold before the opening: cannot be, and must not be hidden
                raise OutOfState("sale_has_holds", "units of this sale are held", sale_id=sale_id)
        await snapshots.tell(self.hot_ledger, done)
        return done

    async def fire(self, sale_id: str) -> Sale:
        """Start the countdown: the server fixes absolute opening and closing times."""
        now_ms = self.clock_ms()

        def times(sale: Sale) -> dict[str, Any]:
            opens_at_ms = now_ms + sale.countdown_ms
            return {
                "opens_at_ms": opens_at_ms,
                "closes_at_ms": opens_at_ms + sale.duration_ms,
                "state_reason": None,
            }

        return await self._change(sale_id, "fire", now_ms, times)

    async def pause(self, sale_id: str, reason: str = "host") -> Sale:
        """No new holds, and the sale's clock stands still. Holds keep their time; in a `payment_outage` they gain its length."""
        if reason not in PAUSE_REASONS:
            raise Invalid("bad_reason", f"reason is one of {', '.join(PAUSE_REASONS)}", field="reason")
        now_ms = self.clock_ms()
        return await self._change(
            sale_id, "pause", now_ms, lambda _: {"paused_at_ms": now_ms, "state_reason": reason}
        )

    async def resume(self, sale_id: str) -> Sale:
        """Open again after a countdown of 5 s, with the time that was left at the pause."""
        await self._lengthen_soft_holds(await self.get(sale_id))
        async with self.database.begin() as c:
            sale, now_ms = await sale_rows.get(c, sale_id), self.clock_ms()
            next_state(sale.state, "resume")
            opens_at_ms, closes_at_ms = resumed_times(sale, now_ms)
            values: dict[str, Any] = {
                "opens_at_ms": opens_at_ms,
                "closes_at_ms": closes_at_ms,
                "paused_at_ms": None,
            }
            if sale.state_reason == "payment_outage" and sale.paused_at_ms is not None:
                outage = (sale.paused_at_ms, max(0, now_ms - sale.paused_at_ms))
                values["outages"] = [*sale.outages, outage][-MAX_OUTAGES:]
                await self._lengthen_holds(c, sale, outage[1])
            await sale_rows.change(c, sale, "resume", now_ms, state_reason=None, **values)
            done = await sale_rows.get(c, sale_id)
        await snapshots.tell(self.hot_ledger, done)
        return done

    async def _lengthen_soft_holds(self, sale: Sale) -> None:
        """Before Redis hears that the pause is over, or it would free those whose time ended in it.

        Should Redis not hear of it, or forget it: SQL keeps the outage, and binds an old token as long as its hold has gained.
        """
        next_state(sale.state, "resume")
        if sale.state_reason != "payment_outage" or sale.paused_at_ms is None:
            return
        outage_ms = max(0, self.clock_ms() - sale.paused_at_ms)
        try:
            await self.hot_ledger.lengthen(sale.room_id, sale.sale_id, outage_ms, sale.paused_at_ms)
        except Unavailable as error:
            logger.warning("soft holds of sale %s did not gain the outage: %s", sale.sale_id, error.code)
        crash_points.reach("resume.lengthened")

    async def _lengthen_holds(self, c: AsyncConnection, sale: Sale, outage_ms: int) -> None:
        """Unpaid orders gain the outage: nobody loses a unit because our provider was down."""
        theirs = (hold_table.c.sale_id == sale.sale_id, hold_table.c.state == "bound")
        await c.execute(
            update(hold_table).where(*theirs).values(deadline_ms=hold_table.c.deadline_ms + outage_ms)
        )

    async def extend(self, sale_id: str) -> Sale:
        """Close later by what the published terms declared, once."""

        def later(sale: Sale) -> dict[str, Any]:
            if not sale.extendable_ms:
                raise Refused("not_extendable", "the published terms of this sale do not allow an extension")
            if sale.extended:
                raise OutOfState("already_extended", "a sale is extended once", state=sale.state)
            return {"closes_at_ms": (sale.closes_at_ms or 0) + sale.extendable_ms, "extended": True}

        return await self._change(sale_id, "extend", self.clock_ms(), later, sale_table.c.extended.is_(False))

    async def end_early(self, sale_id: str, reason: str = "host") -> Sale:
        """No new holds from now on; holds already granted are honoured to their own expiry."""
        now_ms = self.clock_ms()

        def closed(sale: Sale) -> dict[str, Any]:
            if sale.opened_at_ms is None:
                raise OutOfState("sale_state", "a sale that has not opened is aborted", state=sale.state)
            return {
                "closes_at_ms": now_ms,
                "closed_at_ms": now_ms,
                "state_reason": _reason(f"ended_early: {reason}"),
            }

        return await self._change(sale_id, "end_early", now_ms, closed)

    async def _change(
        self,
        sale_id: str,
        action: str,
        now_ms: int,
        values: Callable[[Sale], dict[str, Any]],
        *conditions: Any,
    ) -> Sale:
        async with self.database.begin() as c:
            sale = await sale_rows.get(c, sale_id)
            next_state(sale.state, action)
            await sale_rows.change(c, sale, action, now_ms, *conditions, **values(sale))
            done = await sale_rows.get(c, sale_id)
        await snapshots.tell(self.hot_ledger, done)
        return done

    async def add_stock(self, sale_id: str, units: int, movement_id: str) -> Sale:
        """Move units from the shelf into the running sale; the same movement id moves them once.

        A sold-out sale whose time is not over opens again.
        """
        _units(units)
        async with self.database.begin() as c:
            sale, now_ms = await sale_rows.get(c, sale_id), self.clock_ms()
            next_state(sale.state, "add_stock")
            if await self._move(c, sale, units, f"add:{sale_id}:{movement_id}", "add", now_ms):
                if reopens(sale, now_ms):
                    await sale_rows.change(c, sale, "reopen", now_ms, state_reason=None, closed_at_ms=None)
                else:
                    await sale_rows.change(c, sale, "add_stock", now_ms)
            done = await sale_rows.get(c, sale_id)
        await snapshots.tell(self.hot_ledger, done)
        return done

    async def withdraw_stock(self, sale_id: str, units: int, movement_id: str) -> Sale:
        """Move available units back to the shelf; held and sold ones are untouchable.

        Raises Refused("stock_short") with `withdrawable`. The hot ledger knows soft holds, so it is asked before, and again
        after the change: a hold that was granted in between gets its unit back.
        """
        _units(units)
        sale = await self.get(sale_id)
        next_state(sale.state, "withdraw_stock")
        numbers = await self.hot_ledger.numbers(
            sale.room_id, sale_id
        )  # Unavailable goes to the caller: no blind withdrawal
        withdrawable = min(sale.base, numbers.available) if numbers is not None else 0
        key = f"withdraw:{sale_id}:{movement_id}"
        async with self.database.begin() as c:
            sale, now_ms = await sale_rows.get(c, sale_id), self.clock_ms()
            next_state(sale.state, "withdraw_stock")
            if await self._move(c, sale, -units, key, "withdraw", now_ms):
                if units > withdrawable:
                    raise Refused(
                        "stock_short", f"only {withdrawable} can be withdrawn", withdrawable=withdrawable
                    )
                await sale_rows.change(c, sale, "withdraw_stock", now_ms)
            done = await sale_rows.get(c, sale_id)
        shown = await snapshots.tell(self.hot_ledger, done)
        if shown is None or shown.soft <= done.base:
            return done
        async with self.database.begin() as c:
            done = await sale_rows.get(c, sale_id)
            missing = min(units, shown.soft - done.base)
            if missing > 0:
                await self._move(c, done, missing, f"{key}:undo", "withdraw_undo", self.clock_ms())
                done = await sale_rows.get(c, sale_id)
        await snapshots.tell(self.hot_ledger, done)
        return done

    async def reconcile(self, sale_id: str) -> Sale:
        """Check the sale's sums against its holds and movements and tell Redis again. Raises Quarantined when they do not hold."""
        async with self.database.read() as c:
            sale = await sale_rows.get(c, sale_id)
            await require_sums(c, sale_id)
        await snapshots.tell(self.hot_ledger, sale)
        return sale

    async def tick(self, now_ms: int | None = None) -> Sales:
        """Do what the timers of all sales are due to do; the sales that changed. Several workers may call it at once."""
        return await sale_timers.tick(
            self.database, self.hot_ledger, self.clock_ms() if now_ms is None else now_ms
        )

    async def seed(self, sale_id: str) -> str | None:
        """The committed seed, once the sale is published; None before."""
        async with self.database.read() as c:
            sale = await sale_rows.get(c, sale_id)
            query = select(sale_table.c.seed).where(sale_table.c.sale_id == sale_id)
            return seed_of((await c.execute(query)).scalar_one()) if sale.state == "published" else None


def _red_lights(problems: list[Problem]) -> Refused:
    return Refused("preflight", problems[0].message, problems=[asdict(problem) for problem in problems])


def _reason(reason: str) -> str:
    text = reason.strip()
    if not 0 < len(text) <= MAX_REASON_CHARACTERS:
        raise Invalid("bad_reason", f"a reason has 1 to {MAX_REASON_CHARACTERS} characters", field="reason")
    return text


def _units(units: int) -> None:
    if type(units) is not int or not 0 < units <= 1_000_000:
        raise Invalid("bad_units", "units must be an integer from 1 to 1000000", field="units")
