"""The value above which a room's amounts need a second person (`approvals`), and the check that nothing above it is done without.

It has a currency. Nobody here knows exchange rates, so an amount in another one always needs a second person.
Who sets a value may lower it alone. To raise it or switch it off takes a second person again, else one could do that, act, and set it back.
Where nobody else could answer, the owner does it alone, and the log says so: a lone owner is never locked out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.errors import OutOfState
from live import approvals, audit, rooms
from live.approvals import Approved, Spending
from live.identity import Caller
from live.rooms import Room


@dataclass(frozen=True, slots=True)
class Limit:
    """Amounts above `above_minor`, and all in other currencies, need a second person."""

    above_minor: int
    currency: str

    def covers(self, amount_minor: int, currency: str) -> bool:
        return currency == self.currency and amount_minor <= self.above_minor


class SecondPersonNeeded(OutOfState):
    """The call would commit more than one person may; its transaction is rolled back."""

    def __init__(self, spending: Spending) -> None:
        super().__init__("second_person_needed", "This amount needs a second person.")
        self.spending = spending


def limit_of(room: Room) -> Limit | None:
    """The value above which amounts need a second person; None when it is off."""
    if room.second_person_minor is None or room.second_person_currency is None:
        return None
    return Limit(room.second_person_minor, room.second_person_currency)


async def check(c: AsyncConnection, spending: Spending, approved: Approved | None) -> None:
    """Let what was just done in this transaction stand. Raises SecondPersonNeeded, OutOfState `changed_since_asked`.

    Asked after the change, under its locks: two refunds at once can't each look at a total without the other.
    """
    if approved is None:
        limit = limit_of(await rooms.get(c, spending.room_id))
        if limit is None or limit.covers(spending.total_minor, spending.currency):
            return
    _require(spending, approved)


def _require(spending: Spending, approved: Approved | None) -> None:
    if approved is None:
        raise SecondPersonNeeded(spending)
    if spending.outcome != approved.approval.outcome:
        raise OutOfState("changed_since_asked", "It has changed since it was asked for. Ask again.")


async def set_limit(
    c: AsyncConnection,
    by: Caller,
    room_id: str,
    new: Limit | None,
    *,
    now_ms: int,
    call_id: str,
    approved: Approved | None = None,
) -> Room:
    """The room with this value. Raises SecondPersonNeeded where it is loosened and somebody else could answer."""
    if approved is not None:
        await approvals.use(c, approved)
    room = await approvals.touch(c, room_id)  # locks the room: two who change it take turns
    before = limit_of(room)
    alone = False
    is_looser = before is not None and (new is None or not before.covers(new.above_minor, new.currency))
    if is_looser or approved is not None:
        alone = approved is None and not await approvals.can_be_answered(c, room_id, "second_person_set", by)
        if not alone:
            spending = Spending(
                room_id=room_id,
                amount_minor=None if new is None else new.above_minor,
                total_minor=0,
                currency=_shown(new or before)["currency"],
                outcome={"before": _shown(before), "after": _shown(new)},
            )
            _require(spending, approved)
    if before == new:
        return room
    after = _shown(new)
    if approved is not None:
        after["approved_by"] = approved.by.name
    if alone:
        after["alone"] = True
    await audit.record(
        c,
        by,
        room_id,
        "second_person_set",
        room_id,
        at_ms=now_ms,
        call_id=call_id,
        before=_shown(before),
        after=after,
    )
    return await rooms.change(
        c,
        room_id,
        second_person_minor=None if new is None else new.above_minor,
        second_person_currency=None if new is None else new.currency,
    )


def _shown(limit: Limit | None) -> dict[str, Any]:
    return {
        "above_minor": None if limit is None else limit.above_minor,
        "currency": None if limit is None else limit.currency,
    }
