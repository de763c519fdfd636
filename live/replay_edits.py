"""What a host makes of a show's film for those who watch it again: its chapters, where it begins and ends, whether it is shown at all.

The film itself stays whole. It is known by its room and the start of its show, as on the media process' shelf, of which SQL knows nothing:
times are those of the film (`film_ms`), and who writes them says how long it is. Without an edit all of it is shown, and its chapters are
the pins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import upsert
from commerce.errors import Invalid, OutOfState
from live.schema import replay_edit

MAX_CHAPTERS: Final = 100
MAX_FILM_MS: Final = 48 * 3_600_000
MIN_SHOWN_MS: Final = 1_000
MAX_EDITS: Final = 200
"""Of one room: as many as it has recordings."""
MARGIN_DAYS: Final = 7
"""A recording's days are counted from when its film was made: after a show of up to two days, and a while for a full disk."""
_EDIT: Final = replay_edit.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """`title` is by language, in one at least; `product_id` is the item that it shows, if any."""

    film_ms: int
    title: dict[str, str]
    product_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """`until_film_ms` None: to its end. `chapters` None: the pins. `version` grows with every change; 0 where there was none."""

    hidden: bool = False
    from_film_ms: int = 0
    until_film_ms: int | None = None
    chapters: tuple[Chapter, ...] | None = None
    version: int = 0

    @property
    def content(self) -> dict[str, Any]:
        """All but the version, in JSON's types."""
        content = asdict(self)
        del content["version"]
        return {**content, "chapters": None if self.chapters is None else list(content["chapters"])}


def check(edit: Edit, film_length_ms: int) -> None:
    """Raises Invalid `bad_cut`, `chapter_outside_film` or `chapters_out_of_order`, each with the field that is not right."""
    until_ms = film_length_ms if edit.until_film_ms is None else edit.until_film_ms
    if until_ms > film_length_ms:
        raise Invalid("bad_cut", "It ends inside the film.", field="until_film_ms")
    if edit.from_film_ms + MIN_SHOWN_MS > until_ms:
        raise Invalid("bad_cut", "At least a second of the film is left.", field="from_film_ms")
    before_ms = -1
    for number, chapter in enumerate(edit.chapters or ()):
        field = f"chapters.{number}.film_ms"
        if chapter.film_ms >= film_length_ms:
            raise Invalid("chapter_outside_film", "A chapter begins inside the film.", field=field)
        if chapter.film_ms <= before_ms:
            raise Invalid("chapters_out_of_order", "Each chapter begins after the one before.", field=field)
        before_ms = chapter.film_ms


async def get(c: AsyncConnection, room_id: str, started_at_ms: int) -> Edit:
    """The recording's; where nobody has edited it, what everybody sees then."""
    row = (await c.execute(select(replay_edit).where(_is(room_id, started_at_ms)))).mappings().first()
    if row is None:
        return Edit()
    chapters = row["chapters"]
    return Edit(
        hidden=row["hidden"],
        from_film_ms=row["from_film_ms"],
        until_film_ms=row["until_film_ms"],
        chapters=None if chapters is None else tuple(Chapter(**one) for one in chapters),
        version=row["version"],
    )


async def write(c: AsyncConnection, room_id: str, started_at_ms: int, wanted: Edit) -> tuple[Edit, Edit]:
    """The edit before and after; `wanted.version` is the one that it was made from. What reads as wanted already is left as it is.

    Raises OutOfState `replay_changed` with the edit as it is now, or `too_many_replays`.
    """
    before = await get(c, room_id, started_at_ms)
    if before.content == wanted.content:
        return before, before
    if before.version == wanted.version and await _put(c, room_id, started_at_ms, wanted):
        return before, await get(c, room_id, started_at_ms)
    now = await get(c, room_id, started_at_ms)
    raise OutOfState(
        "replay_changed",
        "Somebody else has changed this replay meanwhile.",
        version=now.version,
        **now.content,
    )


async def _put(c: AsyncConnection, room_id: str, started_at_ms: int, wanted: Edit) -> bool:
    """Whether nobody else was faster."""
    values = {**wanted.content, "version": wanted.version + 1}
    if wanted.version:
        of_version = and_(_is(room_id, started_at_ms), _EDIT.version == wanted.version)
        return (await c.execute(update(replay_edit).where(of_version).values(values))).rowcount == 1
    count = select(func.count()).select_from(replay_edit).where(_EDIT.room_id == room_id)
    if (await c.execute(count)).scalar_one() >= MAX_EDITS:
        raise OutOfState(
            "too_many_replays", f"A room has at most {MAX_EDITS} edited replays.", most=MAX_EDITS
        )
    statement = upsert.insert_into(c, replay_edit).values(
        room_id=room_id, started_at_ms=started_at_ms, **values
    )
    return await upsert.wrote(c, statement.on_conflict_do_nothing())


async def hidden(c: AsyncConnection, room_id: str) -> list[int]:
    """The room's recordings that viewers don't get, each by the start of its show; at most 200."""
    query = select(_EDIT.started_at_ms).where(_EDIT.room_id == room_id, _EDIT.hidden)
    return list((await c.execute(query.order_by(_EDIT.started_at_ms.desc()).limit(MAX_EDITS))).scalars())


async def forget(c: AsyncConnection, recordings: Sequence[tuple[str, int]]) -> None:
    """Drop what was made of these (room, start of the show)."""
    if recordings:
        await c.execute(delete(replay_edit).where(or_(*(_is(*one) for one in recordings))))


async def forget_old(c: AsyncConnection, days: int, now_ms: int) -> None:
    """Drop what was made of recordings that are gone, wherever nobody has told; 0 days keep recordings, and so all."""
    if days:
        before_ms = now_ms - (days + MARGIN_DAYS) * 86_400_000
        await c.execute(delete(replay_edit).where(_EDIT.started_at_ms < before_ms))


def _is(room_id: str, started_at_ms: int) -> ColumnElement[bool]:
    return and_(_EDIT.room_id == room_id, _EDIT.started_at_ms == started_at_ms)
