"""Records what is on air: whoever publishes into a room whose show is live, rehearsals left out.

Fragments wait in memory for a second at most, are then appended to the part's file and synced by a thread. Below the floor of free space
nothing is written any more, and the room is told; above it, it goes on in a new part.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Literal

from live.media import finish
from live.media.feed import REST_KEY_FRAMES_S, Feeds, Fragment
from live.media.recordings import Recording, Shelf, sync_folder
from live.media.sessions import Session, Sessions
from live.media.show_captions import CaptionLog, Line
from live.media.show_events import EventLog, Position
from live.problems import HttpProblem

log = logging.getLogger("flashroom.media")

WRITE_S: Final = 1.0
MAX_WAITING_BYTES: Final = 64 << 20
LOOK_S: Final = 2.0
SHELF_S: Final = 5.0
RETENTION_S: Final = 600.0
FINISH_TIMEOUT_S: Final = 3600.0
FINISH_AGAIN_S: Final = 60.0
FORGOTTEN_S: Final = 12 * 3600.0
"""A recording whose show nobody knows any more (Redis was emptied) is finished after this."""

RecordingState = Literal["off", "on", "no_space", "failed"]


@dataclass(frozen=True, slots=True)
class ShowNow:
    """What Redis says of a room's show."""

    is_live: bool
    is_rehearsal: bool
    has_ended: bool
    started_at_ms: int | None


ShownEvent = tuple[int, str, Any]


async def _nothing_happens(_: str, __: Position | None) -> None:
    return None


async def _nothing_is_said(_: str, __: str | None) -> Sequence[tuple[str, Line]]:
    return ()


async def _nobody_knows(_: str) -> ShowNow | None:
    return None


async def _nobody_hears(_: str, __: int) -> None:
    return None


def _is_of_show(event: ShownEvent, started_at_ms: int) -> bool:
    """Whether it happened since the show began; events without a time come right after one that has."""
    data = event[2]
    return (
        not isinstance(data, dict) or not isinstance(data.get("at_ms"), int) or data["at_ms"] >= started_at_ms
    )


class Recorder:
    """One show being written. `take` only queues; `write` does the work in a thread."""

    wants_key_frames_s = REST_KEY_FRAMES_S

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.lock = asyncio.Lock()  # one write at a time
        self.has_overflowed = False
        self.written_bytes = 0
        self._has_begun = False
        self._waiting: list[Fragment] = []
        self._waiting_bytes = 0
        self._file: BinaryIO | None = None
        self._key: tuple[str | None, bool] | None = None

    def take(self, part: Fragment) -> None:
        """One more part; dropped when the disk is a minute behind."""
        if not self._has_begun and not part.is_independent:
            return
        self._has_begun = True
        if self._waiting_bytes > MAX_WAITING_BYTES:
            self.has_overflowed = True
            return
        self._waiting.append(part)
        self._waiting_bytes += len(part.content)

    @property
    def has_waiting(self) -> bool:
        return bool(self._waiting)

    def collect(self) -> list[Fragment]:
        """What waits, in the event loop's thread."""
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        return waiting

    def write(self, parts: list[Fragment]) -> None:
        """Append and sync. Raises OSError, after which the file is closed, and what was whole before stays whole."""
        try:
            for part in parts:
                # A picture of another size goes on in the same file: its parameter sets are with its key frame.
                key = (part.init.video.codec if part.init.video is not None else None, part.init.has_sound)
                if self._file is None or key != self._key:
                    self._begin(part, key)
                assert self._file is not None
                self._file.write(part.content)
                self.written_bytes += len(part.content)
            if self._file is not None:
                self._file.flush()
                os.fsync(self._file.fileno())
        except OSError:
            self.close()
            raise

    def _begin(self, part: Fragment, key: tuple[str | None, bool]) -> None:
        self.close()
        path = self.recording.new_part(round(part.wall_ms - part.at_s * 1000))
        self._file = path.open("xb")
        self._key = key
        self._file.write(part.init.content)
        sync_folder(path.parent)

    def close(self) -> None:
        """End the part; the next fragment begins another."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()


@dataclass(slots=True)
class _Running:
    recorder: Recorder
    started_at_ms: int
    events: EventLog
    position: Position | None
    captions: CaptionLog
    lock: BinaryIO


class Recordings:
    """Begins, writes, ends and finishes the recordings of a media process, and deletes old ones."""

    def __init__(
        self,
        sessions: Sessions,
        feeds: Feeds,
        shelf: Shelf,
        *,
        floor_bytes: int,
        days: int,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.shelf = shelf
        self.show_now: Callable[[str], Awaitable[ShowNow | None]] = _nobody_knows
        """What a room's show is doing; set where Redis is."""
        self.events_after: Callable[
            [str, Position | None], Awaitable[tuple[str, Sequence[ShownEvent]] | None]
        ] = _nothing_happens
        """A room's events after a position, with the epoch they are of; set where Redis is."""
        self.captions_after: Callable[[str, str | None], Awaitable[Sequence[tuple[str, Line]]]] = (
            _nothing_is_said
        )
        """The lines of captions after an entry, each with its own; set where Redis is."""
        self.on_deleted: Callable[[str, int], Awaitable[None]] = _nobody_hears
        """Told of each recording that is gone, by room and start of the show; set where Redis is."""
        self.free_bytes = 0
        self.written_bytes = 0
        self.finished = 0
        self.failures = 0
        self._sessions = sessions
        self._feeds = feeds
        self._floor_bytes = floor_bytes
        self._days = days
        self._clock_s = clock_s
        self._stop = asyncio.Event()
        self._running: dict[str, _Running] = {}
        self._trouble: dict[str, RecordingState] = {}
        self._not_before_s: dict[str, float] = {}

    def state(self, room_id: str) -> RecordingState:
        """For viewers and the console: whether the room is being recorded, and if not, whether it should be."""
        if room_id in self._trouble:
            return self._trouble[room_id]
        return "on" if room_id in self._running else "off"

    def is_writing(self, room_id: str, started_at_ms: int) -> bool:
        running = self._running.get(room_id)
        return running is not None and running.started_at_ms == started_at_ms

    def count(self, state: RecordingState) -> int:
        return sum(self.state(room_id) == state for room_id in {*self._running, *self._trouble})

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then what was taken is on disk, and parts are left for the next process or the end of the show."""
        self._stop = stop
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(stop, WRITE_S, self._write_all), name="recordings write")
            group.create_task(self._repeat(stop, LOOK_S, self.look), name="recordings look")
            group.create_task(self._repeat(stop, LOOK_S, self.keep_events), name="recordings events")
            group.create_task(self._repeat(stop, SHELF_S, self.finish_ended), name="recordings finish")
            group.create_task(self._repeat(stop, RETENTION_S, self._delete_old), name="recordings retention")
        for room_id in list(self._running):
            await self._end(room_id)

    async def _repeat(self, stop: asyncio.Event, every_s: float, step: Callable[[], Awaitable[None]]) -> None:
        while not stop.is_set():
            try:
                await step()
            except (
                OSError,
                ValueError,
            ):  # a disk in trouble, or a file that somebody has edited, must not end live video
                self.failures += 1
                log.exception("recordings are in trouble")
            try:
                await asyncio.wait_for(stop.wait(), every_s)
            except TimeoutError:
                continue

    # -- beginning and ending

    async def look(self) -> None:
        """Begin what is live, end what isn't."""
        self.free_bytes = await asyncio.to_thread(self.shelf.free_bytes)
        for room_id, stream in list(self._sessions.streams.items()):
            if stream.is_relayed and room_id in self._running:
                await self._end(room_id)  # the show has moved to another process, which records it
            is_on_air = isinstance(stream.source, Session) and stream.is_publishing
            if not is_on_air and room_id not in self._running:
                continue
            show = await self.show_now(room_id)
            if show is None:
                continue  # Redis doesn't say: what runs goes on, and nothing begins
            wanted = show.is_live and not show.is_rehearsal and show.started_at_ms is not None
            running = self._running.get(room_id)
            if running is not None and (show.has_ended or running.started_at_ms != show.started_at_ms):
                await self._end(room_id)
                running = None
            if wanted and is_on_air and running is None:
                assert show.started_at_ms is not None
                await self._begin(room_id, show.started_at_ms)
            if not wanted:
                self._trouble.pop(room_id, None)

    async def _begin(self, room_id: str, started_at_ms: int) -> None:
        if self.free_bytes < self._floor_bytes:
            self._no_space(room_id)
            return
        recording = await asyncio.to_thread(self.shelf.open, room_id, started_at_ms)
        try:
            lock = await asyncio.to_thread(recording.lock, alone=False)
        except BlockingIOError:
            return  # its film is being made; the next look finds it finished
        recorder = Recorder(recording)
        try:
            if recording.is_finished:
                lock.close()
                return  # the show ended and went on again under the same start: its film is made
            self._feeds.add(room_id, recorder)
        except HttpProblem as problem:
            lock.close()
            log.warning("room %s is not recorded: %s", room_id, problem.detail)
            return
        events = EventLog(recording.folder)
        position = await asyncio.to_thread(events.position)
        captions = CaptionLog(recording.folder)
        self._running[room_id] = _Running(recorder, started_at_ms, events, position, captions, lock)
        self._trouble.pop(room_id, None)
        log.info("room %s is recorded", room_id)

    async def keep_events(self) -> None:
        """Write what has happened and was said in the recorded rooms since the last time."""
        for room_id, running in list(self._running.items()):
            await self._keep_events(room_id, running)

    async def _keep_events(self, room_id: str, running: _Running) -> None:
        said = await self.captions_after(room_id, await asyncio.to_thread(running.captions.entry))
        if said:
            await asyncio.to_thread(running.captions.append, said, running.started_at_ms)
        answer = await self.events_after(room_id, running.position)
        if answer is None or not answer[1]:
            return
        epoch, found = answer
        events = [e for e in found if _is_of_show(e, running.started_at_ms)]
        await asyncio.to_thread(running.events.append, epoch, events)
        running.position = Position(epoch, found[-1][0])

    async def _end(self, room_id: str) -> None:
        running = self._running.get(room_id)
        if running is None:
            return
        await self._keep_events(room_id, running)
        self._feeds.remove(room_id, running.recorder)  # it gets the rest, at once
        await self._write(room_id, running.recorder)
        self._running.pop(room_id, None)
        await asyncio.to_thread(running.recorder.close)
        running.lock.close()

    def _no_space(self, room_id: str) -> None:
        if self._trouble.get(room_id) != "no_space":
            self._trouble[room_id] = "no_space"
            log.error(
                "room %s is not recorded: %d MB free, the floor is %d MB (FLASHROOM_RECORDING_FREE_MB)",
                room_id,
                self.free_bytes >> 20,
                self._floor_bytes >> 20,
            )

    # -- writing

    async def _write_all(self) -> None:
        for room_id, running in list(self._running.items()):
            if running.recorder.has_waiting:
                await self._write(room_id, running.recorder)

    async def _write(self, room_id: str, recorder: Recorder) -> None:
        async with recorder.lock:
            await self._write_alone(room_id, recorder)

    async def _write_alone(self, room_id: str, recorder: Recorder) -> None:
        parts = recorder.collect()
        size = sum(len(part.content) for part in parts)
        self.free_bytes = await asyncio.to_thread(self.shelf.free_bytes)
        if self.free_bytes - size < self._floor_bytes:
            self._no_space(room_id)
            self._drop(room_id)
            await asyncio.to_thread(recorder.close)
            return
        try:
            await asyncio.to_thread(recorder.write, parts)
        except OSError as error:
            self.failures += 1
            self._trouble[room_id] = "failed"
            self._drop(room_id)
            log.error("the recording of room %s could not be written: %s", room_id, error)
            return
        self.written_bytes += size

    def _drop(self, room_id: str) -> None:
        """Stop taking; `look` begins again when there is space."""
        running = self._running.pop(room_id, None)
        if running is not None:
            self._feeds.remove(room_id, running.recorder)
            running.lock.close()

    # -- finishing

    async def finish_ended(self) -> None:
        """Make the films of shows that have ended, one at a time; also of those that another process left behind."""
        for recording in await asyncio.to_thread(self._unfinished):
            key = str(recording.folder)
            if self._clock_s() < self._not_before_s.get(key, 0.0) or not await self._has_ended(recording):
                continue
            self._not_before_s[key] = self._clock_s() + FINISH_AGAIN_S
            if await self._finish(recording):
                self._not_before_s.pop(key, None)
                self.finished += 1

    def _unfinished(self) -> list[Recording]:
        return [r for r in self.shelf.all() if not r.is_finished and r.parts()]

    async def _has_ended(self, recording: Recording) -> bool:
        running = self._running.get(recording.room_id)
        if running is not None and running.started_at_ms == recording.started_at_ms:
            return False
        show = await self.show_now(recording.room_id)
        if show is not None and show.started_at_ms is not None:
            return show.has_ended or show.started_at_ms != recording.started_at_ms
        changed_at_s = await asyncio.to_thread(recording.changed_at_s)
        return time.time() - changed_at_s > FORGOTTEN_S

    async def _finish(self, recording: Recording) -> bool:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "live.media.finish", str(recording.folder), str(self._floor_bytes)
        )
        ended = asyncio.ensure_future(process.wait())
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait(
                (ended, stopped), timeout=FINISH_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            stopped.cancel()
            if not ended.done():
                process.kill()  # whoever comes next begins it again
            code = await ended
        if self._stop.is_set() or code == finish.BUSY:
            return code == 0
        if code:
            self.failures += 1
            why = "not enough free space" if code == finish.NO_SPACE else f"code {code}"
            log.error("the film of %s is not made: %s; its parts are kept", recording.folder, why)
        return code == 0

    async def _delete_old(self) -> None:
        for recording in await asyncio.to_thread(self.shelf.delete_older, self._days, time.time()):
            log.info("a recording is %d days old and deleted: %s", self._days, recording.folder)
            await self.on_deleted(recording.room_id, recording.started_at_ms)

    async def delete(self, recording: Recording) -> None:
        """For good. Raises OSError."""
        await asyncio.to_thread(recording.delete)
        await self.on_deleted(recording.room_id, recording.started_at_ms)
