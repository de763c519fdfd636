"""Hands a room's stream over to any WHIP server (RFC 9725): an SFU, or another platform. Packets are forwarded as to a viewer.

The process that carries a room forwards what a person publishes there, from the moment it is on air: neither the test picture nor what
comes from another process. A server that refuses or is lost is tried again after a pause that doubles up to half a minute.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Any, Final, Literal

import httpx

from live.media import aiortc_internals as internals
from live.media import clients
from live.media.aiortc_internals import PacketSender, Transmitter
from live.media.cascade import TROUBLE
from live.media.outlets import Outlet
from live.media.packets import Kind
from live.media.sessions import Session, Sessions, preferences
from live.media.streams import RoomStream

log = logging.getLogger("flashroom.media")

LOOK_S: Final = 0.5
FIRST_PAUSE_S: Final = 1.0
LAST_PAUSE_S: Final = 30.0
STEADY_S: Final = 30.0
CONNECT_S: Final = 10.0
CLOSE_S: Final = 5.0

ForwardState = Literal["connecting", "forwarding", "waiting"]
"""`waiting`: for the pause before the next try to be over."""


class Forward:
    """One room on its way to the other server."""

    def __init__(
        self,
        stream: RoomStream,
        url: str,
        token: str | None,
        clock_s: Callable[[], float],
        stop: asyncio.Event,
    ) -> None:
        self.state: ForwardState = "connecting"
        self.outlets: list[Outlet] = []
        self.failures = 0
        self._stream = stream
        self._url = url
        self._token = token
        self._clock_s = clock_s
        self._stop = stop
        self._transmitter: Transmitter | None = None

    async def run(self, http: httpx.AsyncClient, goes_on: Callable[[], bool]) -> None:
        """While `goes_on()`, with as many sessions as it takes."""
        pause_s = FIRST_PAUSE_S
        while goes_on():
            self.state = "connecting"
            began_s = self._clock_s()
            try:
                await self._once(http, goes_on)
            except TROUBLE as error:
                log.warning("room %s can't be handed over: %s", self._stream.room_id, error)
            if not goes_on():
                return
            self.failures += 1
            self.state = "waiting"
            if self._clock_s() - began_s > STEADY_S:
                pause_s = FIRST_PAUSE_S
            until_s = self._clock_s() + pause_s
            while goes_on() and (self._clock_s() < until_s or not self._stream.is_publishing):
                await self._pause(min(LOOK_S, pause_s))
            pause_s = min(LAST_PAUSE_S, pause_s * 2)

    async def _once(self, http: httpx.AsyncClient, goes_on: Callable[[], bool]) -> None:
        """One session, until it is lost or is to end."""
        connection = internals.new_connection()
        address = ""
        try:
            kinds: tuple[Kind, ...] = ("audio", "video")
            for kind in kinds:
                transceiver: Any = connection.addTransceiver(kind, "sendonly")
                transceiver.setCodecPreferences(preferences(kind))
                internals.install_sender(transceiver, self._sender(kind, transceiver.sender.transport))
            address = await clients.open_session(http, connection, self._url, self._token)
            began_s = self._clock_s()
            while goes_on():
                state = connection.connectionState
                is_late = state != "connected" and self._clock_s() - began_s > CONNECT_S
                if state in ("failed", "closed") or is_late:
                    return
                if state == "connected":
                    self.state = "forwarding"
                await self._pause(LOOK_S)
        finally:
            for outlet in self.outlets:
                self._stream.remove(outlet)
            self.outlets.clear()
            closing = asyncio.ensure_future(connection.close())
            await clients.close_session(http, address, self._token)
            await asyncio.wait({closing}, timeout=CLOSE_S)
            if self._transmitter is not None:
                self._transmitter.close()
                self._transmitter = None

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return

    def _sender(self, kind: Kind, transport: Any) -> PacketSender:
        mine: list[Outlet] = []

        def on_start(sender: PacketSender) -> None:
            if self._transmitter is None:
                self._transmitter = Transmitter(sender.transport)
            outlet = Outlet(
                kind,
                self._transmitter,
                ssrc=sender.ssrc,
                repeat_ssrc=sender.repeat_ssrc,
                payload_types=sender.payload_types,
                repeat_types=sender.repeat_types,
                first_sequence=secrets.randbelow(1 << 15),
            )
            mine.append(outlet)
            self.outlets.append(outlet)
            self._stream.add(outlet)

        def on_loss(sequences: list[int]) -> None:
            for outlet in mine:
                self._stream.repeat(outlet, sequences)

        def on_report(fraction_lost: int) -> None:
            for outlet in mine:
                outlet.heard_report(fraction_lost, self._clock_s())

        return PacketSender(
            kind,
            transport,
            on_start=on_start,
            on_loss=on_loss,
            on_key_frame_wanted=self._stream.want_key_frame,
            on_report=on_report,
        )


class Forwards:
    """All rooms of this process that are handed over. `url` has `{room}` where the room's id goes; None hands over nothing.

    `rooms` are the only ones that are; empty, all are.
    """

    def __init__(
        self,
        sessions: Sessions,
        url: str | None,
        token: str | None,
        rooms: tuple[str, ...],
        clock_s: Callable[[], float],
    ) -> None:
        self.by_room: dict[str, Forward] = {}
        self._past_failures = 0
        self._sessions = sessions
        self._url = url
        self._token = token
        self._rooms = rooms
        self._clock_s = clock_s

    @property
    def failures(self) -> int:
        """Sessions that were refused or lost."""
        return self._past_failures + sum(one.failures for one in self.by_room.values())

    def count(self, state: ForwardState) -> int:
        return sum(one.state == state for one in self.by_room.values())

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        if self._url is None:
            return
        async with clients.new_http(ours=False) as http, asyncio.TaskGroup() as group:
            while not stop.is_set():
                for room_id, stream in list(self._sessions.streams.items()):
                    if room_id not in self.by_room and self._is_wanted(stream):
                        self._begin(group, http, stream, self._url, stop)
                try:
                    await asyncio.wait_for(stop.wait(), LOOK_S)
                except TimeoutError:
                    continue

    def _is_wanted(self, stream: RoomStream) -> bool:
        is_meant = not self._rooms or stream.room_id in self._rooms
        return is_meant and isinstance(stream.source, Session) and stream.is_publishing

    def _begin(
        self,
        group: asyncio.TaskGroup,
        http: httpx.AsyncClient,
        stream: RoomStream,
        url: str,
        stop: asyncio.Event,
    ) -> None:
        room_id = stream.room_id
        one = self.by_room[room_id] = Forward(
            stream, url.replace("{room}", room_id), self._token, self._clock_s, stop
        )

        def goes_on() -> bool:
            # Also while the host is away for a moment, so that the other server keeps its session.
            is_here = self._sessions.streams.get(room_id) is stream and self._sessions.is_on_air(room_id)
            return is_here and not stream.is_relayed and not stop.is_set()

        async def keep() -> None:
            try:
                await one.run(http, goes_on)
            finally:
                self._past_failures += one.failures
                del self.by_room[room_id]

        group.create_task(keep(), name=f"forward {room_id}")
