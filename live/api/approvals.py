"""What waits for a second person: look, approve, decline, withdraw; and the value above which it has to."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from commerce import crash_points
from commerce.errors import CommerceError, Forbidden, OutOfState, Unavailable
from commerce.payments import quarantine
from live import approvals, console, cool_down, desk_holder, rooms, second_person
from live.api import desk
from live.api.asking import asking
from live.api.endpoint import OWN, SELL, Call, Endpoint
from live.api.models import MAX_MINOR, Empty, Model
from live.api.orders import tell as tell_order
from live.api.run_of_show import room_currency
from live.approvals import Approval, Approved
from live.console import Action
from live.second_person import Limit

_MOMENTARY: Final = frozenset({"preflight", "desk_held", "asker_left"})
"""Refusals that may be gone in a minute: the request goes on waiting."""


class LimitShown(Model):
    above_minor: int
    currency: str


class Answerer(Model):
    user_id: str
    name: str


class ApprovalShown(Model):
    """`params` are the call's, as they will be used; `outcome` is what it comes to, with a sale's terms hash or an order's refunds in
    all. `amount_minor` is null for a value that is to be switched off. `problem` says why a `failed` one could not be done."""

    approval_id: str
    action: Literal["order_refund", "sale_arm", "sale_stock", "payment_send_back", "second_person_set"]
    target: str
    amount_minor: int | None
    currency: str
    params: dict[str, Any]
    outcome: dict[str, Any]
    state: Literal["asked", "done", "declined", "withdrawn", "failed", "expired"]
    problem: str | None
    asker: Answerer
    asked_at_ms: int
    ends_at_ms: int
    answerer: Answerer | None
    answered_at_ms: int | None
    may_answer: bool
    """Whether it waits for the caller's answer."""


class ApprovalsShown(Model):
    """`limit` is null while no amount needs a second person. `cooling_until_ms`: until then the caller moves no money."""

    version: int
    limit: LimitShown | None
    cooling_until_ms: int | None
    approvals: list[ApprovalShown]


class NewLimit(Model):
    """`above_minor` null switches it off; 0 means every amount. The currency is that of the room's products unless given."""

    above_minor: Annotated[int, Field(ge=0, le=MAX_MINOR)] | None
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None


async def _list(call: Call) -> ApprovalsShown:
    room, wiring = call.in_room, call.wiring
    async with wiring.database.read() as c:
        found = await approvals.list_recent(c, room.room_id, call.now_ms)
        cooling = await cool_down.until(
            c, room.room_id, call.caller.principal, call.now_ms, wiring.settings.cool_down_ms
        )
    limit = second_person.limit_of(room)
    return ApprovalsShown(
        version=room.approvals_version,
        limit=None if limit is None else LimitShown(above_minor=limit.above_minor, currency=limit.currency),
        cooling_until_ms=cooling,
        approvals=[_shown(one, call) for one in found],
    )


def _shown(approval: Approval, call: Call) -> ApprovalShown:
    state, answerer = approval.state_at(call.now_ms), None
    if approval.answerer_id is not None:
        answerer = Answerer(user_id=approval.answerer_id, name=approval.answerer_name or "")
    return ApprovalShown.model_validate(
        {
            **{name: getattr(approval, name) for name in _PLAIN},
            "state": state,
            "may_answer": state == "asked" and approvals.may_answer(approval, call.caller),
            "asker": Answerer(user_id=approval.asker_id, name=approval.asker_name),
            "answerer": answerer,
        }
    )


_PLAIN = [
    name for name in ApprovalShown.model_fields if name not in ("state", "asker", "answerer", "may_answer")
]


async def _get(call: Call) -> Approval:
    async with call.wiring.database.read() as c:
        return await approvals.get(c, call.in_room.room_id, call.parameter("approval_id"))


async def _approve(call: Call) -> ApprovalShown:
    approval = await _get(call)
    if (approval.state, approval.answerer_id) != ("done", call.buyer_id):  # else this call came before
        approved = Approved(approval, call.caller, call.action_id, call.now_ms)
        try:
            await _do(call, approved)
        except CommerceError as refusal:
            await _failed(call, approved, refusal)
            raise
        crash_points.reach("approval.done")
    return await _told(call)


async def _do(call: Call, approved: Approved) -> None:
    """What was asked for, in the asker's name; the keys that make it happen once come from the request's id."""
    wiring, asked = call.wiring, approved.approval
    action = Action(asked.asker, asked.action, asked.approval_id, call.now_ms, approved=approved)
    match asked.action:
        case "order_refund":
            refunds = console.audited_after_sales(wiring.after_sales, action, asked.target)
            order = await refunds.refund(asked.target, asked.approval_id, **asked.params)
            await tell_order(call, order)
        case "sale_arm" | "sale_stock":
            await _check_desk(call, asked)
            sales = console.audited_desk(wiring.sale_desk, action, asked.target)
            if asked.action == "sale_arm":
                sale = await sales.arm(asked.target)
            else:
                sale = await sales.add_stock(asked.target, asked.params["delta"], asked.approval_id)
            await wiring.projector.publish_sale(sale)
        case "payment_send_back":
            async with console.audited_payment(wiring.database, action, asked.target).begin() as c:
                await quarantine.send_back(c, asked.room_id, asked.target, call.now_ms)
        case "second_person_set":
            async with wiring.database.begin() as c:
                await second_person.set_limit(
                    c,
                    asked.asker,
                    asked.room_id,
                    _limit(asked.params),
                    now_ms=call.now_ms,
                    call_id=asked.approval_id,
                    approved=approved,
                )


async def _check_desk(call: Call, asked: Approval) -> None:
    """Nothing happens to a sale under the hands of a third who has the desk by now."""
    if call.in_room.desk_user_id not in (None, asked.asker_id, call.buyer_id):
        async with call.wiring.database.read() as c:
            raise desk_holder.held_by_other(await desk_holder.holder(c, asked.room_id))


async def _failed(call: Call, approved: Approved, refusal: CommerceError) -> None:
    """It could be done when it was asked for, so something has changed since: then the request is over."""
    if isinstance(refusal, Unavailable | Forbidden) or refusal.code in _MOMENTARY:
        return
    try:
        async with call.wiring.database.begin() as c:
            room = await approvals.fail(c, approved, refusal.code)
    except OutOfState:  # somebody answered it meanwhile, or its time is over: that was the refusal
        return
    await desk.tell(call, room)


async def _decline(call: Call) -> ApprovalShown:
    approval = await _get(call)
    if (approval.state, approval.answerer_id) != ("declined", call.buyer_id):
        async with call.wiring.database.begin() as c:
            await approvals.decline(c, approval, call.caller, call.action_id, call.now_ms)
    return await _told(call)


async def _withdraw(call: Call) -> ApprovalShown:
    approval = await _get(call)
    if (approval.state, approval.asker_id) != ("withdrawn", call.buyer_id):
        async with call.wiring.database.begin() as c:
            await approvals.withdraw(c, approval, call.caller, call.action_id, call.now_ms)
    return await _told(call)


async def _told(call: Call) -> ApprovalShown:
    """The request as it is now, and the room told that it changed."""
    async with call.wiring.database.read() as c:
        now = await approvals.get(c, call.in_room.room_id, call.parameter("approval_id"))
        room = await rooms.get(c, now.room_id)
    await desk.tell(call, room)
    return _shown(now, call)


async def _set(call: Call) -> ApprovalsShown:
    body: NewLimit = call.body
    room_id = call.in_room.room_id
    params = {"above_minor": body.above_minor, "currency": body.currency or await room_currency(call)}
    async with asking(call, "second_person_set", room_id, params):
        async with call.wiring.database.begin() as c:
            call.room = await second_person.set_limit(
                c, call.caller, room_id, _limit(params), now_ms=call.now_ms, call_id=call.action_id
            )
    await desk.tell(call, call.in_room)
    return await _list(call)


def _limit(params: dict[str, Any]) -> Limit | None:
    return None if params["above_minor"] is None else Limit(params["above_minor"], params["currency"])


def _endpoint(method: str, path: str, summary: str, handler: Any, **options: Any) -> Endpoint:
    return Endpoint(
        method=method,
        path=f"/api/rooms/{{room_id}}/{path}",
        summary=summary,
        tag="approvals",
        handler=handler,
        **{"roles": SELL, "answer": ApprovalShown, **options},
    )


ENDPOINTS = (
    _endpoint(
        "GET",
        "approvals",
        "What waits for a second person, what came of it in the last half hour, and the value above which it has to",
        _list,
        answer=ApprovalsShown,
    ),
    _endpoint(
        "POST",
        "approvals/{approval_id}/approve",
        "Have it done, once, exactly as it was asked for; not by who asked",
        _approve,
        body=Empty,
    ),
    _endpoint(
        "POST", "approvals/{approval_id}/decline", "Say no to it; not by who asked", _decline, body=Empty
    ),
    _endpoint("DELETE", "approvals/{approval_id}", "Ask for it no longer", _withdraw),
    _endpoint(
        "PUT",
        "second-person",
        "Amounts above this need a second person; raising it or switching it off does so, too",
        _set,
        roles=OWN,
        body=NewLimit,
        answer=ApprovalsShown,
    ),
)
