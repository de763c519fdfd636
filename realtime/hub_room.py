"""One room on one hub: follows it in Redis, and writes what arrived within a tick as one frame, the same bytes, to every member.

All that changes what members are owed happens in the room's one task, so that a tick never comes between a jump and its snapshot.
Passes over a big room are cut into slices, with a rotating start, so that Redis and joins are not stuck behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import dataclass
from typing import Any, Final

import msgpack
from redis.exceptions import RedisError

from realtime import delays, protocol
from realtime.broker import Broker, StoredRoom, channel_of, now_ms
from realtime.connection import Connection
from realtime.fan_out import FanOut, Shared
from realtime.metrics import HubMetrics
from realtime.overload import NOTHING, Overload
from realtime.protocol import CloseCode
from realtime.pubsub import Following
from realtime.room import Gap, Lost, Room, Tick
from realtime.settings import HubSettings
from realtime.tickets import Viewer

log = logging.getLogger("flashroom.room")

MODE_FULL: Final = NOTHING.mode
MODE_PAUSED: Final = {"hearts": "paused", "presence": "paused", "chat": "paused", "chat_one_in": 1}
FRESHEN_SHARE: Final = 0.1
"""Of a pass' time that may go into making its message anew: a big one is copied each time."""
PERSONAL_HEADS_MAX: Final = 200_000


@dataclass(frozen=True, slots=True)
class Services:
    """What every room of a hub shares."""

    broker: Broker
    subscription: Following
    settings: HubSettings
    metrics: HubMetrics
    reading: asyncio.Semaphore
    """Bounds the rooms read from Redis at the same time after it was away."""


def pause_after(pass_s: float, settings: HubSettings) -> float:
    """Seconds from the end of one pass to the next.

    A tick is from pass to pass, so that a big room waits no longer than a small one; it grows where writing would take more than its
    share of the core.
    """
    share = settings.busy_share
    return min(settings.tick_max_s, max(settings.tick_min_s - pass_s, pass_s * (1 - share) / share))


class HubRoom:
    """Members stand in an array; joining appends, leaving swaps with the last. `run` is the room's one task."""

    def __init__(self, room_id: str, services: Services) -> None:
        self.room_id = room_id
        self.state: Room | None = None
        self.members: list[Connection] = []
        self.likes = 0
        self.presence = (-1, 0)
        self.likes_total = 0
        self.delays = delays.no_counts()
        self.has_told_delays = False
        self.has_new_requests = False
        self.is_paused = False
        self.used_s = time.monotonic()
        self.loaded = asyncio.Event()
        self._services = services
        self._stale = True
        self._must_jump = False
        self._early: list[bytes] = []
        self._early_lost = False
        self._banned: frozenset[str] = frozenset()
        self._personal_heads: dict[str, int] = {}
        self._knows_all_heads = False
        self._tabs: dict[str, list[Connection]] = {}
        self._arriving: dict[str, list[Connection]] = {}
        self._behind: set[Connection] = set()
        self._ghosts = 0
        self._fan_out = FanOut(services.settings, services.metrics, self._skip)
        self._overload = Overload(services.settings.tick_max_s)
        self._wake = asyncio.Event()
        self._ticked = asyncio.Event()

    # -- members

    def add(self, connection: Connection) -> None:
        viewer = connection.viewer
        assert viewer is not None
        assert connection.index < 0
        connection.index = len(self.members)
        connection.room = self
        self.members.append(connection)
        tabs = self._tabs.setdefault(viewer.viewer_id, [])
        tabs.append(connection)
        if len(tabs) == 1:
            self._ghosts += viewer.ghost

    def remove(self, connection: Connection) -> None:
        """Nothing more for this one; does nothing when it is no member."""
        if connection.index < 0:
            return
        last = self.members.pop()
        if last is not connection:
            self.members[connection.index] = last
            last.index = connection.index
        connection.index = -1
        self._behind.discard(connection)
        self.count_delay(connection, delays.NO_PICTURE)
        viewer = connection.viewer
        assert viewer is not None
        tabs = self._tabs[viewer.viewer_id]
        tabs.remove(connection)
        if not tabs:
            del self._tabs[viewer.viewer_id]
            self._ghosts -= viewer.ghost

    def count_delay(self, connection: Connection, place: int) -> None:
        """Count a member's picture at another place of `delays`."""
        before, connection.delay_place = connection.delay_place, place
        if before >= 0:
            self.delays[before] -= 1
        if place >= 0:
            self.delays[place] += 1

    def tabs_of(self, viewer_id: str) -> int:
        return len(self._tabs.get(viewer_id, ()))

    def is_banned(self, viewer_id: str) -> bool:
        return viewer_id in self._banned

    def people_and_ghosts(self) -> tuple[int, int]:
        """Distinct viewers, not connections."""
        return len(self._tabs) - self._ghosts, self._ghosts

    @property
    def is_unused(self) -> bool:
        return not self.members and not self._arriving

    # -- joining

    def send_joined(
        self, connection: Connection, epoch: str | None, offset: int | None, personal_offset: int
    ) -> bool:
        """The snapshot, or exactly what was missed; from here on the room's ticks follow. Gives `recovered`."""
        viewer, state = connection.viewer, self.state
        assert viewer is not None
        assert state is not None
        tail = state.joined(epoch, offset)
        connection.send(
            protocol.encode_joined(
                tail,
                room_id=self.room_id,
                viewer_id=viewer.viewer_id,
                server_time_ms=now_ms(),
                personal_offset=personal_offset,
                mode=self.mode,
            )
        )
        return tail.recovered

    def is_ahead(self, epoch: str | None, offset: int | None) -> bool:
        return self.state is not None and self.state.is_ahead(epoch, offset)

    async def catch_up_with(self, epoch: str | None, offset: int | None) -> None:
        """Wait until this hub has sent what the viewer has already seen elsewhere; at most `ahead_timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._services.settings.ahead_timeout_s):
                while self.is_ahead(epoch, offset):
                    await self._ticked.wait()

    def enter(
        self,
        connection: Connection,
        viewer: Viewer,
        *,
        epoch: str | None,
        offset: int | None,
        personal_after: int,
        missed: list[tuple[int, bytes]],
    ) -> bool:
        """Make a connection a member: JOINED, then the personal messages it missed, then the room's ticks. Gives `recovered`."""
        connection.viewer = viewer
        self.add(connection)
        connection.personal_offset = personal_after
        recovered = self.send_joined(connection, epoch, offset, personal_after)
        for number, packed in missed:
            self._send_personal(connection, number, protocol.encode_personal(number, packed))
        return recovered

    def owes_no_personal(self, viewer_id: str, offset: int | None) -> bool:
        """Whether it is known without asking Redis that nothing personal waits after `offset`."""
        return self._knows_all_heads and self._personal_heads.get(viewer_id, 0) <= (offset or 0)

    def personal_head(self, viewer_id: str) -> int:
        return self._personal_heads.get(viewer_id, 0)

    def expect(self, connection: Connection, viewer_id: str) -> None:
        """From now on personal messages for this viewer are kept for a connection that has not joined yet."""
        connection.early_personal = []
        self._arriving.setdefault(viewer_id, []).append(connection)

    def unexpect(self, connection: Connection, viewer_id: str) -> list[tuple[int, bytes]]:
        """What was kept since `expect`."""
        early, connection.early_personal = connection.early_personal, None
        arriving = self._arriving[viewer_id]
        arriving.remove(connection)
        if not arriving:
            del self._arriving[viewer_id]
        return early or []

    # -- what Redis says

    def receive(self, payload: bytes) -> None:
        """One message of the room's channel."""
        if self._stale:
            if len(self._early) < self._services.settings.early_messages_max:
                self._early.append(payload)
            else:
                self._early.clear()
                self._early_lost = True
            return
        try:
            self._take(payload)
        except Gap as gap:
            log.warning("room %s: %s; reading it again", self.room_id, gap)
            self.resync()

    def resync(self) -> None:
        """Read the room again: something was missed, or may have been."""
        self._stale = True
        self._wake.set()

    def pause(self) -> None:
        """Redis is away: viewers stay and are told that chat waits, until the room has been read again."""
        if not self.is_paused:
            self.is_paused = True
            self._tell_mode()

    @property
    def mode(self) -> dict[str, Any]:
        """What is thinned or paused now, as viewers are told."""
        return MODE_PAUSED if self.is_paused else self._overload.thinning.mode

    def _tell_mode(self) -> None:
        message = protocol.encode_notice("mode", **self.mode)
        for connection in list(self.members):
            connection.send(message)

    def _take(self, payload: bytes) -> None:
        """Raises Gap."""
        message: list[Any] = msgpack.unpackb(payload, raw=True)
        kind = message[0]
        if kind == b"room":
            self._take_room(*message[1:])
        elif kind == b"personal":
            self._take_personal(message[1].decode(), message[2], message[3])
        elif kind == b"ban":
            self._take_ban(message[1].decode(), banned=bool(message[2]))

    def _take_room(self, epoch: bytes, first: int, events: list[bytes], values: list[bytes]) -> None:
        state = self.state
        assert state is not None
        # An empty Lua table arrives as an empty map.
        state.take_events(epoch.decode(), first, events or [])
        self._services.metrics.events.inc(len(events))
        for i in range(0, len(values), 3):
            state.take_value(values[i].decode(), int(values[i + 1]), values[i + 2])
        if state.has_waiting:
            self._wake.set()

    def _take_personal(self, viewer_id: str, offset: int, packed: bytes) -> None:
        if len(self._personal_heads) >= PERSONAL_HEADS_MAX:
            self._personal_heads.clear()
            self._knows_all_heads = False
        self._personal_heads[viewer_id] = max(offset, self._personal_heads.get(viewer_id, 0))
        for connection in self._arriving.get(viewer_id, ()):
            if connection.early_personal is not None:
                connection.early_personal.append((offset, packed))
        tabs = self._tabs.get(viewer_id)
        if tabs:
            message = protocol.encode_personal(offset, packed)
            for connection in list(tabs):
                self._send_personal(connection, offset, message)

    def _send_personal(self, connection: Connection, offset: int, message: bytes) -> None:
        # A message can come by the channel and by reading what was missed; it is written once.
        if offset > connection.personal_offset:
            connection.personal_offset = offset
            connection.send(message)
            self._services.metrics.personal.inc()

    def _take_ban(self, viewer_id: str, *, banned: bool) -> None:
        if not banned:
            self._banned -= {viewer_id}
            return
        self._banned |= {viewer_id}
        for connection in list(self._tabs.get(viewer_id, ())):
            connection.close(CloseCode.BANNED, "banned")

    # -- reading the room

    async def _read(self) -> StoredRoom:
        """The room from Redis, however long that takes; what is published meanwhile is kept in `_early`."""
        failures = 0
        while True:
            self._early.clear()
            self._early_lost = False
            try:
                await self._services.subscription.ready(channel_of(self.room_id))
                if self.state is None:
                    await self._services.subscription.subscribe(channel_of(self.room_id))
                async with self._services.reading:
                    known = None if self.state is None else (self.state.epoch, self.state.offset)
                    return await self._services.broker.load(self.room_id, known)
            except (RedisError, TimeoutError) as error:
                failures += 1
                log.warning("room %s can't be read: %s", self.room_id, error or type(error).__name__)
                await asyncio.sleep(min(2.0, 0.1 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0))

    async def _load(self) -> None:
        while True:
            stored = await self._read()
            try:
                jumps = self._continue_from(stored)
            except Lost as lost:
                log.warning("room %s: %s; beginning a new epoch", self.room_id, lost)
                await self._renew_epoch()
                continue
            if jumps or self._must_jump:
                await self._send_jump()
                self._must_jump = False
            try:
                await self._send_missed_personal(stored.personal_heads)
                self._take_early()
            except (Gap, RedisError) as error:
                log.warning("room %s: %s; reading it again", self.room_id, error)
                await asyncio.sleep(0.05)
                continue
            break
        if self.is_paused:
            self.is_paused = False
            self._tell_mode()
        self.presence = (-1, self.presence[1])
        self.loaded.set()

    def _continue_from(self, stored: StoredRoom) -> bool:
        """Take over what is stored. True if members must jump, because what they are owed is gone. Raises Lost."""
        jumps = False
        if self.state is None:
            self.state = Room(stored.epoch, stored.offset)
            self.state.restart(stored.epoch, stored.offset, stored.events)
            self._personal_heads = stored.personal_heads
            self._knows_all_heads = True
        else:
            self._services.metrics.resyncs.inc()
            try:
                self.state.take_stored(stored.epoch, stored.offset, stored.events)
            except Lost:
                raise
            except Gap:
                self.state.restart(stored.epoch, stored.offset, stored.events)
                jumps = True
        self._banned = stored.banned
        for key, (version, packed) in stored.values.items():
            self.state.take_value(key, version, packed)
        if jumps or self._must_jump or not self.loaded.is_set():
            self.state.tick(now_ms())  # Snapshots carry all of it.
        return jumps

    async def _renew_epoch(self) -> None:
        assert self.state is not None
        try:
            await self._services.broker.renew_epoch(self.room_id, self.state.epoch)
        except RedisError as error:
            log.warning("room %s: no new epoch yet: %s", self.room_id, error)
            await asyncio.sleep(0.5)

    def _take_early(self) -> None:
        """What was published while the room was read. Raises Gap."""
        if self._early_lost:
            raise Gap("too much was published while it was read")
        early, self._early = self._early, []
        for payload in early:
            self._take(payload)
        self._stale = False

    async def _send_missed_personal(self, heads: dict[str, int]) -> None:
        """Personal messages for members that were published while nobody listened. Raises RedisError, and may then be repeated.

        Until they are sent, `_stale` keeps later ones from overtaking them.
        """
        for viewer_id, head in heads.items():
            known = self._personal_heads.get(viewer_id, 0)
            if head > known and viewer_id in self._tabs:
                missed = await self._services.broker.personal_after(self.room_id, viewer_id, known)
                for offset, packed in missed.messages:
                    self._take_personal(viewer_id, offset, packed)
        self._personal_heads = heads
        self._knows_all_heads = len(heads) < PERSONAL_HEADS_MAX

    async def _send_jump(self) -> None:
        for number, connection in enumerate(list(self.members), start=1):
            if connection.index >= 0:
                self._declare_jump(connection)
            if number % self._services.settings.slice_connections == 0:
                await asyncio.sleep(0)

    # -- writing

    async def run(self) -> None:
        """Follow the room until cancelled. A defect of ours costs its members a declared jump, not the room."""
        while True:
            try:
                await self._follow()
            except Exception:
                log.exception("room %s failed; beginning again with a jump", self.room_id)
                self._stale = self._must_jump = True
                await asyncio.sleep(1.0)

    async def _follow(self) -> None:
        settings, metrics = self._services.settings, self._services.metrics
        while True:
            if self._stale:
                await self._load()
            assert self.state is not None
            self._look_after_slow()
            tick = self.state.open_tick(now_ms())
            if tick is not None:
                began_s = time.perf_counter()
                await self._write_to_all(tick)
                pass_s = time.perf_counter() - began_s
                metrics.tick_seconds.observe(pass_s)
                self._thin(pass_s)
                await asyncio.sleep(pause_after(pass_s, settings))
            if not self._stale and not self.state.has_due(now_ms()):
                await self._wait_for_news()
            self._wake.clear()

    async def _wait_for_news(self) -> None:
        assert self.state is not None
        if not self.state.has_waiting:
            await self._wake.wait()
            return
        # Only what is told less often waits: it becomes due by itself.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), self._services.settings.tick_max_s)

    def _thin(self, pass_s: float) -> None:
        """Leave out more or less, by how long the pass took, and tell the room when that changes."""
        assert self.state is not None
        metrics = self._services.metrics
        metrics.thinned.inc(self.state.skipped)
        self.state.skipped = 0
        if self._overload.observe(pass_s, time.monotonic()):
            thinning = self.state.thinning = self._overload.thinning
            metrics.thinning_changes.labels(str(thinning.stage)).inc()
            log.warning(
                "room %s: writing takes %.0f ms, thinning stage %d",
                self.room_id,
                pass_s * 1000,
                thinning.stage,
            )
            if not self.is_paused:
                self._tell_mode()

    async def _write_to_all(self, tick: Tick) -> None:
        self._ticked.set()
        self._ticked = asyncio.Event()
        shared, next_s = Shared(tick.events, tick.encoded_values), 0.0

        def freshen() -> Shared | None:
            # A pass over a big room takes long: whoever comes late in it gets the values of that moment.
            nonlocal next_s
            began_s = time.perf_counter()
            if began_s < next_s:
                return None
            assert self.state is not None
            newer = self.state.newer_values(tick, now_ms())
            found = None if newer is None else shared.ending(newer)
            ended_s = time.perf_counter()
            next_s = ended_s + (ended_s - began_s) / FRESHEN_SHARE
            return found

        await self._fan_out.write(self.members, shared, freshen)

    def _skip(self, connection: Connection) -> None:
        """Skip whole ticks for a reader that does not keep up: its backlog is the room's ring, not a copy."""
        if not connection.behind_since_s:
            connection.behind_since_s = time.monotonic()
            self._behind.add(connection)
        self._services.metrics.skipped.inc()

    def nudge(self) -> None:
        """Called a few times a second, so that slow readers are looked after in a quiet room too."""
        if self._behind:
            self._wake.set()

    def _look_after_slow(self) -> None:
        """Once drained a slow reader gets one snapshot and a declared jump; one that does not drain is closed."""
        settings = self._services.settings
        now_s = time.monotonic()
        for connection in list(self._behind):
            buffered = connection.transport.get_write_buffer_size()
            if buffered > settings.close_above_bytes or (
                buffered and now_s - connection.behind_since_s > settings.behind_close_s
            ):
                connection.close(CloseCode.TOO_SLOW, "too slow")
            elif buffered == 0:
                self._behind.discard(connection)
                connection.behind_since_s = 0.0
                self._declare_jump(connection)

    def _declare_jump(self, connection: Connection) -> None:
        """Tell one member that something was left out, and begin again from a snapshot."""
        if connection.transport.get_write_buffer_size() > self._services.settings.skip_above_bytes:
            self._skip(connection)
        elif not connection.behind_since_s:
            viewer = connection.viewer
            assert viewer is not None
            self._services.metrics.jumps.inc()
            connection.send(protocol.encode_notice("jump"))
            self.send_joined(connection, None, None, self.personal_head(viewer.viewer_id))
