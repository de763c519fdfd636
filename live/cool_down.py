"""A pause after money went back: a person's next refund, cancelled order or payment sent back waits a moment, so that a slip of the
finger, a script gone wrong or a stolen session moves one amount and not twenty.

Kept in SQL, in the transaction that moves the money: it holds across all web processes, two calls at once can't both pass, and Redis
being away makes no difference: without SQL no money moves either.

The sale desk doesn't cool down. A host on air arms, fires and adds stock within seconds, and stopping them there costs the show; no
money leaves by it, and large amounts have their second person. Nor does an approval: two people have looked at it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import upsert
from live.limits import TooMany
from live.schema import money_action

_AT: Final = money_action.c.at_ms


class CoolingDown(TooMany):
    """The same person moved money in this room a moment ago."""

    def __init__(self, retry_after_ms: int) -> None:
        super().__init__(
            retry_after_ms, "cooling_down", "You moved money a moment ago. Look again, then go on."
        )


async def begin(
    c: AsyncConnection, room_id: str, user_id: str, call_id: str, now_ms: int, cool_down_ms: int
) -> None:
    """This person moves money now. Raises CoolingDown; not for the same call again."""
    if not cool_down_ms:
        return
    statement = upsert.insert_into(c, money_action).values(
        room_id=room_id, user_id=user_id, at_ms=now_ms, call_id=call_id
    )
    statement = statement.on_conflict_do_update(
        index_elements=["room_id", "user_id"],
        set_={"at_ms": now_ms, "call_id": call_id},
        where=or_(
            now_ms - cool_down_ms >= _AT,
            now_ms + cool_down_ms < _AT,  # a machine's clock was wrong: nobody is locked out by it
            money_action.c.call_id == call_id,
        ),
    )
    if not await upsert.wrote(c, statement):
        ends_at_ms = await until(c, room_id, user_id, now_ms, cool_down_ms)
        raise CoolingDown(max(1, min(cool_down_ms, (ends_at_ms or now_ms) - now_ms)))


async def until(c: AsyncConnection, room_id: str, user_id: str, now_ms: int, cool_down_ms: int) -> int | None:
    """When this person may move money again in this room; None when they may now."""
    query = select(_AT).where(money_action.c.room_id == room_id, money_action.c.user_id == user_id)
    at_ms: int | None = (await c.execute(query)).scalar()
    if at_ms is None or not now_ms - cool_down_ms < at_ms <= now_ms + cool_down_ms:
        return None
    return at_ms + cool_down_ms
