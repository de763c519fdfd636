"""`flashroom media`: WHIP and WHEP for every room, and the test picture where a rehearsal has nobody in front of the camera.

It needs no SQL, and no Redis to carry video: without Redis only the word to the rooms, what is on air, waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import uvicorn
from redis.exceptions import RedisError
from starlette.applications import Starlette

from commerce.clock import wall_clock_ms
from live.media import aiortc_internals, deleted_recordings, show_captions
from live.media.announcer import Announcer
from live.media.app import create_media_app
from live.media.carrier import Carrier
from live.media.on_air import OnAir
from live.media.places import Places
from live.media.recorder import Recordings, ShownEvent, ShowNow
from live.media.rehearsal_picture import RehearsalPicture
from live.media.sessions import Bounds, Sessions
from live.media.show_events import Position
from live.processes import CannotStart, beat, port_is_free, run_until_stopped
from live.settings import Settings
from live.supervisor import supervise
from realtime.broker import Broker, BrokerUnavailable
from realtime.protocol import Value

log = logging.getLogger("flashroom.media")

REHEARSAL_ROOM: Final = "rm_demo"
REDIS_RETRY_S: Final = 2.0
REDIS_ANSWER_S: Final = 2.0
BEAT_S: Final = 1.0
EVENTS_PER_LOOK: Final = 2000


class _Redis:
    """The broker once it is there."""

    def __init__(self, settings: Settings, carrier: Carrier) -> None:
        self._settings = settings
        self._carrier = carrier
        self.broker: Broker | None = None
        self._on_air: OnAir | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Connect, again and again until it works, then say each second that the process is at work."""
        while not stop.is_set():
            try:
                if self.broker is None:
                    self.broker = await Broker.connect(self._settings.redis_url)
                    self._on_air = OnAir(self.broker)
                    self._carrier.places = Places(self.broker.redis)
                await beat(self.broker.redis, "media", wall_clock_ms())
                await self._carrier.beat()
            except (RedisError, OSError, BrokerUnavailable, TimeoutError) as error:
                log.warning("Redis does not answer: %s", error)
            try:
                await asyncio.wait_for(stop.wait(), BEAT_S if self.broker is not None else REDIS_RETRY_S)
            except TimeoutError:
                continue

    async def publish(self, room_id: str, values: Mapping[str, Value]) -> None:
        if self.broker is None:
            raise BrokerUnavailable
        await self.broker.publish(room_id, values=values)

    async def renew(self, room_ids: Collection[str]) -> set[str]:
        """Speak for these rooms; see OnAir."""
        if self._on_air is None:
            raise BrokerUnavailable
        return await self._on_air.renew(room_ids)

    async def media_now(self, room_id: str) -> Mapping[str, Any] | None:
        """The room's value `media`, of whichever process said it last."""
        if self.broker is None:
            raise BrokerUnavailable
        _, media = await self.broker.value(room_id, "media") or (0, None)
        return media

    async def rehearses(self, room_id: str) -> bool:
        """Whether the room is on air as a rehearsal. While Redis doesn't answer, what runs goes on: see `wanted` below."""
        if self.broker is None:
            return False
        values = await self.broker.values(room_id)
        room: Any = values["room"][1] if "room" in values else {}
        return bool(room.get("rehearsal")) and room.get("status") == "live"

    async def show_now(self, room_id: str) -> ShowNow | None:
        """What the room's show is doing; None while Redis doesn't say."""
        if self.broker is None:
            return None
        try:
            values = await asyncio.wait_for(self.broker.values(room_id), REDIS_ANSWER_S)
        except (RedisError, OSError, BrokerUnavailable, TimeoutError) as error:
            log.warning("Redis does not say what room %s does: %s", room_id, error)
            return None
        if "room" not in values:
            return None
        room: Any = values["room"][1]
        status = room.get("status")
        return ShowNow(
            status == "live", bool(room.get("rehearsal")), status == "ended", room.get("started_at_ms")
        )

    async def events_after(
        self, room_id: str, position: Position | None
    ) -> tuple[str, list[ShownEvent]] | None:
        """Events after a position, all that are kept when it is of another epoch; None while Redis doesn't say."""
        if self.broker is None:
            return None
        try:
            async with asyncio.timeout(REDIS_ANSWER_S):
                epoch = (await self.broker.load(room_id)).epoch
                after = position.offset if position is not None and position.epoch == epoch else 0
                found = await self.broker.history(room_id, after, EVENTS_PER_LOOK)
        except (RedisError, OSError, BrokerUnavailable, TimeoutError) as error:
            log.warning("Redis does not say what happens in room %s: %s", room_id, error)
            return None
        return epoch, [(offset, kind, data) for offset, (kind, data) in found]

    async def captions_after(
        self, room_id: str, entry: str | None
    ) -> Sequence[tuple[str, show_captions.Line]]:
        """The lines of captions after an entry; none while Redis doesn't say."""
        if self.broker is None:
            return ()
        try:
            async with asyncio.timeout(REDIS_ANSWER_S):
                return await show_captions.after(self.broker.redis, room_id, entry)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("Redis does not say what is said in room %s: %s", room_id, error)
            return ()

    async def recording_deleted(self, room_id: str, started_at_ms: int) -> None:
        """Say that a recording is gone. Nobody waits for it: unheard, what was made of it is forgotten by its age."""
        if self.broker is None:
            return
        try:
            async with asyncio.timeout(REDIS_ANSWER_S):
                await deleted_recordings.tell(self.broker.redis, room_id, started_at_ms)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("nobody hears that a recording of room %s is deleted: %s", room_id, error)

    async def aclose(self) -> None:
        if self.broker is not None:
            await self.broker.aclose()


def create_process_app(settings: Settings) -> Starlette:
    """The app with its announcer and test picture."""
    sessions = Sessions(time.monotonic, Bounds(viewers=settings.media_viewers))
    carrier = Carrier(settings, sessions, time.monotonic)
    redis = _Redis(settings, carrier)
    announcer = Announcer(
        sessions, redis.publish, wall_clock_ms, time.monotonic, redis.renew, redis.media_now
    )
    carrier.on_lost = announcer.forget
    app = create_media_app(settings, sessions, announcer, carrier=carrier)
    recordings: Recordings = app.state.recordings
    if settings.recordings:
        recordings.show_now = redis.show_now
        recordings.events_after = redis.events_after
        recordings.captions_after = redis.captions_after
    recordings.on_deleted = redis.recording_deleted
    announcer.recording_state = recordings.state
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(starlette: Starlette) -> AsyncIterator[None]:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(redis.run(stop), name="redis")
            if settings.recordings:
                group.create_task(recordings.run(stop), name="recordings")
            if not settings.is_production:
                group.create_task(_rehearse(sessions, redis, carrier, stop), name="test picture")
            try:
                async with inner(starlette):
                    yield
            finally:
                stop.set()
        await carrier.leave()
        await redis.aclose()

    app.router.lifespan_context = lifespan
    return app


async def _rehearse(sessions: Sessions, redis: _Redis, carrier: Carrier, stop: asyncio.Event) -> None:
    picture = RehearsalPicture(lambda: sessions.stream(REHEARSAL_ROOM))
    last = False

    async def wanted() -> bool:
        nonlocal last
        try:
            last = await asyncio.wait_for(redis.rehearses(REHEARSAL_ROOM), 1.0)
        except (RedisError, OSError, BrokerUnavailable, TimeoutError):
            log.debug("Redis does not say whether %s rehearses", REHEARSAL_ROOM)
        return last and await carrier.claim(REHEARSAL_ROOM) is None

    await picture.run(stop, wanted)


def run(settings: Settings) -> int:
    """Serve until SIGTERM: one process, or several on the ports that follow. Raises CannotStart."""
    if settings.media_processes > 1:
        children = _children(settings)
        run_until_stopped(lambda stop: supervise("media", children, stop))
        return 0
    return _run_one(settings)


def _children(settings: Settings) -> list[dict[str, str]]:
    """What differs in the environment of each of several media processes."""
    environments = []
    for number, port in enumerate(settings.media_ports):
        one = {"FLASHROOM_MEDIA_PROCESSES": "1", "FLASHROOM_MEDIA_PORT": str(port)}
        for name, url in (
            ("FLASHROOM_PUBLIC_MEDIA_URL", settings.public_media_url),
            ("FLASHROOM_MEDIA_PEER_URL", settings.media_peer_url),
        ):
            if url is not None:
                one[name] = url.replace("{n}", str(number + 1))
        environments.append(one)
    return environments


def _run_one(settings: Settings) -> int:
    if not port_is_free(settings.host, settings.media_port):
        raise CannotStart(
            f"Port {settings.media_port} is taken: set FLASHROOM_MEDIA_PORT to another, or stop what listens there."
        )
    aiortc_internals.listen_on(())
    logging.getLogger("aioice").setLevel(logging.WARNING)  # it tells of every check of every candidate
    server = uvicorn.Server(
        uvicorn.Config(
            create_process_app(settings),
            host=settings.host,
            port=settings.media_port,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies) or None,
            timeout_graceful_shutdown=3,
            limit_concurrency=1000,
        )
    )
    try:
        server.run()
    except KeyboardInterrupt:
        return 0
    return 0 if server.started else 1
