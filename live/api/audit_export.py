"""The whole action log of a room as a file: CSV for people, JSON lines for programs. Taking it is itself a line in it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

from starlette.responses import Response, StreamingResponse

from commerce.csv_lines import csv_lines, iso_time
from live import audit
from live.api.endpoint import READ, Call, Endpoint
from live.wiring import new_id

COLUMNS: Final = ("time", "who", "actor_id", "action", "target", "before", "after", "audit_id", "source")
Write = Callable[[Sequence[audit.Entry]], str]


async def _csv(call: Call) -> Response:
    return await _file(call, "csv", "text/csv", csv_lines([COLUMNS]), _as_csv)


async def _json(call: Call) -> Response:
    return await _file(call, "jsonl", "application/x-ndjson", "", _as_json)


def _as_csv(entries: Sequence[audit.Entry]) -> str:
    return csv_lines(
        [
            (
                *(iso_time(one.at_ms), one.actor_name, one.actor_id, one.action, one.target),
                *(one.before, one.after, one.audit_id, one.source),
            )
            for one in entries
        ]
    )


def _as_json(entries: Sequence[audit.Entry]) -> str:
    return "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in entries)


async def _file(call: Call, kind: str, media_type: str, head: str, write: Write) -> Response:
    room_id, database = call.in_room.room_id, call.wiring.database
    async with database.begin() as c:
        await audit.record(
            c,
            call.caller,
            room_id,
            "log_export",
            room_id,
            at_ms=call.now_ms,
            call_id=new_id("ex"),
            after={"format": kind},
        )
        first, cursor = await audit.entries(c, room_id, audit.MAX_PAGE, None)

    async def lines() -> AsyncIterator[str]:
        yield head + write(first)
        more = cursor
        while more is not None:  # each page its own look, so that memory doesn't grow with the show
            async with database.read() as reading:
                page, more = await audit.entries(reading, room_id, audit.MAX_PAGE, more)
            yield write(page)

    headers = {
        "Content-Disposition": f'attachment; filename="log-{room_id}.{kind}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(lines(), media_type=media_type, headers=headers)


def _endpoint(name: str, summary: str, media_type: str, handler: Any) -> Endpoint:
    return Endpoint(
        method="GET",
        path=f"/api/rooms/{{room_id}}/{name}",
        summary=summary,
        tag="rooms",
        handler=handler,
        roles=READ,
        media_type=media_type,
    )


ENDPOINTS = (
    _endpoint("audit.csv", "The action log as CSV (RFC 4180), newest first", "text/csv", _csv),
    _endpoint("audit.jsonl", "The action log as JSON lines, newest first", "application/x-ndjson", _json),
)
