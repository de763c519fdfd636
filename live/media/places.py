"""The media processes there are, and which room each carries: in Redis, for the processes themselves and for `web`.

A process says each second that it is at work, and renews the lease of each room it carries; both count for 3 s (`TIMEOUT_MS`) of Redis'
clock. A room's lease has a fence, a number that grows with each new carrier: whoever was frozen and comes back finds that his is old,
and lets go. All keys share one hash tag, so that each script is for one node of a cluster.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

from live.origins import host_name
from live.shared_reads import SharedReads

TIMEOUT_MS: Final = 3_000
PROCESSES_SHOWN: Final = 200
CLEARLY_LESS: Final = 20
"""So many sessions fewer make another process worth a redirect."""
ROOM_LOAD: Final = 10
"""What a room counts for until its process says its load again, so that rooms that begin together are spread."""
_KEYS: Final = tuple(
    f"flashroom:{{media}}:{name}" for name in ("seen", "load", "known", "leases", "owners", "fence")
)
_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Place:
    """A media process, as others find it."""

    process_id: str
    port: int
    public_url: str | None
    peer_url: str
    """Where other media processes reach it."""
    viewers: int
    viewers_max: int

    def url(self, host_header: str | None) -> str:
        """For browsers, without a slash at the end: as set, else on the machine that they have just reached."""
        return self.public_url or f"http://{host_name(host_header)}:{self.port}"

    @property
    def is_full(self) -> bool:
        return self.viewers >= self.viewers_max


@dataclass(frozen=True, slots=True)
class Found:
    """Where a room is: its carrier, and all processes at work, the least loaded first."""

    owner: Place | None
    places: tuple[Place, ...]

    @property
    def for_publisher(self) -> Place | None:
        return self.owner or next(iter(self.places), None)

    @property
    def for_viewer(self) -> Place | None:
        """The carrier while it has space, then whoever has; those get the room from the carrier."""
        if self.owner is not None and not self.owner.is_full:
            return self.owner
        return next((place for place in self.places if not place.is_full), self.for_publisher)


class Places:
    """Methods raise RedisError and OSError."""

    def __init__(self, redis: Redis) -> None:
        def script(name: str) -> Any:
            return redis.register_script((_HERE / f"{name}.lua").read_text())

        self._beat, self._claim = script("beat_place"), script("claim_room")
        self._find, self._leave = script("find_room"), script("leave_place")
        self._finding: SharedReads[Found] = SharedReads()

    async def beat(
        self, place: Place, load: int, held: Mapping[str, int], *, is_first: bool = False
    ) -> list[str]:
        """Say that `place` is at work, and renew its rooms (with their fences); gives those that another carries now.

        With `is_first`, whoever was known at the same address is forgotten: a process that is started again has its rooms at once.
        """
        lost: list[bytes] = await self._beat(
            keys=_KEYS,
            args=[place.process_id, _described(place), load, TIMEOUT_MS, int(is_first), *_pairs(held)],
        )
        return [room_id.decode() for room_id in lost]

    async def claim(self, process_id: str, room_id: str) -> tuple[str, int, Place | None]:
        """Who carries the room from now on, with the fence; the process itself when it is as good as any."""
        owner, fence, description = await self._claim(
            keys=_KEYS, args=[process_id, room_id, TIMEOUT_MS, CLEARLY_LESS, ROOM_LOAD]
        )
        return owner.decode(), int(fence), _place(description)

    async def find(self, room_id: str) -> Found:
        """Where the room is, as of a quarter of a second ago at most."""
        return await self._finding.get(room_id, lambda: self._look_for(room_id))

    async def _look_for(self, room_id: str) -> Found:
        owner, *rest = await self._find(keys=_KEYS, args=[room_id, TIMEOUT_MS, PROCESSES_SHOWN])
        read = (_place(description) for description in rest[1::2])
        places = tuple(place for place in read if place is not None)
        return Found(next((p for p in places if p.process_id == owner.decode()), None), places)

    async def release(self, process_id: str, held: Mapping[str, int], *, ends: bool = False) -> None:
        """Let others have these rooms; with `ends`, the process itself is gone too."""
        await self._leave(keys=_KEYS, args=[process_id, int(ends), *_pairs(held)])


def _pairs(held: Mapping[str, int]) -> list[str | int]:
    return [one for pair in held.items() for one in pair]


def _described(place: Place) -> str:
    return json.dumps(asdict(place))


def _place(raw: bytes) -> Place | None:
    """None for what another release has written."""
    try:
        return Place(**json.loads(raw))
    except (ValueError, TypeError):
        return None
