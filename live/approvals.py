"""Requests for a second person: one asks, another approves, and only then is it done.

asked -> done | declined | withdrawn | failed; one that nobody answered in time has expired, which the clock says and no row.

What is asked for was tried, and rolled back: so only what could be done is asked for, and `outcome` is exactly what would come of it.
Approving marks the request and does the thing in one transaction. There is no moment between the two in which a process could die: it is
done and marked, once, or neither. What would come to another outcome by then is refused (`second_person.check`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import crash_points
from commerce.errors import Forbidden, NotFound, OutOfState
from live import audit, rooms
from live.identity import Caller, User
from live.people import SELLS
from live.rooms import Room
from live.schema import approval as approval_table
from live.schema import room as room_table
from live.schema import room_role
from live.schema import user as user_table

LASTS_MS: Final = 15 * 60_000
"""So long a request may be approved."""
SHOWN_MS: Final = 2 * LASTS_MS
KEEP_MS: Final = 30 * 86_400_000
MAX_WAITING: Final = 20
"""Requests that may wait in a room at once."""

_OWNS: Final = frozenset({"owner"})
_PRODUCES: Final = frozenset({"host", "owner"})
ASKS: Final[Mapping[str, frozenset[str]]] = {
    "order_refund": SELLS,
    "sale_arm": SELLS,
    "sale_stock": SELLS,
    "payment_send_back": _OWNS,
    "second_person_set": _OWNS,
}
"""What may need a second person -> the roles that may do it."""
ANSWERS: Final[Mapping[str, frozenset[str]]] = {**ASKS, "second_person_set": _PRODUCES}
"""-> the roles that may approve or decline it. An owner's host is near; a second owner often isn't."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What one call is about to commit, and the total that counts: of an order's refunds, or of all units of a sale."""

    room_id: str
    amount_minor: int | None
    total_minor: int
    currency: str
    outcome: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A request and what became of it. `expired` is never in a row."""

    approval_id: str
    room_id: str
    action: str
    target: str
    amount_minor: int | None
    currency: str
    params: dict[str, Any]
    outcome: dict[str, Any]
    state: str
    problem: str | None
    asker_id: str
    asker_name: str
    asked_at_ms: int
    ends_at_ms: int
    answerer_id: str | None
    answerer_name: str | None
    answered_at_ms: int | None

    def state_at(self, now_ms: int) -> str:
        return "expired" if self.state == "asked" and now_ms >= self.ends_at_ms else self.state

    @property
    def asker(self) -> Caller:
        """Whose action it is, for the log."""
        return Caller(None, User(self.asker_id, "", self.asker_name, {}), "")


@dataclass(frozen=True, slots=True)
class Approved:
    """Somebody else's word for a request, on its way into the transaction that does the thing."""

    approval: Approval
    by: Caller
    call_id: str
    at_ms: int


async def ask(
    c: AsyncConnection,
    by: Caller,
    action: str,
    target: str,
    params: dict[str, Any],
    spending: Spending,
    *,
    approval_id: str,
    call_id: str,
    now_ms: int,
) -> tuple[Approval, Room]:
    """The request, which waits from now on; the one there is when this person asked for just this already.

    Raises OutOfState `second_person_missing` where nobody could answer, `too_many_approvals`.
    """
    room_id = spending.room_id
    room = await touch(c, room_id)
    waiting = await _waiting(c, room_id, now_ms)
    for one in waiting:
        if (one.asker_id, one.action, one.target, one.params, one.outcome) == (
            by.buyer_id,
            action,
            target,
            params,
            spending.outcome,
        ):
            return one, room
    if not await can_be_answered(c, room_id, action, by):
        raise OutOfState(
            "second_person_missing",
            "This amount needs a second person, and nobody else here may approve it. "
            "Give somebody the role, or have an owner raise the value.",
        )
    if len(waiting) >= MAX_WAITING:
        raise OutOfState("too_many_approvals", f"At most {MAX_WAITING} requests may wait.")
    await c.execute(
        insert(approval_table).values(
            approval_id=approval_id,
            room_id=room_id,
            action=action,
            target=target,
            amount_minor=spending.amount_minor,
            currency=spending.currency,
            params=params,
            outcome=spending.outcome,
            state="asked",
            asker_id=by.buyer_id,
            asked_at_ms=now_ms,
            ends_at_ms=now_ms + LASTS_MS,
            call_id=call_id,
        )
    )
    asked = await get(c, room_id, approval_id)
    await _record(c, by, asked, "approval_ask", call_id, now_ms, until_ms=asked.ends_at_ms)
    return asked, room


async def asked_by_call(c: AsyncConnection, call_id: str) -> Approval | None:
    """What this very call asked for, when it came before: then it waits for the answer, whatever has become of the value."""
    row = (await c.execute(_approvals().where(approval_table.c.call_id == call_id))).first()
    return None if row is None else _approval(row)


async def get(c: AsyncConnection, room_id: str, approval_id: str) -> Approval:
    """Raises NotFound `unknown_approval`."""
    query = _approvals().where(
        approval_table.c.room_id == room_id, approval_table.c.approval_id == approval_id
    )
    row = (await c.execute(query)).first()
    if row is None:
        raise NotFound("unknown_approval", "There is no such request.")
    return _approval(row)


async def list_recent(c: AsyncConnection, room_id: str, now_ms: int) -> list[Approval]:
    """What waits, then what was answered of late, newest first: however much was asked and withdrawn, what waits is never missing."""
    order = (
        approval_table.c.state != "asked",
        approval_table.c.asked_at_ms.desc(),
        approval_table.c.approval_id,
    )
    query = _approvals().where(
        approval_table.c.room_id == room_id, approval_table.c.asked_at_ms > now_ms - SHOWN_MS
    )
    rows = await c.execute(query.order_by(*order).limit(2 * MAX_WAITING))
    return [_approval(row) for row in rows]


def may_answer(approval: Approval, by: Caller) -> bool:
    """Whether this one is a second person for it: the account counts, whichever session it comes with."""
    return by.buyer_id != approval.asker_id and by.role_in(approval.room_id) in ANSWERS[approval.action]


async def _check_answerer(c: AsyncConnection, approval: Approval, by: Caller) -> None:
    """Raises Forbidden `own_request`, `wrong_role`; OutOfState `asker_left` when who asked may no longer do it."""
    if by.buyer_id == approval.asker_id:
        raise Forbidden("own_request", "A second person has to answer: not the one who asked.")
    if not may_answer(approval, by):
        raise Forbidden("wrong_role", f"This needs one of: {', '.join(sorted(ANSWERS[approval.action]))}.")
    query = select(room_role.c.role).where(
        room_role.c.room_id == approval.room_id, room_role.c.user_id == approval.asker_id
    )
    if (await c.execute(query)).scalar() not in ASKS[approval.action]:
        raise OutOfState("asker_left", f"{approval.asker_name} may not do this any more.")


async def use(c: AsyncConnection, approved: Approved) -> None:
    """Mark the request as done, first thing in the transaction that does it. Raises OutOfState `approval_over`.

    The row's lock keeps a second approver, and the asker who withdraws, waiting until this transaction has ended.
    """
    approval, by = approved.approval, approved.by
    await _check_answerer(c, approval, by)
    await _answer(c, approval, "done", approved.at_ms, answerer_id=by.buyer_id)
    await _record(c, by, approval, "approval_approve", approved.call_id, approved.at_ms)
    crash_points.reach("approval.marked")


async def decline(c: AsyncConnection, approval: Approval, by: Caller, call_id: str, now_ms: int) -> Room:
    """Somebody else says no. Raises as `use` does."""
    await _check_answerer(c, approval, by)
    room = await _answer(c, approval, "declined", now_ms, answerer_id=by.buyer_id)
    await _record(c, by, approval, "approval_decline", call_id, now_ms)
    return room


async def withdraw(c: AsyncConnection, approval: Approval, by: Caller, call_id: str, now_ms: int) -> Room:
    """Who asked doesn't want it any more. Raises Forbidden `not_yours`, OutOfState `approval_over`."""
    if by.buyer_id != approval.asker_id:
        raise Forbidden("not_yours", "Only who asked may withdraw a request. You may decline it.")
    room = await _answer(c, approval, "withdrawn", now_ms)
    await _record(c, by, approval, "approval_withdraw", call_id, now_ms)
    return room


async def fail(c: AsyncConnection, approved: Approved, problem: str) -> Room:
    """It was approved and can't be done any more: who asked is told, and asks again if they like."""
    approval, by, at_ms = approved.approval, approved.by, approved.at_ms
    room = await _answer(c, approval, "failed", at_ms, answerer_id=by.buyer_id, problem=problem[:80])
    await _record(c, by, approval, "approval_fail", approved.call_id, at_ms, problem=problem)
    return room


async def forget_old(c: AsyncConnection, now_ms: int) -> int:
    """Delete requests older than 30 days: the log keeps what became of them. How many."""
    old = approval_table.c.asked_at_ms < now_ms - KEEP_MS
    return (await c.execute(delete(approval_table).where(old))).rowcount


async def can_be_answered(c: AsyncConnection, room_id: str, action: str, asker: Caller) -> bool:
    """Whether somebody else works here who may answer."""
    query = select(func.count()).where(
        room_role.c.room_id == room_id,
        room_role.c.user_id != asker.buyer_id,
        room_role.c.role.in_(sorted(ANSWERS[action])),
    )
    return bool((await c.execute(query)).scalar_one())


async def _waiting(c: AsyncConnection, room_id: str, now_ms: int) -> list[Approval]:
    query = _approvals().where(
        approval_table.c.room_id == room_id,
        approval_table.c.state == "asked",
        approval_table.c.asked_at_ms > now_ms - LASTS_MS,
    )
    return [_approval(row) for row in await c.execute(query)]


async def _answer(c: AsyncConnection, approval: Approval, state: str, now_ms: int, **values: Any) -> Room:
    cas = update(approval_table).where(
        approval_table.c.approval_id == approval.approval_id,
        approval_table.c.state == "asked",
        approval_table.c.ends_at_ms > now_ms,
    )
    if (await c.execute(cas.values(state=state, answered_at_ms=now_ms, **values))).rowcount != 1:
        now = await get(c, approval.room_id, approval.approval_id)
        state = now.state_at(now_ms)
        raise OutOfState("approval_over", f"This request is over: {state}.", state=state)
    return await touch(c, approval.room_id)


async def touch(c: AsyncConnection, room_id: str) -> Room:
    """The room with a higher version of what waits; locked until the transaction ends."""
    return await rooms.change(c, room_id, approvals_version=room_table.c.approvals_version + 1)


async def _record(
    c: AsyncConnection, by: Caller, approval: Approval, action: str, call_id: str, now_ms: int, **more: Any
) -> None:
    about = {"request": approval.action, "amount_minor": approval.amount_minor}
    if by.buyer_id != approval.asker_id:
        about["asked_by"] = approval.asker_name
    await audit.record(
        c,
        by,
        approval.room_id,
        action,
        approval.target,
        at_ms=now_ms,
        call_id=f"{call_id}:{action}",
        after=about | more | {"currency": approval.currency},
    )


_ASKER: Final = user_table.alias("asker")
_ANSWERER: Final = user_table.alias("answerer")


def _approvals() -> Select[Any]:
    columns = [column for column in approval_table.c if column.name != "call_id"]
    return select(
        *columns, _ASKER.c.name.label("asker_name"), _ANSWERER.c.name.label("answerer_name")
    ).select_from(
        approval_table.join(_ASKER, _ASKER.c.user_id == approval_table.c.asker_id).outerjoin(
            _ANSWERER, _ANSWERER.c.user_id == approval_table.c.answerer_id
        )
    )


def _approval(row: Row[Any]) -> Approval:
    return Approval(**row._mapping)
