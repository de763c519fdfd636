"""Keeping a chat decent: delete, mute, ban, slow mode, review, followers only. Each is one call with one line in the audit log."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import StringConstraints

from live import rooms
from live.api import models
from live.api.endpoint import MODERATE, Call, Endpoint, record
from live.problems import HttpProblem


class PinnedComment(models.Model):
    comment_id: Annotated[str, StringConstraints(pattern=r"^co_[A-Za-z0-9_]{1,60}$")] | None


class Answered(models.Model):
    answered: bool


async def _note(call: Call, action: str, target: str, after: Any = None, before: Any = None) -> None:
    async with call.wiring.database.begin() as c:
        await record(c, call, action, target, before=before, after=after)


async def _delete_comment(call: Call) -> None:
    await _tell_deleted(call, restored=False)


async def _restore_comment(call: Call) -> None:
    await _tell_deleted(call, restored=True)


async def _pin_comment(call: Call) -> None:
    body: PinnedComment = call.body
    room_id = call.in_room.room_id
    pinned = None
    if body.comment_id is not None:
        found = await call.wiring.broker.find_comment(room_id, body.comment_id)
        if found is None:
            raise HttpProblem(
                404, "unknown_comment", "This comment is not among the room's last 2,000 events."
            )
        pinned = {"id": body.comment_id, "name": str(found["name"]), "text": str(found["text"])}
    await _set_pinned(call, pinned, "comment_pin" if pinned else "comment_unpin")


async def _set_pinned(call: Call, pinned: dict[str, str] | None, action: str) -> None:
    room_id = call.in_room.room_id
    async with call.wiring.database.begin() as c:
        before = await rooms.get(c, room_id)
        after = await rooms.change(c, room_id, pinned_comment=pinned)
        await record(
            c,
            call,
            action,
            (pinned or before.pinned_comment or {"id": room_id})["id"],
            before=before.pinned_comment,
            after=pinned,
        )
    await call.wiring.broker.publish(room_id, values=after.values())


async def _tell_deleted(call: Call, *, restored: bool) -> None:
    comment_id = call.parameter("comment_id")
    pinned = call.in_room.pinned_comment
    if not restored and pinned is not None and pinned["id"] == comment_id:
        async with call.wiring.database.begin() as c:
            after = await rooms.change(c, call.in_room.room_id, pinned_comment=None)
        await call.wiring.broker.publish(call.in_room.room_id, values=after.values())
    event: dict[str, Any] = {"id": comment_id}
    if restored:
        event["restored"] = True
    await call.wiring.broker.publish(
        call.in_room.room_id, events=[("comment_deleted", event)], once=f"deleted:{call.action_id}"
    )
    await _note(call, "comment_restore" if restored else "comment_delete", comment_id)


async def _mark_answered(call: Call) -> None:
    """An event, so that all consoles agree; viewers' pages have no use for it."""
    body: Answered = call.body
    comment_id = call.parameter("comment_id")
    event = {"id": comment_id, "answered": body.answered}
    await call.wiring.broker.publish(
        call.in_room.room_id, events=[("comment_answered", event)], once=f"answered:{call.action_id}"
    )
    await _note(call, "comment_answered" if body.answered else "comment_not_answered", comment_id)


async def _mute(call: Call) -> None:
    body: models.Mute = call.body
    until_ms = call.now_ms + body.seconds * 1000
    await call.wiring.broker.mute(call.in_room.room_id, body.viewer_id, until_ms)
    await _note(call, "mute", body.viewer_id, {"until_ms": until_ms})


async def _unmute(call: Call) -> None:
    viewer_id = call.parameter("viewer_id")
    await call.wiring.broker.unmute(call.in_room.room_id, viewer_id)
    await _note(call, "unmute", viewer_id)


async def _ban(call: Call) -> None:
    body: models.Ban = call.body
    await call.wiring.broker.ban(call.in_room.room_id, body.viewer_id)
    await _note(call, "ban", body.viewer_id)


async def _unban(call: Call) -> None:
    viewer_id = call.parameter("viewer_id")
    await call.wiring.broker.unban(call.in_room.room_id, viewer_id)
    await _note(call, "unban", viewer_id)


async def _set_chat(call: Call) -> models.ChatRulesBody:
    body: models.ChatRulesBody = call.body
    before = call.in_room
    async with call.wiring.database.begin() as c:
        after = await rooms.change(
            c,
            before.room_id,
            slow_mode_s=body.slow_mode_s,
            review=body.review,
            chat_off=body.off,
            followers_only=body.followers_only,
        )
        await record(
            c,
            call,
            "chat_rules",
            before.room_id,
            before=asdict(before.chat_rules),
            after=body.model_dump(),
        )
    broker = call.wiring.broker
    await broker.set_chat_rules(before.room_id, after.chat_rules, after.version)
    await broker.publish(before.room_id, values=after.values())
    return body


async def _held_comments(call: Call) -> models.HeldComments:
    held = await call.wiring.broker.held_comments(call.in_room.room_id)
    return models.HeldComments(comments=[models.HeldComment(**comment) for comment in held])


async def _settle_held(call: Call) -> None:
    body: models.Approval = call.body
    comment_id = call.parameter("comment_id")
    settled = await call.wiring.broker.settle_held_comment(
        call.in_room.room_id, comment_id, approve=body.approve
    )
    if not settled:
        raise HttpProblem(404, "unknown_comment", "No comment of this id is kept for review.")
    await _note(call, "comment_approve" if body.approve else "comment_reject", comment_id)


def _endpoint(method: str, path: str, summary: str, handler: Any, **options: Any) -> Endpoint:
    return Endpoint(
        method=method,
        path=f"/api/rooms/{{room_id}}/{path}",
        summary=summary,
        tag="moderation",
        handler=handler,
        roles=MODERATE,
        **{"status": 204, **options},
    )


ENDPOINTS = (
    _endpoint("DELETE", "comments/{comment_id}", "Take a comment off every page", _delete_comment),
    _endpoint(
        "POST",
        "comments/{comment_id}/restore",
        "Undo a deletion",
        _restore_comment,
        body=models.Empty,
    ),
    _endpoint(
        "PUT",
        "comments/{comment_id}/answered",
        "Say whether a question has been answered; everybody who moderates sees it",
        _mark_answered,
        body=Answered,
    ),
    _endpoint(
        "PUT",
        "pinned-comment",
        "Keep a comment on top of the chat; null lets it go",
        _pin_comment,
        body=PinnedComment,
    ),
    _endpoint("POST", "mutes", "Let a viewer not write for a while", _mute, body=models.Mute),
    _endpoint("DELETE", "mutes/{viewer_id}", "Let a muted viewer write again", _unmute),
    _endpoint("POST", "bans", "Send a viewer out of the room for good", _ban, body=models.Ban),
    _endpoint("DELETE", "bans/{viewer_id}", "Let a banned viewer in again", _unban),
    _endpoint(
        "PUT",
        "chat",
        "Slow mode, hold for review, chat off, followers only",
        _set_chat,
        body=models.ChatRulesBody,
        answer=models.ChatRulesBody,
        status=200,
    ),
    _endpoint(
        "GET",
        "held-comments",
        "Comments kept for review, oldest first",
        _held_comments,
        answer=models.HeldComments,
        status=200,
    ),
    _endpoint(
        "POST",
        "held-comments/{comment_id}",
        "Publish or drop a comment kept for review",
        _settle_held,
        body=models.Approval,
    ),
)
