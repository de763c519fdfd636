"""Writes one message, the same bytes, to every member of a room: framed once, in slices with a rotating start.

Between two slices others get their turn: joins, holds, personal messages, and whatever `between` does.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from typing import Final

from realtime import protocol
from realtime.connection import Connection
from realtime.metrics import HubMetrics
from realtime.settings import HubSettings

LOOK_EVERY: Final = 32
"""Connections written between two looks at the clock."""

Between = Callable[[Sequence[Connection], int], None]
"""Called between slices with the pass' members and how many of them have the message by now. It must not wait."""


class FanOut:
    """A room's way out. `skip` is told of each reader that does not keep up and is left out."""

    def __init__(
        self, settings: HubSettings, metrics: HubMetrics, skip: Callable[[Connection], None]
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._skip = skip
        self._start = 0

    async def write(
        self, members: Sequence[Connection], message: bytes, between: Between | None = None
    ) -> None:
        """One pass over all who are members now; who joins meanwhile has it in their snapshot."""
        count = len(members)
        if not count:
            return
        settings = self._settings
        self._start = (self._start + settings.slice_connections) % count
        members = [*members[self._start :], *members[: self._start]]
        shared = _Shared(message)
        done = written = 0
        slice_began_s = time.perf_counter()
        while done < count:
            until = min(
                count,
                done + LOOK_EVERY,
                (done // settings.slice_connections + 1) * settings.slice_connections,
            )
            written += self._write_some(members[done:until], shared)
            done = until
            is_long = time.perf_counter() - slice_began_s > settings.slice_max_s
            if is_long or done % settings.slice_connections == 0:
                if between is not None and done < count:
                    between(members, done)
                await asyncio.sleep(0)
                slice_began_s = time.perf_counter()
        self._metrics.deliveries.inc(written)
        self._metrics.ticks.inc()

    def write_now(self, members: Sequence[Connection], message: bytes) -> None:
        """A small message to all of these at once, without a pause."""
        self._metrics.deliveries.inc(self._write_some(members, _Shared(message)))

    def _write_some(self, members: Sequence[Connection], shared: _Shared) -> int:
        frame, size, write = shared.frame, len(shared.frame), os.write
        skip_above = self._settings.skip_above_bytes
        written = 0
        for connection in members:
            if connection.index < 0:
                continue
            if (
                connection.behind_since_s
                or (buffered := connection.transport.get_write_buffer_size()) > skip_above
            ):
                self._skip(connection)
                continue
            written += 1
            if connection.is_json:
                connection.transport.write(shared.json_frame)
            elif buffered or (fd := connection.fd) < 0:
                connection.transport.write(frame)
            else:
                # An idle socket: one system call, a sixth cheaper than by way of the transport. The descriptor is
                # the connection's own as long as it is a member: transports close it after `connection_lost`.
                try:
                    sent = write(fd, frame)
                except OSError:
                    sent = 0  # Full, or broken: the transport waits, or finds out.
                if sent != size:
                    connection.transport.write(frame[sent:])
        return written


class _Shared:
    """A message as the bytes that go out, made once for each form."""

    __slots__ = ("_json", "_message", "frame")

    def __init__(self, message: bytes) -> None:
        self._message = message
        self.frame = protocol.frame(message)
        self._json: bytes | None = None

    @property
    def json_frame(self) -> bytes:
        if self._json is None:
            self._json = protocol.frame(protocol.as_json(self._message).encode(), text=True)
        return self._json
