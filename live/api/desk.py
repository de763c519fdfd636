"""Who is at the sale desk: look, take it, leave it; ask for it, and answer who asks."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Any, Literal

from live import audit, desk_holder, open_consoles
from live.api.endpoint import READ, SELL, Call, Endpoint
from live.api.models import Model, UserId
from live.rooms import Room
from live.stock_values import PUBLISH_ERRORS

log = logging.getLogger("flashroom.api")


class DeskHolder(Model):
    user_id: str
    name: str
    since_ms: int


class DeskRequest(Model):
    """`answer`: null while the holder has until `answer_by_ms`; after that, and when `away`, as good as handed over, until
    `ends_at_ms`. After `keep` the same person may ask again from `ask_again_at_ms` on."""

    user_id: str
    name: str
    asked_at_ms: int
    answer_by_ms: int
    ask_again_at_ms: int
    ends_at_ms: int
    answer: Literal["hand_over", "keep", "away"] | None


class DeskShown(Model):
    """`holder` is None while nobody is at the desk; then the first who acts gets it."""

    holder: DeskHolder | None
    request: DeskRequest | None


class TakeDesk(Model):
    """`take_over_from`: the user id of the one who is at the desk now and let it go; left out, only a free desk is taken."""

    take_over_from: UserId | None = None


class AnswerDesk(Model):
    """`asker_id`: whom the answer is for."""

    asker_id: UserId
    answer: Literal["hand_over", "keep"]


async def _get(call: Call) -> DeskShown:
    return await _shown(call)


async def _take(call: Call) -> DeskShown:
    body: TakeDesk = call.body
    await take(call, body.take_over_from)
    return await _shown(call)


async def take(call: Call, take_over_from: str | None = None) -> None:
    """The caller to the desk, with its line in the log; all consoles see it. Raises OutOfState `desk_held`."""
    room_id, user_id = call.in_room.room_id, call.buyer_id
    async with call.wiring.database.begin() as c:
        before = await desk_holder.holder(c, room_id)
        after = await desk_holder.take(c, room_id, user_id, call.now_ms, take_over_from=take_over_from)
        if after is None:
            return
        await _record(
            c,
            call,
            "desk_take" if before is None else "desk_take_over",
            before={"desk": None if before is None else before.name},
            after={"desk": call.caller.name},
            call_id=f"{call.action_id}:desk",
        )
    await tell(call, after)
    await saw(call)


async def _release(call: Call) -> DeskShown:
    async with call.wiring.database.begin() as c:
        after = await desk_holder.release(c, call.in_room.room_id, call.buyer_id)
        if after is not None:
            await _record(c, call, "desk_release", before={"desk": call.caller.name}, after={"desk": None})
    return await _told(call, after)


async def _ask(call: Call) -> DeskShown:
    room_id, held_by = call.in_room.room_id, call.in_room.desk_user_id
    here = await open_consoles.who(call.wiring.redis, room_id, call.now_ms)
    # When Redis can't say who is here, the time limit decides.
    away = held_by is not None and here is not None and held_by not in here
    async with call.wiring.database.begin() as c:
        after = await desk_holder.ask(c, room_id, call.buyer_id, call.now_ms, is_holder_away=away)
        if after is not None:
            await _record(c, call, "desk_request", after={"holder_away": after.desk_answer == "away"})
    return await _told(call, after)


async def _answer(call: Call) -> DeskShown:
    body: AnswerDesk = call.body
    room_id = call.in_room.room_id
    async with call.wiring.database.begin() as c:
        after = await desk_holder.answer(c, room_id, call.buyer_id, body.asker_id, call.now_ms, body.answer)
        if after is not None:
            asked = await desk_holder.request(c, room_id, call.now_ms)
            name = "desk_hand_over" if body.answer == "hand_over" else "desk_keep"
            await _record(c, call, name, after={"asker": None if asked is None else asked.name})
    return await _told(call, after)


async def _withdraw(call: Call) -> DeskShown:
    async with call.wiring.database.begin() as c:
        after = await desk_holder.withdraw(c, call.in_room.room_id, call.buyer_id, call.now_ms)
        if after is not None:
            await _record(c, call, "desk_request_withdraw")
    return await _told(call, after)


async def require(call: Call) -> None:
    """Let an action on sales through for the one at the desk; a free desk becomes theirs. Raises OutOfState `desk_held`."""
    held_by = call.in_room.desk_user_id
    if held_by == call.buyer_id:
        await saw(call)
        return
    if held_by is not None:
        async with call.wiring.database.read() as c:
            raise desk_holder.held_by_other(await desk_holder.holder(c, call.in_room.room_id))
    await take(call)


async def saw(call: Call) -> None:
    """Note that the caller's console is open; when that can't be noted, a request for the desk waits its whole time."""
    try:
        await open_consoles.saw(call.wiring.redis, call.in_room.room_id, call.buyer_id, call.now_ms)
    except PUBLISH_ERRORS as error:
        log.warning("room %s: whose console is open is not noted: %s", call.in_room.room_id, error)


async def tell(call: Call, room: Room) -> None:
    """Show the room as it is now."""

    async def publish() -> None:
        await call.wiring.broker.publish(room.room_id, values=room.values())

    await in_time(room.room_id, publish())


async def in_time(room_id: str, work: Awaitable[None]) -> None:
    """Something that the worker does anyway within 2 s, done now. Never fails its caller."""
    try:
        await work
    except PUBLISH_ERRORS as error:
        log.warning("room %s: not done at once: %s", room_id, error)


async def _told(call: Call, after: Room | None) -> DeskShown:
    if after is not None:
        await tell(call, after)
    return await _shown(call)


async def _record(c: Any, call: Call, action: str, **about: Any) -> None:
    room_id = call.in_room.room_id
    about = {"call_id": call.action_id, **about}
    await audit.record(c, call.caller, room_id, action, room_id, at_ms=call.now_ms, **about)


async def _shown(call: Call) -> DeskShown:
    room_id = call.in_room.room_id
    async with call.wiring.database.read() as c:
        now = await desk_holder.holder(c, room_id)
        asked = None if now is None else await desk_holder.request(c, room_id, call.now_ms)
    if now is None:
        return DeskShown(holder=None, request=None)
    shown = DeskHolder(user_id=now.user_id, name=now.name, since_ms=now.since_ms)
    if asked is None:
        return DeskShown(holder=shown, request=None)
    return DeskShown(
        holder=shown,
        request=DeskRequest(
            user_id=asked.user_id,
            name=asked.name,
            asked_at_ms=asked.asked_at_ms,
            answer_by_ms=asked.answer_by_ms,
            ask_again_at_ms=asked.ask_again_at_ms,
            ends_at_ms=asked.ends_at_ms,
            answer=asked.answer,
        ),
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/desk",
        summary="Who holds the sale desk, and who asks for it",
        tag="desk",
        handler=_get,
        roles=READ,
        answer=DeskShown,
    ),
    Endpoint(
        method="PUT",
        path="/api/rooms/{room_id}/desk",
        summary="Take the free sale desk, or the one that its holder let go when asked",
        tag="desk",
        handler=_take,
        roles=SELL,
        body=TakeDesk,
        answer=DeskShown,
    ),
    Endpoint(
        method="DELETE",
        path="/api/rooms/{room_id}/desk",
        summary="Leave the sale desk free",
        tag="desk",
        handler=_release,
        roles=SELL,
        answer=DeskShown,
    ),
    Endpoint(
        method="PUT",
        path="/api/rooms/{room_id}/desk/request",
        summary="Ask the holder for the sale desk; they have 10 s to answer, and the desk passes at once when they are away",
        tag="desk",
        handler=_ask,
        roles=SELL,
        answer=DeskShown,
    ),
    Endpoint(
        method="DELETE",
        path="/api/rooms/{room_id}/desk/request",
        summary="Ask for the sale desk no longer",
        tag="desk",
        handler=_withdraw,
        roles=SELL,
        answer=DeskShown,
    ),
    Endpoint(
        method="POST",
        path="/api/rooms/{room_id}/desk/answer",
        summary="Hand the sale desk over to the one who asks, or keep it",
        tag="desk",
        handler=_answer,
        roles=SELL,
        body=AnswerDesk,
        answer=DeskShown,
    ),
)
