"""A show's film as its viewers get it: its chapters, where it begins and ends, whether it is shown. For whoever watches, and its owner."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from live import replay_edits
from live.api.endpoint import OWN, Call, Endpoint, record
from live.api.models import Line80, Localised, Model, ProductId
from live.replay_edits import Chapter, Edit

FilmMs = Annotated[int, Field(ge=0, le=replay_edits.MAX_FILM_MS)]
MAX_BODY_BYTES = 128 * 1024
"""A hundred chapters with long titles in two languages."""


class ChapterTitle(Model):
    """In one language at least."""

    en: Line80 | None = None
    zh: Line80 | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.en is None and self.zh is None:
            raise ValueError("give a title in one language at least")
        return self


class ChapterBody(Model):
    """It begins at `film_ms` of the film; `product_id` is the item that it shows, if any."""

    film_ms: FilmMs
    title: ChapterTitle
    product_id: ProductId | None


class ReplayBody(Model):
    """`version`: of the edit that this one was made from, so that nobody's work is overwritten unseen; 0: nobody had edited it.

    `film_length_ms` is the film's, within which everything lies. `until_film_ms` null: to its end. `chapters` null: as they were pinned.
    """

    version: Annotated[int, Field(ge=0)]
    film_length_ms: Annotated[int, Field(ge=replay_edits.MIN_SHOWN_MS, le=replay_edits.MAX_FILM_MS)]
    hidden: bool
    from_film_ms: FilmMs
    until_film_ms: FilmMs | None
    chapters: Annotated[list[ChapterBody], Field(max_length=replay_edits.MAX_CHAPTERS)] | None


class ChapterShown(Model):
    film_ms: int
    title: Localised
    product_id: str | None


class ReplayShown(Model):
    """`chapters` null: as they were pinned. Of what is hidden nobody but the owner gets more than that it is."""

    recording_id: str
    version: int
    hidden: bool
    from_film_ms: int
    until_film_ms: int | None
    chapters: list[ChapterShown] | None


def _shown(recording_id: str, edit: Edit) -> ReplayShown:
    return ReplayShown(recording_id=recording_id, version=edit.version, **edit.content)


async def _get(call: Call) -> ReplayShown:
    room_id, recording_id = call.in_room.room_id, call.parameter("recording_id")
    async with call.wiring.database.read() as c:
        edit = await replay_edits.get(c, room_id, int(recording_id))
    if edit.hidden and call.caller.role_in(room_id) not in OWN:
        edit = Edit(hidden=True, version=edit.version)
    return _shown(recording_id, edit)


async def _put(call: Call) -> ReplayShown:
    body: ReplayBody = call.body
    recording_id = call.parameter("recording_id")
    chapters = None if body.chapters is None else tuple(_chapter(one) for one in body.chapters)
    wanted = Edit(
        hidden=body.hidden,
        from_film_ms=body.from_film_ms,
        until_film_ms=body.until_film_ms,
        chapters=chapters,
        version=body.version,
    )
    replay_edits.check(wanted, body.film_length_ms)
    async with call.wiring.database.begin() as c:
        before, after = await replay_edits.write(c, call.in_room.room_id, int(recording_id), wanted)
        if before != after:
            old, new = _told(before, after), _told(after, before)
            await record(c, call, "replay_edit", recording_id, before=old, after=new)
    return _shown(recording_id, after)


def _chapter(body: ChapterBody) -> Chapter:
    return Chapter(
        film_ms=body.film_ms, title=body.title.model_dump(exclude_none=True), product_id=body.product_id
    )


def _told(edit: Edit, other: Edit) -> dict[str, Any]:
    """For the log: of the chapters those that the other one has not, as lines to read."""
    told = edit.content
    if edit.chapters is not None:
        own = [one for one in edit.chapters if one not in (other.chapters or ())]
        told["chapters"] = "; ".join(f"{_clock(one.film_ms)} {' / '.join(one.title.values())}" for one in own)
    return told


def _clock(film_ms: int) -> str:
    minutes, seconds = divmod(film_ms // 1000, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


_PATH = "/api/rooms/{room_id}/replays/{recording_id}"
ENDPOINTS = (
    Endpoint(
        method="GET",
        path=_PATH,
        summary="What the host has made of a show's film: chapters, beginning and end, whether it is shown",
        tag="replay",
        handler=_get,
        answer=ReplayShown,
    ),
    Endpoint(
        method="PUT",
        path=_PATH,
        summary="Set chapters, beginning and end and visibility of a show's replay, unless somebody else has changed them meanwhile",
        tag="replay",
        handler=_put,
        roles=OWN,
        body=ReplayBody,
        answer=ReplayShown,
        max_body_bytes=MAX_BODY_BYTES,
    ),
)
