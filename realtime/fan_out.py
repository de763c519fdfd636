"""Writes one message, the same bytes, to every member of a room: framed once, in slices with a rotating start.

Between two slices others get their turn: joins, holds, personal messages, and whatever `between` does.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

from realtime import deflate, frames, protocol
from realtime.connection import Connection
from realtime.metrics import HubMetrics
from realtime.settings import HubSettings

LOOK_EVERY: Final = 32
"""Connections written between two looks at the clock."""

Freshen = Callable[[], "Shared | None"]
"""Asked between slices: the message as those who are still to come shall have it, or None when it stays as it is."""


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
        self, members: Sequence[Connection], shared: Shared, freshen: Freshen | None = None
    ) -> None:
        """One pass over all who are members now; who joins meanwhile has it in their snapshot."""
        count = len(members)
        if not count:
            return
        settings = self._settings
        self._start = (self._start + settings.slice_connections) % count
        members = [*members[self._start :], *members[: self._start]]
        done = written = 0
        slice_began_s = time.perf_counter()
        while done < count:
            slice_end = (done // settings.slice_connections + 1) * settings.slice_connections
            until = min(count, done + LOOK_EVERY, slice_end)
            written += self._write_some(members[done:until], shared)
            done = until
            is_long = time.perf_counter() - slice_began_s > settings.slice_max_s
            if is_long or done == slice_end:
                await asyncio.sleep(0)
                if freshen is not None:
                    shared = freshen() or shared
                slice_began_s = time.perf_counter()
        self._metrics.deliveries.inc(written)
        self._metrics.ticks.inc()

    def _write_some(self, members: Sequence[Connection], shared: Shared) -> int:
        plain, write = shared.plain, os.write
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
            frame = plain
            if connection.is_deflated:
                frame = shared.deflated_json if connection.is_json else shared.deflated
            elif connection.is_json:
                frame = shared.json
            if buffered or (fd := connection.fd) < 0:
                connection.transport.write(frame)
            else:
                # An idle socket: one system call, a sixth cheaper than by way of the transport. The descriptor is
                # the connection's own as long as it is a member: transports close it after `connection_lost`.
                try:
                    sent = write(fd, frame)
                except OSError:
                    sent = 0  # Full, or broken: the transport waits, or finds out.
                if sent != len(frame):
                    connection.transport.write(frame[sent:])
        return written


class Shared:
    """A message as the bytes that go out, made once for each form that somebody wants. Its end may be exchanged for another."""

    def __init__(self, begin: bytes, end: bytes = b"") -> None:
        self._begin = begin
        self._end = end
        self.plain = protocol.frame(begin + end)

    def ending(self, end: bytes) -> Shared:
        """The same message with another end; what is compressed of its beginning is kept."""
        other = Shared(self._begin, end)
        if "_deflated_begin" in self.__dict__:
            other.__dict__["_deflated_begin"] = self._deflated_begin
        return other

    @cached_property
    def json(self) -> bytes:
        return protocol.frame(self._text, text=True)

    @cached_property
    def deflated(self) -> bytes:
        if len(self.plain) < deflate.LEAST_BYTES:
            return self.plain
        return _shorter(self.plain, self._deflated_begin + deflate.compress(self._end))

    @cached_property
    def deflated_json(self) -> bytes:
        if len(self.json) < deflate.LEAST_BYTES:
            return self.json
        return _shorter(self.json, deflate.compress(self._text), text=True)

    @cached_property
    def _deflated_begin(self) -> bytes:
        return deflate.compress_part(self._begin)

    @cached_property
    def _text(self) -> bytes:
        return protocol.as_json(self._begin + self._end).encode()


def _shorter(plain: bytes, deflated: bytes, *, text: bool = False) -> bytes:
    """The compressed frame, or the plain one where that is no longer."""
    frame = protocol.frame(deflated, text=text)
    frame = bytes((frame[0] | frames.COMPRESSED,)) + frame[1:]
    return frame if len(frame) < len(plain) else plain
