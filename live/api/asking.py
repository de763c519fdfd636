"""A call whose amount needs a second person: it does nothing, and asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from live import approvals
from live.api import desk
from live.api.endpoint import Call
from live.approvals import Approval
from live.problems import HttpProblem
from live.second_person import SecondPersonNeeded
from live.wiring import new_id


@asynccontextmanager
async def asking(call: Call, action: str, target: str, params: dict[str, Any]) -> AsyncIterator[None]:
    """Do the thing in the block. When that takes a second person nothing of it stands, and `params` wait for the answer.

    The call is answered 409 `second_person_needed`, not 202: it did not do what it was asked, and a client that knows nothing of second
    persons must not take it for done. Repeated, it gives the same answer and never acts, whatever has become of the request.
    """
    async with call.wiring.database.read() as c:
        before = await approvals.asked_by_call(c, call.action_id)
    if before is not None:
        raise _needed(before)
    try:
        yield
    except SecondPersonNeeded as needed:
        if params.get("amount_minor", 0) is None:  # "all that is left" is this much, and no more
            params = params | {"amount_minor": needed.spending.amount_minor}
        async with call.wiring.database.begin() as c:
            asked, room = await approvals.ask(
                c,
                call.caller,
                action,
                target,
                params,
                needed.spending,
                approval_id=new_id("ap"),
                call_id=call.action_id,
                now_ms=call.now_ms,
            )
        await desk.tell(call, room)
        raise _needed(asked) from None


def _needed(asked: Approval) -> HttpProblem:
    return HttpProblem(
        409,
        "second_person_needed",
        "This amount needs a second person. It waits for one, and nothing is done until then.",
        approval_id=asked.approval_id,
        amount_minor=asked.amount_minor,
        currency=asked.currency,
        ends_at_ms=asked.ends_at_ms,
    )
