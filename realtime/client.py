"""An asyncio client of the protocol, for ghosts, tests and load: joins, resumes after a lost connection, answers commands."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from realtime.protocol import SUBPROTOCOL_MSGPACK, CommandError, Kind
from realtime.tasks import end_tasks

log = logging.getLogger("flashroom.client")

REPLY_TIMEOUT_S: Final = 10.0
RECONNECT_MIN_S: Final = 0.5
RECONNECT_MAX_S: Final = 20.0
WAIT_AFTER_CLOSE_S: Final = {4009: 10.0, 4010: 30.0}
STOP_AFTER_CLOSE: Final = frozenset({4000, 4003})


class RoomClient:
    """One viewer. The attributes follow the room; `on_event(offset, type, data)` and the like are called in order.

    `get_ticket` is awaited before every connection, and may set `hub_url`. `jumps` counts snapshots that replaced what could not be
    resumed, `skipped` the comments that an overloaded hub left out and declared. After a close code that asks a client to stop
    (PROTOCOL.md) `stopped` is set and it stays away.
    """

    def __init__(
        self,
        hub_url: str,
        get_ticket: Callable[[], Awaitable[str]],
        *,
        reconnect_min_s: float = RECONNECT_MIN_S,
    ) -> None:
        self.hub_url = hub_url
        self.epoch: str | None = None
        self.offset = 0
        self.personal_offset: int | None = None
        self.mode: dict[str, Any] = {}
        self.values: dict[str, tuple[int, Any]] = {}
        self.joined = asyncio.Event()
        self.stopped = asyncio.Event()
        self.jumps = 0
        self.skipped = 0
        self.close_codes: list[int] = []
        self.on_event: Callable[[int, str, dict[str, Any]], None] = lambda offset, type_, data: None
        self.on_value: Callable[[str, Any], None] = lambda key, data: None
        self.on_personal: Callable[[str, dict[str, Any]], None] = lambda type_, data: None
        self.on_notice: Callable[[dict[str, Any]], None] = lambda notice: None
        self._get_ticket = get_ticket
        self._reconnect_min_s = reconnect_min_s
        self._come_back_after_s: float | None = None
        self._socket: ClientConnection | None = None
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._next_id = 1
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> RoomClient:
        self._task = asyncio.create_task(self._run(), name="room client")
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                await self.joined.wait()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            await end_tasks([self._task])

    async def command(self, name: str, **params: Any) -> dict[str, Any]:
        """The reply's payload. Raises CommandError when refused or when the connection is lost before the reply."""
        if self._socket is None:
            raise CommandError("offline", "Not connected.")
        command_id = self._next_id
        self._next_id += 1
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[command_id] = reply
        try:
            await self._socket.send(msgpack.packb([command_id, name, params]))
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                return await reply
        except ConnectionClosed:
            raise CommandError("offline", "The connection was lost.") from None
        except TimeoutError:
            raise CommandError("timeout", "No reply in time.") from None
        finally:
            self._replies.pop(command_id, None)

    async def _run(self) -> None:
        failures = 0
        while not self.stopped.is_set():
            code = 0
            try:
                code = await self._connect_once()
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd is not None else 1006
            except (OSError, WebSocketException, TimeoutError):
                pass
            except Exception:
                log.exception("the connection failed")
            failures = 0 if self.joined.is_set() else failures + 1
            self._left(code)
            ceiling_s = min(RECONNECT_MAX_S, self._reconnect_min_s * 2**failures)
            wait_s = WAIT_AFTER_CLOSE_S.get(code, 0.0) + random.uniform(0, ceiling_s)
            if self._come_back_after_s is not None:
                wait_s, self._come_back_after_s = self._come_back_after_s, None
            if code in STOP_AFTER_CLOSE:
                self.stopped.set()
                return
            await asyncio.sleep(wait_s)

    def _left(self, code: int) -> None:
        self.joined.clear()
        self._socket = None
        if code:
            self.close_codes.append(code)
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(CommandError("offline", "The connection was lost."))

    async def _connect_once(self) -> int:
        """Gives the close code of a connection that ended as it should."""
        params: dict[str, Any] = {"ticket": await self._get_ticket()}
        async with connect(
            self.hub_url,
            subprotocols=[Subprotocol(SUBPROTOCOL_MSGPACK)],
            compression=None,
            max_size=4 * 1024 * 1024,
            ping_interval=None,
            proxy=None,
        ) as socket:
            if self.personal_offset is not None:
                params["personal_offset"] = self.personal_offset
            if self.epoch is not None:
                params |= {"epoch": self.epoch, "offset": self.offset}
            await socket.send(msgpack.packb([self._next_id, "join", params]))
            self._next_id += 1
            self._socket = socket
            async for data in socket:
                assert isinstance(data, bytes)
                self._take(msgpack.unpackb(data))
            return socket.close_code or 0

    def _take(self, message: list[Any]) -> None:
        kind = message[0]
        if kind == Kind.TICK:
            _, _, self.epoch, first_offset, events, values = message
            self._take_events(first_offset, events)
            self._take_values(values)
        elif kind == Kind.REPLY:
            reply = self._replies.get(message[1])
            if reply is not None and not reply.done():
                if message[2]:
                    reply.set_result(message[3])
                else:
                    error = dict(message[3])
                    reply.set_exception(CommandError(error.pop("code"), error.pop("message"), **error))
        elif kind == Kind.PERSONAL:
            if self.personal_offset is None or message[1] > self.personal_offset:
                self.personal_offset = message[1]
                self.on_personal(message[2], message[3])
        elif kind == Kind.JOINED:
            self._take_joined(message[1])
        elif kind == Kind.NOTICE:
            self._take_notice(message[1])

    def _take_joined(self, joined: dict[str, Any]) -> None:
        if not joined["recovered"]:
            if self.epoch is not None:
                self.jumps += 1
            if joined["epoch"] != self.epoch:
                self.values.clear()
            self.offset = joined["first_offset"] - 1
        self.epoch = joined["epoch"]
        self.mode = joined["mode"]
        if self.personal_offset is None:
            self.personal_offset = joined["personal_offset"]
        self._take_events(joined["first_offset"], joined["events"])
        assert self.offset == joined["offset"], "the events of JOINED end at its offset"
        self._take_values(joined["values"])
        self.joined.set()

    def _take_notice(self, notice: dict[str, Any]) -> None:
        if notice["type"] == "mode":
            self.mode = {key: value for key, value in notice.items() if key != "type"}
        elif notice["type"] == "reconnect":
            self._come_back_after_s = notice["after_ms"] / 1000
        self.on_notice(notice)

    def _take_events(self, first_offset: int, events: list[Any]) -> None:
        for number, (type_, data) in enumerate(events, start=first_offset):
            if number == self.offset + 1:
                self.offset = number
                if type_ == "skipped":
                    self.skipped += 1
                else:
                    self.on_event(number, type_, data)
            elif number > self.offset + 1:
                raise AssertionError(f"event {self.offset + 1} was never sent; got {number}")

    def _take_values(self, values: dict[str, Any]) -> None:
        for key, (version, data) in values.items():
            known = self.values.get(key)
            if known is None or version > known[0]:
                self.values[key] = (version, data)
                self.on_value(key, data)
