"""Tells a room what is on air: the value `media` of realtime/PROTOCOL.md, changed within 3 s and renewed each 2 s."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import RedisError

from live.media.sessions import Sessions
from realtime.broker import BrokerUnavailable
from realtime.protocol import CommandError, Value

log = logging.getLogger("flashroom.media")

LOOK_S: Final = 0.5
RENEW_S: Final = 2.0
PUBLISH_TIMEOUT_S: Final = 2.0
SAME_SHOW_MS: Final = 120_000
"""A picture that comes back within this goes on in the same media time, whichever process carries it then."""

Publish = Callable[[str, Mapping[str, Value]], Awaitable[Any]]
Renew = Callable[[Collection[str]], Awaitable[set[str]]]
"""Speaks for rooms, and gives those that were given up meanwhile (`OnAir.renew`)."""
ValueNow = Callable[[str], Awaitable[Mapping[str, Any] | None]]
"""A room's value `media` as Redis has it. Raises as `Publish` does."""


@dataclass(slots=True)
class _Said:
    version: int
    data: dict[str, Any]
    at_s: float


class Announcer:
    """Watches the streams of a process. A Redis that doesn't answer is asked again later: video goes on without it."""

    def __init__(
        self,
        sessions: Sessions,
        publish: Publish,
        clock_ms: Callable[[], int],
        clock_s: Callable[[], float],
        renew: Renew | None = None,
        value_now: ValueNow | None = None,
    ) -> None:
        self._value_now = value_now
        self._renew = renew
        self._sessions = sessions
        self._publish = publish
        self._clock_ms = clock_ms
        self._clock_s = clock_s
        self._said: dict[str, _Said] = {}
        self.recording_state: Callable[[str], str] = lambda _: "off"
        """Whether a room is being recorded; set where recordings are."""

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, then say that nothing is on air any more."""
        while not stop.is_set():
            await self.look()
            try:
                await asyncio.wait_for(stop.wait(), LOOK_S)
            except TimeoutError:
                continue
        for room_id in list(self._said):
            await self._say_if_due(room_id, False)

    async def look(self) -> None:
        """Say what has changed, and what was last said 2 s ago."""
        streams = self._sessions.streams
        for room_id in [room_id for room_id, stream in streams.items() if stream.is_relayed]:
            self.forget(room_id)
        on_air = {
            room_id: stream.is_publishing for room_id, stream in streams.items() if not stream.is_relayed
        }
        await self._speak_for([room_id for room_id, publishing in on_air.items() if publishing])
        for room_id in [*on_air, *(known for known in self._said if known not in on_air)]:
            await self._say_if_due(room_id, on_air.get(room_id, False))
            if room_id not in on_air:
                self._said.pop(room_id, None)

    def forget(self, room_id: str) -> None:
        """Another process speaks for this room now: say nothing more of it."""
        self._said.pop(room_id, None)

    async def _speak_for(self, room_ids: list[str]) -> None:
        """Before anything is said: a process that dies in between must not leave a word that nobody takes back."""
        if self._renew is None:
            return
        try:
            given_up = await asyncio.wait_for(self._renew(room_ids), PUBLISH_TIMEOUT_S)
        except (BrokerUnavailable, RedisError, OSError, TimeoutError) as error:
            log.debug("could not speak for the rooms on air: %s", error)
            return
        for room_id in given_up:
            self._said.pop(room_id, None)  # said again, under a new version

    async def _say_if_due(self, room_id: str, publishing: bool) -> None:
        said = self._said.get(room_id)
        now_s, now_ms = self._clock_s(), self._clock_ms()
        if said is None and not publishing:
            return  # nobody was ever on air here: another process may know more
        recording = self.recording_state(room_id)
        if said is None or said.data["publishing"] != publishing or said.data["recording"] != recording:
            try:
                before = said.data if said is not None else await self._said_by_others(room_id)
            except (BrokerUnavailable, RedisError, OSError, TimeoutError) as error:
                log.warning("could not read what room %s knows of its video: %s", room_id, error)
                return  # later: a media time of our own would tear the show's in two
            goes_on = said is not None and said.data["publishing"] == publishing
            data = {
                "publishing": publishing,
                "since_ms": said.data["since_ms"] if goes_on and said is not None else now_ms,
                "zero_ms": _zero_ms(before, now_ms),
                "recording": recording,
                "whep": f"/whep/{room_id}",
                "hls": f"/hls/{room_id}/index.m3u8",
            }
            said = self._said[room_id] = _Said(now_ms, data, -RENEW_S)
        elif now_s - said.at_s < RENEW_S:
            return
        try:
            await asyncio.wait_for(
                self._publish(room_id, {"media": (said.version, said.data)}), PUBLISH_TIMEOUT_S
            )
            said.at_s = now_s
        except (BrokerUnavailable, CommandError, OSError, TimeoutError) as error:
            log.warning("could not tell room %s about its video: %s", room_id, error)

    async def _said_by_others(self, room_id: str) -> Mapping[str, Any] | None:
        if self._value_now is None:
            return None
        return await asyncio.wait_for(self._value_now(room_id), PUBLISH_TIMEOUT_S)


def _zero_ms(before: Mapping[str, Any] | None, now_ms: int) -> int:
    """The server's time at media time 0: as it was, unless the picture was gone for so long that this is another show."""
    zero_ms: int | None = (before or {}).get("zero_ms")
    if before is None or zero_ms is None:
        return now_ms
    is_same = before["publishing"] or now_ms - before["since_ms"] <= SAME_SHOW_MS
    return zero_ms if is_same else now_ms
