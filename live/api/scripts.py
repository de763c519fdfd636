"""The host's script: what is said of each item and in which minute, for those who work in the room."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from live import scripts
from live.api import desk
from live.api.endpoint import READ, SELL, Call, Endpoint, record
from live.api.models import Model

Text = Annotated[str, StringConstraints(max_length=scripts.MAX_CHARACTERS), AfterValidator(scripts.clean)]
Minute = Annotated[int, Field(ge=0, le=scripts.MAX_MINUTE)]


class ScriptShown(Model):
    """`minute` of the show in which the item's turn is planned, or null."""

    product_id: str
    script: str
    minute: int | None
    version: int


class ScriptsShown(Model):
    """In the run's order. `version` is that of the value `scripts`, which says when they are others."""

    scripts: list[ScriptShown]
    version: int


class ScriptBody(Model):
    """`version`: of the script that this one was made from, so that nobody's work is overwritten unseen."""

    script: Text
    minute: Minute | None
    version: Annotated[int, Field(ge=0)]


async def _list(call: Call) -> ScriptsShown:
    room_id = call.in_room.room_id
    async with call.wiring.database.read() as c:
        found = await scripts.read(c, room_id)
    # The room was read before its scripts: at worst a console asks once more.
    return ScriptsShown(
        scripts=[ScriptShown(**asdict(one)) for one in found], version=call.in_room.script_version
    )


async def _write(call: Call) -> ScriptShown:
    body: ScriptBody = call.body
    room_id, product_id = call.in_room.room_id, call.parameter("product_id")
    async with call.wiring.database.begin() as c:
        before = await scripts.get(c, room_id, product_id)
        room, after = await scripts.write(
            c, room_id, product_id, script=body.script, minute=body.minute, based_on=body.version
        )
        # Its length, not its text: the log is read by more people, and for longer.
        await record(
            c,
            call,
            "run_script",
            product_id,
            before={"script_characters": len(before.script), "minute": before.minute},
            after={"script_characters": len(after.script), "minute": after.minute},
        )
    await desk.tell(call, room)
    return ScriptShown(**asdict(after))


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/rooms/{room_id}/scripts",
        summary="What the host says of each item, and in which minute",
        tag="run of show",
        handler=_list,
        roles=READ,
        answer=ScriptsShown,
    ),
    Endpoint(
        method="PUT",
        path="/api/rooms/{room_id}/products/{product_id}/script",
        summary="Set an item's script and minute, unless somebody else has changed them meanwhile",
        tag="run of show",
        handler=_write,
        roles=SELL,
        body=ScriptBody,
        answer=ScriptShown,
    ),
)
