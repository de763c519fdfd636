"""Rooms of other media processes, pulled from the one that carries them: once per room and process, however many viewers come here.

A pull is a WHEP client inside this process: packets are forwarded as a publisher's would be, lost ones are asked for again, and key frames
are passed up at most once a second, as `RoomStream` does for every source. It is loop-free because a process hands on (`/relay/ROOM`) only
what was published to itself, so a way is never longer than one step.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from aiortc.rtp import RtpPacket

from live.media import aiortc_internals as internals
from live.media import clients, tokens
from live.media.aiortc_internals import TappedReceiver
from live.media.carrier import Carrier
from live.media.packets import Kind
from live.media.places import Place
from live.media.sessions import NEGOTIATION_ERRORS, Sessions, preferences
from live.media.streams import RoomStream
from live.problems import HttpProblem
from live.settings import Settings

log = logging.getLogger("flashroom.media")

READY_WITHIN_S: Final = 5.0
LINGER_S: Final = 15.0
"""So long a room is still pulled when nobody watches it here any more: somebody who reloads finds it."""
LOOK_S: Final = 1.0
SILENT_S: Final = 3.0
"""Nothing for so long: perhaps another process carries the room now."""
CONNECT_S: Final = 10.0
FIRST_PAUSE_S: Final = 0.5
LAST_PAUSE_S: Final = 8.0
CLOSE_S: Final = 5.0
TROUBLE: Final = (clients.RemoteRefused, httpx.HTTPError, OSError, TimeoutError, *NEGOTIATION_ERRORS)


class Pull:
    """One room from the process that carries it; a source of the room's stream here."""

    subject = "another media process"

    def __init__(self, pulls: Pulls, room_id: str) -> None:
        self.room_id = room_id
        self.is_ready = False
        self.settled = asyncio.Event()
        """Set once the first try has come to something, good or bad."""
        self._pulls = pulls
        self._receivers: list[TappedReceiver] = []
        self._errands: set[asyncio.Task[None]] = set()

    def ask_for_key_frame(self) -> None:
        for receiver in self._receivers:
            task = asyncio.ensure_future(receiver.ask_for_key_frame())
            self._errands.add(task)
            task.add_done_callback(self._errands.discard)

    async def run(self) -> None:
        """Until nobody watches here, a publisher comes here, or nobody carries the room."""
        pause_s = FIRST_PAUSE_S
        while not self._pulls.stop.is_set():
            place = await self._pulls.carrier.elsewhere(self.room_id)
            if place is None:
                return
            try:
                if await self._once(place):
                    return
                pause_s = FIRST_PAUSE_S
            except TROUBLE as error:
                self._pulls.failures += 1
                log.warning("room %s can't be pulled from %s: %s", self.room_id, place.peer_url, error)
            finally:
                self.settled.set()
            if await self._pulls.stopped_within(pause_s) or not self._stream.is_wanted:
                return
            pause_s = min(LAST_PAUSE_S, pause_s * 2)

    @property
    def _stream(self) -> RoomStream:
        return self._pulls.sessions.stream(self.room_id)

    async def _once(self, place: Place) -> bool:
        """One session from its beginning to its end; true when no other is needed."""
        connection = internals.new_connection()
        token, address = self._pulls.token(self.room_id), ""
        stream: RoomStream | None = None
        try:
            kinds: tuple[Kind, ...] = ("audio", "video")
            for kind in kinds:
                connection.addTransceiver(kind, "recvonly").setCodecPreferences(preferences(kind))
            address = await clients.open_session(
                self._pulls.http, connection, f"{place.peer_url}/relay/{self.room_id}", token
            )
            stream = self._stream  # not before: one that nobody uses is forgotten meanwhile
            self._receivers = [self._tapped(stream, one) for one in connection.getTransceivers()]
            if stream.source is not None:
                return True  # somebody publishes here meanwhile
            stream.attach(self, is_relayed=True)
            self.is_ready = True
            self.settled.set()
            return await self._follow(connection, stream, place)
        finally:
            self.is_ready = False
            self._receivers = []
            if stream is not None:
                stream.detach(self)
            closing = asyncio.ensure_future(connection.close())
            await clients.close_session(self._pulls.http, address, token)
            await asyncio.wait({closing}, timeout=CLOSE_S)
            for task in list(self._errands):
                task.cancel()

    def _tapped(self, stream: RoomStream, transceiver: Any) -> TappedReceiver:
        kind: Kind = transceiver.kind

        def on_packet(codec: str, packet: RtpPacket) -> None:
            stream.receive(
                self,
                kind,
                codec,
                packet.sequence_number,
                packet.timestamp,
                bool(packet.marker),
                packet.payload,
            )

        def on_clock(ntp_time: int, rtp_time: int) -> None:
            stream.heard_clock(self, kind, ntp_time, rtp_time)

        return TappedReceiver(transceiver, on_packet, on_clock)

    async def _follow(self, connection: Any, stream: RoomStream, place: Place) -> bool:
        clock_s = self._pulls.clock_s
        began_s = wanted_s = heard_s = clock_s()
        while not await self._pulls.stopped_within(LOOK_S):
            now_s = clock_s()
            state = connection.connectionState
            if stream.source is not self:
                return True
            if state in ("failed", "closed") or (state != "connected" and now_s - began_s > CONNECT_S):
                return False
            if stream.is_wanted:
                wanted_s = now_s
            elif now_s - wanted_s > self._pulls.linger_s:
                return True
            if stream.is_publishing:
                heard_s = now_s
            elif now_s - heard_s > SILENT_S:
                heard_s = now_s
                there = await self._pulls.carrier.elsewhere(self.room_id)
                if there is None or there.process_id != place.process_id:
                    return there is None
        return True


@dataclass(slots=True)
class Pulls:
    """All rooms that this process pulls. `run` owns them."""

    settings: Settings
    sessions: Sessions
    carrier: Carrier
    clock_s: Callable[[], float]
    clock_ms: Callable[[], int]
    linger_s: float = LINGER_S
    by_room: dict[str, Pull] = field(default_factory=dict)
    failures: int = 0
    begun: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    http: httpx.AsyncClient = field(default_factory=lambda: clients.new_http(ours=True))
    _group: asyncio.TaskGroup | None = None

    async def ensure(self, room_id: str) -> Place | None:
        """Have the room's stream here when another process carries it. Gives that process where this can't be: the caller goes there."""
        stream = self.sessions.streams.get(room_id)
        if stream is not None and stream.source is not None:
            return None
        place = await self.carrier.elsewhere(room_id)
        if place is None:
            return None
        pull = self._begin(room_id)
        if pull is not None:
            try:
                await asyncio.wait_for(pull.settled.wait(), READY_WITHIN_S)
            except TimeoutError:
                log.warning("room %s is not here within %g s", room_id, READY_WITHIN_S)
        return None if pull is not None and pull.is_ready else place

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; meanwhile viewers whose publisher has gone to another process get the room from there."""
        try:
            async with asyncio.TaskGroup() as self._group:
                while not stop.is_set():
                    try:
                        await asyncio.wait_for(stop.wait(), LOOK_S)
                    except TimeoutError:
                        await self._look()
                self.stop.set()
        finally:
            self._group = None
            await self.http.aclose()

    async def _look(self) -> None:
        for room_id, stream in list(self.sessions.streams.items()):
            is_left = stream.source is None and stream.is_wanted and room_id not in self.by_room
            if is_left and await self.carrier.elsewhere(room_id) is not None:
                self._begin(room_id)

    def _begin(self, room_id: str) -> Pull | None:
        """None while this process isn't running, or is ending."""
        found = self.by_room.get(room_id)
        if found is not None or self._group is None or self.stop.is_set():
            return found
        self.sessions.stream(room_id)  # raises HttpProblem where there are too many
        pull = self.by_room[room_id] = Pull(self, room_id)
        self.begun += 1
        self._group.create_task(self._keep(pull), name=f"pull {room_id}")
        return pull

    async def _keep(self, pull: Pull) -> None:
        try:
            await pull.run()
        except HttpProblem as problem:
            log.warning("room %s is not pulled: %s", pull.room_id, problem.detail)
        finally:
            pull.settled.set()
            del self.by_room[pull.room_id]

    async def stopped_within(self, seconds: float) -> bool:
        """Whether this process is told to end before so many seconds are over."""
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def token(self, room_id: str) -> str:
        """Short-lived, for this process and room alone."""
        subject = f"{self.carrier.process_id}:{room_id}"
        return tokens.relay_token(self.settings.key("media"), room_id, subject, self.clock_ms())
