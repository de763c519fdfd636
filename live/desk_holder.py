"""One person holds the sale desk of a room; others look. A desk that nobody holds goes to whoever acts first.

A take-over asks both: somebody asks, the holder hands over or keeps, and who asked takes it by a press of their own. Without an answer in
time, or with a holder who is away, it may be taken as if handed over. Until then the desk stays with its holder: no moment has two.

The holder is a person, not a window: the phone of the one at the desk is a remote for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from commerce.errors import OutOfState
from live import rooms
from live.rooms import Room
from live.schema import room as room_table
from live.schema import user as user_table

ANSWER_WITHIN_MS: Final = 10_000
"""So long the holder has to answer; then whoever asked may take the desk."""
REQUEST_LASTS_MS: Final = 60_000
"""After this a request is forgotten, whatever came of it."""
REST_MS: Final = 30_000
"""Who was told "keep" asks again only so long after having asked."""

Answer = Literal["hand_over", "keep", "away"]
_NO_REQUEST: Final = {"desk_asker_id": None, "desk_asked_at_ms": None, "desk_answer": None}
_ROOM = room_table.c


@dataclass(frozen=True, slots=True)
class Holder:
    """Who is at the desk, since when."""

    user_id: str
    name: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks for the desk; `answer` is `away` when the holder was when asked, None while there is none."""

    user_id: str
    name: str
    asked_at_ms: int
    answer: Answer | None

    @property
    def answer_by_ms(self) -> int:
        return self.asked_at_ms + ANSWER_WITHIN_MS

    @property
    def ask_again_at_ms(self) -> int:
        return self.asked_at_ms + REST_MS

    @property
    def ends_at_ms(self) -> int:
        return self.asked_at_ms + REQUEST_LASTS_MS


async def holder(c: AsyncConnection, room_id: str) -> Holder | None:
    """Who holds the desk of the room; None for nobody."""
    query = (
        select(user_table.c.user_id, user_table.c.name, _ROOM.desk_since_ms)
        .join_from(room_table, user_table, _ROOM.desk_user_id == user_table.c.user_id)
        .where(_ROOM.room_id == room_id)
    )
    row = (await c.execute(query)).first()
    return None if row is None else Holder(row.user_id, row.name, row.desk_since_ms)


async def request(c: AsyncConnection, room_id: str, now_ms: int) -> Request | None:
    """The request that still counts; None for none."""
    query = (
        select(user_table.c.user_id, user_table.c.name, _ROOM.desk_asked_at_ms, _ROOM.desk_answer)
        .join_from(room_table, user_table, _ROOM.desk_asker_id == user_table.c.user_id)
        .where(_ROOM.room_id == room_id, _ROOM.desk_asked_at_ms > now_ms - REQUEST_LASTS_MS)
    )
    row = (await c.execute(query)).first()
    return None if row is None else Request(row.user_id, row.name, row.desk_asked_at_ms, row.desk_answer)


async def take(
    c: AsyncConnection, room_id: str, user_id: str, now_ms: int, *, take_over_from: str | None = None
) -> Room | None:
    """Give the desk to this user, who then holds it; None when they did already.

    From somebody else only when that one is named and their request has passed.
    Raises OutOfState `desk_held` with the holder's id and name.
    """
    may: ColumnElement[bool] = _ROOM.desk_user_id.is_(None)
    if take_over_from is not None:
        passed = or_(
            _ROOM.desk_answer.in_(("hand_over", "away")),
            and_(_ROOM.desk_answer.is_(None), _ROOM.desk_asked_at_ms <= now_ms - ANSWER_WITHIN_MS),
        )
        may = or_(may, and_(_ROOM.desk_user_id == take_over_from, _asked_by(user_id, now_ms), passed))
    after = await _set(c, room_id, may, desk_user_id=user_id, desk_since_ms=now_ms, **_NO_REQUEST)
    if after is not None:
        return after
    now = await holder(c, room_id)
    if now is not None and now.user_id == user_id:
        return None
    raise held_by_other(now)


async def ask(
    c: AsyncConnection, room_id: str, user_id: str, now_ms: int, *, is_holder_away: bool
) -> Room | None:
    """Ask the holder for the desk; None when this user's request stands already.

    Raises OutOfState `desk_free` (take it), `desk_asked` (somebody else asks now), `desk_kept` (the holder said so a moment ago).
    """
    may = and_(
        _ROOM.desk_user_id.is_not(None),
        _ROOM.desk_user_id != user_id,
        or_(
            _ROOM.desk_asker_id.is_(None),
            _ROOM.desk_asked_at_ms <= now_ms - REQUEST_LASTS_MS,
            and_(
                _ROOM.desk_answer == "keep",
                or_(_ROOM.desk_asker_id != user_id, _ROOM.desk_asked_at_ms <= now_ms - REST_MS),
            ),
        ),
    )
    answer = "away" if is_holder_away else None
    after = await _set(c, room_id, may, desk_asker_id=user_id, desk_asked_at_ms=now_ms, desk_answer=answer)
    if after is not None:
        return after
    now, asked = await holder(c, room_id), await request(c, room_id, now_ms)
    if now is None or now.user_id == user_id or asked is None:
        raise OutOfState("desk_free", "There is nobody to ask: take the desk.")
    if asked.user_id != user_id:
        raise OutOfState("desk_asked", f"{asked.name} asks for the desk already.", asker_name=asked.name)
    if asked.answer == "keep":
        wait_ms = asked.ask_again_at_ms - now_ms
        raise OutOfState(
            "desk_kept", f"{now.name} keeps the desk.", holder_name=now.name, retry_after_ms=wait_ms
        )
    return None


async def answer(
    c: AsyncConnection,
    room_id: str,
    user_id: str,
    asker_id: str,
    now_ms: int,
    said: Literal["hand_over", "keep"],
) -> Room | None:
    """What the holder says to a request; None when they said the same before.

    Raises OutOfState `desk_request_gone`: nobody asks, it was answered otherwise, or it is too late to keep.
    """
    may = and_(_ROOM.desk_user_id == user_id, _asked_by(asker_id, now_ms), _ROOM.desk_answer.is_(None))
    if said == "keep":
        may = and_(may, _ROOM.desk_asked_at_ms > now_ms - ANSWER_WITHIN_MS)
    after = await _set(c, room_id, may, desk_answer=said)
    if after is not None:
        return after
    asked = await request(c, room_id, now_ms)
    if asked is not None and (asked.user_id, asked.answer) == (asker_id, said):
        return None
    raise OutOfState("desk_request_gone", "This request does not wait for an answer any more.")


async def withdraw(c: AsyncConnection, room_id: str, user_id: str, now_ms: int) -> Room | None:
    """Ask no longer; None when this user did not. A "keep" stays, or withdrawing would be a way to ask again at once."""
    may = and_(_asked_by(user_id, now_ms), or_(_ROOM.desk_answer.is_(None), _ROOM.desk_answer != "keep"))
    return await _set(c, room_id, may, **_NO_REQUEST)


async def release(c: AsyncConnection, room_id: str, user_id: str) -> Room | None:
    """Leave the desk free; None when this user did not hold it."""
    return await _set(
        c, room_id, _ROOM.desk_user_id == user_id, desk_user_id=None, desk_since_ms=None, **_NO_REQUEST
    )


def held_by_other(now: Holder | None) -> OutOfState:
    """The refusal that names who is at the desk."""
    name = "Somebody else" if now is None else now.name
    return OutOfState(
        "desk_held",
        f"{name} has the desk. Ask for it first.",
        holder_id=None if now is None else now.user_id,
        holder_name=name,
    )


def _asked_by(user_id: str, now_ms: int) -> ColumnElement[bool]:
    return and_(_ROOM.desk_asker_id == user_id, _ROOM.desk_asked_at_ms > now_ms - REQUEST_LASTS_MS)


async def _set(c: AsyncConnection, room_id: str, may: ColumnElement[bool], **values: object) -> Room | None:
    changed = await c.execute(
        update(room_table).where(_ROOM.room_id == room_id, may).values(version=_ROOM.version + 1, **values)
    )
    return await rooms.get(c, room_id) if changed.rowcount else None
