"""The hub: viewers' connections, rooms and commands of one process. Talks to Redis through the broker, never to SQL."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, Final

from redis.exceptions import RedisError

from realtime import handshake, protocol, totals
from realtime.addresses import Addresses
from realtime.broker import Broker, BrokerUnavailable, channel_of, now_ms
from realtime.chat import Chat
from realtime.connection import Connection
from realtime.delays import place_of
from realtime.hub_room import HubRoom, Services
from realtime.metrics import HubMetrics
from realtime.protocol import CloseCode, Command, CommandError
from realtime.requests import Requests
from realtime.settings import HubSettings
from realtime.tasks import end_tasks
from realtime.tickets import TicketRefused, Viewer

__all__ = ["CommandHandler", "Hub", "HubSettings"]

log = logging.getLogger("flashroom.hub")

CommandHandler = Callable[[Viewer, dict[str, Any]], Awaitable[dict[str, Any]]]
WHEEL_INTERVAL_S: Final = 0.5
TOTALS_AT_ONCE: Final = 32


class Hub:
    """One hub process. `serve`, later `drain`, then `aclose`; a hub is not used again after that.

    `verify_ticket(token)` gives the viewer or raises TicketRefused; it does no I/O. `commands` adds commands to those of the
    protocol: `await handler(viewer, params)` gives the reply's payload, or raises CommandError to refuse. `params` is what the client
    sent, unchecked: a handler checks it (`protocol.text_parameter` and the like). Each call runs as a task of its own, so that calls
    which arrive together run together; after `command_timeout_s` it is cancelled and answered `timeout`. RedisError is answered
    `unavailable`, anything else `internal` and logged.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        verify_ticket: Callable[[str], Viewer],
        commands: Mapping[str, CommandHandler] | None = None,
        settings: HubSettings | None = None,
    ) -> None:
        self.broker = broker
        self.settings = settings or HubSettings()
        self.metrics = HubMetrics()
        self.hub_id = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._verify_ticket = verify_ticket
        self._handlers: dict[str, CommandHandler] = {
            "comment": Chat(broker, self._hears).comment,
            "request": self._request,
            "ack": self._acknowledge,
            **(commands or {}),
        }
        self._requests = Requests(broker)
        self._connections: set[Connection] = set()
        self._guests: set[Connection] = set()
        self._closing: set[Connection] = set()
        self._addresses = Addresses(self.settings.trusted_proxies)
        self._rooms: dict[str, HubRoom] = {}
        self._room_tasks: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._in_flight = 0
        self._server: asyncio.Server | None = None
        self._draining = False
        self._subscription = broker.subscription(
            receive=self._on_redis, lost=self._on_redis_lost, restored=self._on_redis_restored
        )
        self._services = Services(
            broker, self._subscription, self.settings, self.metrics, asyncio.Semaphore(TOTALS_AT_ONCE)
        )

    # -- life

    async def serve(self, host: str, port: int, *, reuse_port: bool = True) -> int:
        """Listen; several processes may share a port. Gives the port. Raises TimeoutError when Redis is away, OSError for the port."""
        await self._subscription.start()
        listening = socket.create_server(
            (host, port),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            backlog=4096,
            reuse_port=reuse_port,
        )
        # Accepted sockets inherit it. The kernel would keep up to 4 MB for each viewer who doesn't read, out of our sight.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.settings.kernel_buffer_bytes)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), sock=listening, backlog=4096)
        self._own(self._wheel(), "wheel")
        self._own(self._totals(), "totals")
        return int(listening.getsockname()[1])

    async def drain(self, seconds: float) -> None:
        """Take nobody new, ask everyone to come back elsewhere spread over `seconds`, answer what was asked, close in slices."""
        self._draining = True
        if self._server is not None:
            self._server.close()
        connections = list(self._connections)
        slices = max(1, min(20, len(connections)))
        for number in range(slices):
            for connection in connections[number::slices]:
                after_ms = random.randint(0, self.settings.drain_reconnect_ms)
                connection.send(protocol.encode_notice("reconnect", after_ms=after_ms))
                if not connection.in_flight:
                    connection.close(CloseCode.DRAINING, "draining")
            await asyncio.sleep(seconds / slices)
        await self._wait_while(lambda: self._in_flight > 0, self.settings.command_timeout_s)
        for connection in list(self._connections):
            connection.close(CloseCode.DRAINING, "draining")
        await self._wait_while(lambda: bool(self._connections), self.settings.close_timeout_s)

    async def _wait_while(self, condition: Callable[[], bool], timeout_s: float) -> None:
        for _ in range(round(timeout_s / 0.02)):
            if not condition():
                return
            await asyncio.sleep(0.02)

    async def aclose(self) -> None:
        """Cut every connection and stop. The broker stays open: it is the caller's."""
        self._draining = True
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.transport.abort()
        await end_tasks([*self._tasks, *self._room_tasks.values()])
        await asyncio.gather(
            *(self.broker.enter_presence(room_id, self.hub_id, 0, 0) for room_id in self._rooms),
            *(
                self.broker.enter_delays(room.room_id, self.hub_id, None)
                for room in self._rooms.values()
                if room.has_told_delays
            ),
            return_exceptions=True,
        )
        await self._subscription.aclose()
        await asyncio.sleep(0)  # The aborted connections say so in the next turn of the loop.

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s failed", task.get_name(), exc_info=task.exception())

    # -- connections

    def opened(self, connection: Connection) -> bool:
        self._connections.add(connection)
        self._guests.add(connection)
        from_address = self._addresses.enter(connection.address)
        connection.transport.set_write_buffer_limits(high=self.settings.close_above_bytes * 2)
        self.metrics.opened.inc()
        # Sockets that never get as far as a close code: an allowance above the limits, then no answer at all.
        if len(self._connections) > self.settings.max_connections + 1000:
            return False
        most = 2 * self.settings.max_connections_per_address
        return from_address <= most or self._addresses.is_proxy(connection.address)

    def accepted(self, connection: Connection, forwarded_for: Sequence[str]) -> None:
        self._addresses.leave(connection.address)
        connection.address = self._addresses.of_viewer(connection.address, forwarded_for)
        from_address = self._addresses.enter(connection.address)
        if self._draining:
            connection.close(CloseCode.DRAINING, "draining")
        elif len(self._connections) > self.settings.max_connections:
            connection.close(CloseCode.HUB_FULL, "hub full")
        elif from_address > self.settings.max_connections_per_address:
            connection.close(CloseCode.TOO_MANY_CONNECTIONS, "too many connections from this address")

    def closing(self, connection: Connection) -> None:
        self._closing.add(connection)
        self._leave_room(connection)

    def lost(self, connection: Connection, reason: str) -> None:
        self._leave_room(connection)
        self._connections.discard(connection)
        self._guests.discard(connection)
        self._closing.discard(connection)
        self._addresses.leave(connection.address)
        self.metrics.closes.labels(reason).inc()

    def _leave_room(self, connection: Connection) -> None:
        if connection.room is not None:
            connection.room.remove(connection)

    def plain_answer(self, path: str) -> tuple[int, str] | None:
        """Answers for people and probes: /healthz, /readyz, /metrics; None for a WebSocket at /v1."""
        if path == handshake.PATH:
            return None
        if path == "/healthz":
            return 200, "ok\n"
        if path == "/readyz":
            ready = self._subscription.is_connected() and not self._draining
            return (200, "ready\n") if ready else (503, "not ready\n")
        if path == "/metrics":
            return 200, self.metrics_text()
        return 404, "The WebSocket is at /v1.\n"

    def metrics_text(self) -> str:
        """Prometheus text format 0.0.4."""
        metrics = self.metrics
        metrics.connections.set(len(self._connections))
        metrics.viewers.set(sum(len(room.members) for room in self._rooms.values()))
        metrics.rooms.set(len(self._rooms))
        metrics.set_delays([room.delays for room in self._rooms.values()])
        metrics.redis_connected.set(self._subscription.is_connected())
        return metrics.text()

    # -- commands

    def received(self, connection: Connection, data: bytes | str) -> None:
        """One client message; everything wrong with it is answered with a code."""
        try:
            command = protocol.decode_command(data)
        except protocol.MalformedMessage as error:
            connection.close(CloseCode.MALFORMED, str(error))
            return
        try:
            if command.name == "ping":
                self._hear_delay(connection, command.params)
                connection.send(protocol.encode_reply(command.id, {"server_time_ms": now_ms()}))
            elif command.name == "join":
                self._start_join(connection, command)
            elif connection.viewer is None or connection.index < 0:
                raise CommandError("not_joined", "Join a room first.")
            elif command.name == "like":
                connection.send(protocol.encode_reply(command.id, self._like(connection, command.params)))
            else:
                self._start_command(connection, connection.viewer, command)
        except CommandError as error:
            self._refuse(connection, command, error)

    def _refuse(self, connection: Connection, command: Command, error: CommandError) -> None:
        connection.send(protocol.encode_refusal(command.id, error))
        name = command.name if command.name in self._handlers else "other"
        self.metrics.commands.labels(name, error.code).inc()

    def _start_command(self, connection: Connection, viewer: Viewer, command: Command) -> None:
        handler = self._handlers.get(command.name)
        if handler is None:
            raise CommandError("unknown_command", f"There is no command {command.name[:40]!r}.")
        if (
            connection.in_flight >= self.settings.in_flight_max
            or self._in_flight >= self.settings.hub_in_flight_max
        ):
            raise CommandError("busy", "Too many commands are unanswered.", retry_after_ms=500)
        connection.in_flight += 1
        self._in_flight += 1
        self._own(self._answer(connection, viewer, command, handler), "command")

    async def _answer(
        self, connection: Connection, viewer: Viewer, command: Command, handler: CommandHandler
    ) -> None:
        try:
            async with asyncio.timeout(self.settings.command_timeout_s):
                payload = await handler(viewer, command.params)
            connection.send(protocol.encode_reply(command.id, payload))
            self.metrics.commands.labels(command.name, "ok").inc()
        except CommandError as error:
            self._refuse(connection, command, error)
        except RedisError as error:
            log.warning("command %s: redis: %s", command.name, error)
            self._refuse(connection, command, BrokerUnavailable())
        except TimeoutError:
            self._refuse(connection, command, CommandError("timeout", "No answer in time.", retry_after_ms=0))
        except Exception:
            self._refuse(connection, command, CommandError("internal", "That failed on our side."))
            raise
        finally:
            connection.in_flight -= 1
            self._in_flight -= 1

    def _hear_delay(self, connection: Connection, params: dict[str, Any]) -> None:
        place = place_of(params)
        room = connection.room
        if place != connection.delay_place and connection.index >= 0 and isinstance(room, HubRoom):
            room.count_delay(connection, place)

    def _like(self, connection: Connection, params: dict[str, Any]) -> dict[str, Any]:
        count = protocol.integer_parameter(params, "count", 1, protocol.MAX_LIKES_PER_COMMAND)
        assert isinstance(connection.room, HubRoom)
        totals.like(connection.room, count)
        return {}

    async def _request(self, viewer: Viewer, params: dict[str, Any]) -> dict[str, Any]:
        asked = await self._requests.ask(viewer, params)
        room = self._rooms.get(viewer.room_id)
        if room is not None and asked.is_news:
            room.has_new_requests = True
        return {"count": asked.count, "at_ms": asked.at_ms}

    async def _acknowledge(self, viewer: Viewer, params: dict[str, Any]) -> dict[str, Any]:
        offset = protocol.integer_parameter(params, "personal_offset", 0, protocol.OFFSET_MAX)
        room = self._rooms.get(viewer.room_id)
        if room is not None and 0 < offset <= room.personal_head(viewer.viewer_id):
            await self.broker.acknowledge_personal(viewer.room_id, viewer.viewer_id, offset)
        return {}

    # -- joining

    def _start_join(self, connection: Connection, command: Command) -> None:
        if connection.is_joining or connection.viewer is not None:
            raise CommandError("already_joined", "This connection has joined.")
        try:
            join = protocol.parse_join(command)
            viewer = replace(self._verify_ticket(join.ticket), address=connection.address)
        except CommandError as error:
            self._refuse(connection, command, error)
            connection.close(CloseCode.MALFORMED, error.code)
            return
        except TicketRefused as error:
            self._refuse(connection, command, CommandError("ticket_refused", str(error)))
            connection.close(CloseCode.TICKET_REFUSED, "ticket refused")
            return
        room = self._rooms.get(viewer.room_id)
        if (
            room is not None
            and room.loaded.is_set()
            and room.owes_no_personal(viewer.viewer_id, join.personal_offset)
            and not room.is_ahead(join.epoch, join.offset)
        ):
            # The usual case asks nobody: a storm of returning viewers reads nothing from Redis.
            self._enter(connection, room, viewer, join, room.personal_head(viewer.viewer_id), [])
            return
        connection.is_joining = True
        self._own(self._join_later(connection, command, viewer, join), "join")

    async def _join_later(
        self, connection: Connection, command: Command, viewer: Viewer, join: protocol.Join
    ) -> None:
        room = self._room(viewer.room_id)
        room.expect(connection, viewer.viewer_id)
        try:
            async with asyncio.timeout(self.settings.load_timeout_s):
                await room.loaded.wait()
            await room.catch_up_with(join.epoch, join.offset)
            if room.owes_no_personal(viewer.viewer_id, join.personal_offset):
                after, missed = room.personal_head(viewer.viewer_id), []
            else:
                stored = await self.broker.personal_after(
                    viewer.room_id, viewer.viewer_id, join.personal_offset
                )
                after, missed = stored.after, stored.messages
        except (RedisError, TimeoutError):
            self._refuse(connection, command, BrokerUnavailable())
            connection.close(CloseCode.HUB_FULL, "unavailable")
            return
        finally:
            early = room.unexpect(connection, viewer.viewer_id)
        self._enter(connection, room, viewer, join, after, missed + early)

    def _enter(
        self,
        connection: Connection,
        room: HubRoom,
        viewer: Viewer,
        join: protocol.Join,
        personal_after: int,
        missed: list[tuple[int, bytes]],
    ) -> None:
        if not connection.is_open:
            return
        if room.is_banned(viewer.viewer_id):
            connection.close(CloseCode.BANNED, "banned")
            return
        if room.tabs_of(viewer.viewer_id) >= self.settings.max_connections_per_viewer:
            connection.close(CloseCode.TOO_MANY_CONNECTIONS, "too many connections of this viewer")
            return
        recovered = room.enter(
            connection,
            viewer,
            epoch=join.epoch,
            offset=join.offset,
            personal_after=personal_after,
            missed=missed,
        )
        self._guests.discard(connection)
        answer = "recovered" if recovered else "new" if join.epoch is None else "jump"
        self.metrics.joins.labels(answer).inc()

    # -- rooms

    def _room(self, room_id: str) -> HubRoom:
        room = self._rooms.get(room_id)
        if room is None:
            room = self._rooms[room_id] = HubRoom(room_id, self._services)
            room.is_paused = not self._hears(room_id)
            task = asyncio.create_task(room.run(), name=f"room {room_id}")
            task.add_done_callback(self._finished)
            self._room_tasks[room_id] = task
        return room

    async def _drop_room(self, room: HubRoom) -> None:
        """Stop following a room that nobody here watches."""
        del self._rooms[room.room_id]
        task = self._room_tasks.pop(room.room_id)
        task.cancel()
        self._subscription.unsubscribe(channel_of(room.room_id))
        await self.broker.enter_presence(room.room_id, self.hub_id, 0, 0)

    def _hears(self, room_id: str) -> bool:
        return self._subscription.is_connected(channel_of(room_id))

    def _room_of(self, channel: bytes) -> HubRoom | None:
        # The channel is "{room:ID}:rt:live", see `channel_of`.
        return self._rooms.get(channel[6:-9].decode())

    def _on_redis(self, channel: bytes, payload: bytes) -> None:
        room = self._room_of(channel)
        if room is not None:
            room.receive(payload)

    def _on_redis_lost(self, channels: Set[bytes]) -> None:
        for room in filter(None, map(self._room_of, channels)):
            room.pause()

    def _on_redis_restored(self, channels: Set[bytes]) -> None:
        self.metrics.redis_reconnects.inc()
        for room in filter(None, map(self._room_of, channels)):
            room.resync()

    # -- what ticks for all

    async def _wheel(self) -> None:
        """Pings, idle closes, joins that never came, closes that never ended: one timer for all connections."""
        settings = self.settings
        turns = max(1, round(settings.ping_interval_s / WHEEL_INTERVAL_S))
        turn = 0
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(WHEEL_INTERVAL_S)
            now_s = time.monotonic()
            self.metrics.loop_lag_seconds.observe(max(0.0, now_s - before_s - WHEEL_INTERVAL_S))
            for connection in list(self._closing):
                if now_s - connection.closing_since_s > settings.close_timeout_s:
                    connection.transport.abort()
            for connection in list(self._guests):
                if now_s - connection.opened_s > settings.join_timeout_s and not connection.is_joining:
                    connection.close(CloseCode.NO_JOIN, f"no join within {settings.join_timeout_s:g} s")
            turn = (turn + 1) % turns
            buffered = 0
            for room in list(self._rooms.values()):
                for connection in room.members[turn::turns]:
                    buffered += connection.transport.get_write_buffer_size()
                    if now_s - connection.heard_s > settings.silent_close_s:
                        connection.reason = "silent"
                        connection.transport.abort()
                    else:
                        connection.ping()
                await asyncio.sleep(0)
            self.metrics.write_buffer_bytes.set(buffered * turns)

    async def _totals(self) -> None:
        """Likes, requests, presence and delays leave this hub as totals, on a timer; rooms nobody watches are let go."""
        next_requests_s = next_presence_s = next_delays_s = 0.0
        while True:
            await asyncio.sleep(self.settings.likes_interval_s)
            now_s = time.monotonic()
            with_presence = now_s >= next_presence_s
            if with_presence:
                next_presence_s = now_s + self.settings.presence_interval_s
            with_requests = now_s >= next_requests_s
            if with_requests:
                next_requests_s = now_s + self.settings.requests_interval_s
            with_delays = now_s >= next_delays_s
            if with_delays:
                next_delays_s = now_s + self.settings.delays_interval_s
            rooms = list(self._rooms.values())
            for start in range(0, len(rooms), TOTALS_AT_ONCE):
                await asyncio.gather(
                    *(
                        self._total_of(room, with_requests, with_presence, with_delays)
                        for room in rooms[start : start + TOTALS_AT_ONCE]
                    )
                )

    async def _total_of(
        self, room: HubRoom, with_requests: bool, with_presence: bool, with_delays: bool
    ) -> None:
        room.nudge()
        try:
            if not room.is_unused:
                room.used_s = time.monotonic()
            elif time.monotonic() - room.used_s > self.settings.room_idle_s:
                await self._drop_room(room)
                return
            if self._hears(room.room_id):
                await totals.send_likes(self.broker, room)
                if with_requests:
                    await totals.tell_requests(self._requests, room)
                if with_presence:
                    asked_s = time.perf_counter()
                    await totals.enter_presence(self.broker, room, self.hub_id)
                    self.metrics.redis_seconds.observe(time.perf_counter() - asked_s)
                if with_delays:
                    await totals.enter_delays(self.broker, room, self.hub_id)
        except (RedisError, CommandError) as error:
            log.warning("totals of room %s wait: %s", room.room_id, error)
