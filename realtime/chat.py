"""The command `comment`: what is said, by whom, and whether it appears at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

from realtime import protocol
from realtime.addresses import is_local
from realtime.broker import Broker, BrokerUnavailable, now_ms
from realtime.tickets import Viewer

STAFF_ROLES: Final = frozenset({"moderator", "host", "seller", "owner"})
"""Exempt from slow mode, review, the word list, and a chat that is off or for followers; not from the rate limit, mutes and bans."""


class Chat:
    """Comments of one hub process. `is_connected(room_id)` says whether what is published would be heard."""

    def __init__(self, broker: Broker, is_connected: Callable[[str], bool]) -> None:
        self._broker = broker
        self._is_connected = is_connected

    async def comment(self, viewer: Viewer, params: dict[str, Any]) -> dict[str, Any]:
        """The reply's payload. Raises CommandError with the reason, RedisError."""
        text = protocol.text_parameter(params, "text", 1, protocol.MAX_COMMENT_CHARACTERS)
        comment: dict[str, Any] = {
            "id": f"co_{random.getrandbits(64):016x}",
            "viewer_id": viewer.viewer_id,
            "name": viewer.name,
            "role": viewer.role,
            "text": text,
            "at_ms": now_ms(),
        }
        if viewer.ghost:
            comment["ghost"] = True
        if params.get("reply_to") is not None:
            comment["reply_to"] = protocol.text_parameter(params, "reply_to", 1, 40)
        if not self._is_connected(viewer.room_id):
            raise BrokerUnavailable
        is_staff = viewer.role in STAFF_ROLES
        passes = await self._broker.may_comment(
            viewer.room_id,
            viewer.viewer_id,
            "" if is_local(viewer.address) else viewer.address,
            staff=is_staff,
            now_ms=comment["at_ms"],
        )
        if not is_staff and (not passes or self._broker.word_filter.finds(text)):
            await self._broker.hold_comment(viewer.room_id, comment)
            return {"comment_id": comment["id"], "held": True}
        published = await self._broker.publish(viewer.room_id, events=[("comment", comment)])
        return {"comment_id": comment["id"], "offset": published.offset}
