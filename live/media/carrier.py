"""Which rooms this media process carries, and who carries the others. Without Redis it carries whatever comes: video goes on."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from redis.exceptions import RedisError

from live.media.places import ROOM_LOAD, Place, Places
from live.media.sessions import Sessions
from live.settings import Settings

log = logging.getLogger("flashroom.media")

ANSWER_S: Final = 1.0
BEGINS_WITHIN_S: Final = 15.0
"""A room that was claimed for a publisher is kept for so long before anything comes: longer than an answer and a handshake may take."""
NO_ANSWER: Final = (RedisError, OSError, TimeoutError)


@dataclass(slots=True)
class _Lease:
    fence: int
    claimed_at_s: float


class Carrier:
    """This process among the others. `places` is there once Redis has answered."""

    def __init__(self, settings: Settings, sessions: Sessions, clock_s: Callable[[], float]) -> None:
        self.process_id = secrets.token_hex(6)
        self.places: Places | None = None
        self.on_lost: Callable[[str], None] = lambda _: None
        """Told of each room that another process carries now."""
        self.lost = 0
        self._settings = settings
        self._sessions = sessions
        self._clock_s = clock_s
        self._held: dict[str, _Lease] = {}
        self.is_known = False
        """Whether Redis has heard of this process; until then it carries whatever comes."""

    @property
    def place(self) -> Place:
        """As others find this process."""
        base = self._settings.media_base()
        peer_url = self._settings.media_peer_url
        return Place(
            self.process_id,
            self._settings.media_port,
            base,
            peer_url.replace("{n}", "1") if peer_url else base or self._settings.local_media_url,
            sum(s.token.audience == "whep" for s in self._sessions.by_id.values()),
            self._settings.media_viewers,
        )

    @property
    def held(self) -> int:
        """How many rooms are carried here."""
        return len(self._held)

    async def claim(self, room_id: str) -> Place | None:
        """Carry the room, or give the process that does. While Redis doesn't answer it is carried here, until Redis says more."""
        if self.places is None or not self.is_known:
            return None
        try:
            async with asyncio.timeout(ANSWER_S):
                owner, fence, place = await self.places.claim(self.process_id, room_id)
        except NO_ANSWER as error:
            log.warning("Redis does not say who carries room %s: %s", room_id, error)
            return None
        if owner != self.process_id:
            return place
        self._held[room_id] = _Lease(fence, self._clock_s())
        return None

    async def elsewhere(self, room_id: str) -> Place | None:
        """The other process that carries the room; None when this one does, nobody does, or Redis doesn't answer."""
        if self.places is None or room_id in self._held:
            return None
        try:
            async with asyncio.timeout(ANSWER_S):
                owner = (await self.places.find(room_id)).owner
        except NO_ANSWER as error:
            log.warning("Redis does not say where room %s is: %s", room_id, error)
            return None
        return owner if owner is not None and owner.process_id != self.process_id else None

    async def beat(self) -> None:
        """Each second: be known, renew what is carried, let go of what is over or was lost. Raises RedisError and OSError."""
        if self.places is None:
            return
        if not self.is_known:
            await self.places.beat(self.place, 0, {}, is_first=True)
            self.is_known = True
        for room_id in [room_id for room_id in self._carried() if room_id not in self._held]:
            if await self.claim(room_id) is not None:  # begun without Redis, and another was first
                self._lose(room_id)
        over = {room_id: lease.fence for room_id, lease in self._held.items() if not self._goes_on(room_id)}
        for room_id in over:
            del self._held[room_id]
        held = {room_id: lease.fence for room_id, lease in self._held.items()}
        load = len(self._sessions.by_id) + ROOM_LOAD * len(held)
        for room_id in await self.places.beat(self.place, load, held):
            self._held.pop(room_id, None)
            self._lose(room_id)
        if over:
            await self.places.release(self.process_id, over)

    async def leave(self) -> None:
        """At the end: others may have the rooms at once. Without Redis they have them when the time is out."""
        if self.places is None:
            return
        held = {room_id: lease.fence for room_id, lease in self._held.items()}
        try:
            async with asyncio.timeout(ANSWER_S):
                await self.places.release(self.process_id, held, ends=True)
        except NO_ANSWER as error:
            log.warning("could not let go of the rooms carried here: %s", error)

    def _carried(self) -> list[str]:
        return [
            room_id
            for room_id, stream in self._sessions.streams.items()
            if self._sessions.is_on_air(room_id) and not stream.is_relayed
        ]

    def _goes_on(self, room_id: str) -> bool:
        since_s = self._clock_s() - self._held[room_id].claimed_at_s
        return since_s < BEGINS_WITHIN_S or room_id in self._carried()

    def _lose(self, room_id: str) -> None:
        log.warning("room %s is carried by another media process now", room_id)
        self.lost += 1
        self._sessions.give_up(room_id)
        self.on_lost(room_id)
