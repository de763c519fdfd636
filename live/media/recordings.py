"""Recordings on disk: one folder per show, written so that a crash at any moment loses a few seconds at most.

    recordings/ROOM/STARTED_AT_MS/part-ORIGIN_MS-NUMBER.mp4   fragmented, appended to while live; a new one after every restart
                                 /show-1.mp4, finished.json   what `live.media.finish` makes of the parts, which are then removed

Everything that must survive is in the files and their names: wall time of a sample = ORIGIN_MS + its time.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

FINISHED: Final = "finished.json"
LOCK: Final = ".lock"
MAX_LISTED: Final = 200
PART: Final = re.compile(r"part-(?P<origin_ms>[0-9]{1,15})-(?P<number>[0-9]{4})\.mp4")
SHOW: Final = re.compile(r"show-[0-9]{1,3}\.(?:mp4|webm)")
MEDIA_TYPES: Final = {".mp4": "video/mp4", ".webm": "video/webm"}
_ROOM: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_STARTED: Final = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Recording:
    """A show's folder."""

    folder: Path

    @property
    def room_id(self) -> str:
        return self.folder.parent.name

    @property
    def started_at_ms(self) -> int:
        return int(self.folder.name)

    @property
    def is_finished(self) -> bool:
        return (self.folder / FINISHED).is_file()

    def lock(self, *, alone: bool) -> BinaryIO:
        """Kept until closed, or the process ends: writers together, or one finisher alone. Raises BlockingIOError.

        Several media processes share the shelf of a machine, and a show may have moved from one to another.
        """
        file = (self.folder / LOCK).open("ab")
        try:
            fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise
        return file

    def parts(self) -> list[Path]:
        """In the order they were written."""
        found = [path for path in self.folder.iterdir() if PART.fullmatch(path.name)]
        return sorted(found, key=lambda path: path.name.rsplit("-", 1)[1])

    def new_part(self, origin_ms: int) -> Path:
        """The name of the next part."""
        numbers = [int(path.stem.rsplit("-", 1)[1]) for path in self.parts()]
        return self.folder / f"part-{origin_ms}-{max(numbers, default=0) + 1:04}.mp4"

    def finished(self) -> dict[str, Any]:
        """What `finished.json` says; empty before it is there."""
        try:
            content: dict[str, Any] = json.loads((self.folder / FINISHED).read_text())
        except FileNotFoundError:
            return {}
        return content

    def size(self) -> int:
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())

    def changed_at_s(self) -> float:
        """When it was last written to (seconds since 1970)."""
        return max(
            (path.stat().st_mtime for path in self.folder.iterdir()), default=self.folder.stat().st_mtime
        )

    def delete(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=False)


class Shelf:
    """All recordings below one folder. Calls touch the disk: from the event loop by `asyncio.to_thread`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, room_id: str, started_at_ms: int) -> Recording:
        """The show's folder, made when it isn't there."""
        if not _ROOM.fullmatch(room_id):
            raise ValueError(f"no room is called {room_id!r}")
        folder = self.folder / room_id / str(started_at_ms)
        folder.mkdir(parents=True, exist_ok=True)
        return Recording(folder)

    def find(self, room_id: str, recording_id: str) -> Recording | None:
        if not _ROOM.fullmatch(room_id) or not _STARTED.fullmatch(recording_id):
            return None
        folder = self.folder / room_id / recording_id
        return Recording(folder) if folder.is_dir() else None

    def of_room(self, room_id: str) -> list[Recording]:
        """Newest first, at most 200."""
        if not _ROOM.fullmatch(room_id) or not (self.folder / room_id).is_dir():
            return []
        found = [path for path in (self.folder / room_id).iterdir() if _STARTED.fullmatch(path.name)]
        return [Recording(path) for path in sorted(found, key=lambda p: -int(p.name))[:MAX_LISTED]]

    def all(self) -> list[Recording]:
        if not self.folder.is_dir():
            return []
        rooms = [path.name for path in self.folder.iterdir() if path.is_dir()]
        return [recording for room_id in sorted(rooms) for recording in self.of_room(room_id)]

    def free_bytes(self) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.folder).free

    def delete_older(self, days: int, now_s: float) -> list[Recording]:
        """Delete finished ones that ended more than `days` ago; 0 keeps all. Gives what is gone."""
        gone = []
        for recording in self.all() if days else []:
            if (
                recording.is_finished
                and now_s - recording.finished()["finished_at_ms"] / 1000 > days * 86_400
            ):
                recording.delete()
                gone.append(recording)
        return gone


def sync_folder(folder: Path) -> None:
    """Make new and renamed names in a folder survive a crash of the machine."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
