"""What was said and shown in a room while it was recorded, kept beside its film: chat, pins, sales, so that a replay has them in step.

Lines are only appended, a crash may cut the last one. What was deleted is left out when read, as are viewers' ids.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

EVENTS: Final = "events.jsonl"
KEPT: Final = frozenset({"comment", "comment_deleted", "pin", "sale", "announcement"})
MAX_SHOWN: Final = 50_000
_COMMENT_FIELDS: Final = ("id", "name", "role", "text", "at_ms", "ghost")


@dataclass(frozen=True, slots=True)
class Position:
    """How far a room's events are kept; an epoch ends when Redis has forgotten them."""

    epoch: str
    offset: int


class EventLog:
    """One show's file. Calls touch the disk."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / EVENTS

    def position(self) -> Position | None:
        """The last event kept; None when there is none."""
        lines = self._lines()
        return Position(lines[-1]["epoch"], lines[-1]["offset"]) if lines else None

    def append(self, epoch: str, events: Sequence[tuple[int, str, Any]]) -> None:
        """Keep what a replay shows of these (offset, type, data), and how far they go. Raises OSError."""
        if not events:
            return
        with self._path.open("a+b") as raw, io.TextIOWrapper(raw, "utf-8") as file:
            if raw.tell() and not ends_with_a_line(raw):
                file.write("\n")  # the process was killed while writing the last one
            for number, (offset, kind, data) in enumerate(events):
                if kind in KEPT or number == len(events) - 1:
                    kept = data if kind in KEPT else None
                    file.write(
                        json.dumps({"epoch": epoch, "offset": offset, "type": kind, "data": kept}) + "\n"
                    )

    def shown(self) -> list[dict[str, Any]]:
        """`{type, at_ms, data}` in order, at most 50,000: what was not deleted."""
        found: dict[Any, dict[str, Any]] = {}
        for number, line in enumerate(self._lines()):
            data = line["data"]
            if not isinstance(data, dict):
                continue
            if line["type"] == "comment_deleted":
                if ("comment", data.get("id")) in found:
                    found[("comment", data.get("id"))]["deleted"] = not data.get("restored", False)
                continue
            key = ("comment", data.get("id")) if line["type"] == "comment" else ("other", number)
            if line["type"] == "comment":
                data = {name: data[name] for name in _COMMENT_FIELDS if name in data}
            found[key] = {"type": line["type"], "at_ms": data.get("at_ms"), "data": data}
        return [one for one in found.values() if not one.pop("deleted", False)][:MAX_SHOWN]

    def _lines(self) -> list[dict[str, Any]]:
        return whole_lines(self._path)


def ends_with_a_line(raw: BinaryIO) -> bool:
    """Whether a file of lines, which isn't empty, ends with a whole one."""
    raw.seek(-1, io.SEEK_END)
    return raw.read(1) == b"\n"


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """What the lines of a file say; none when it isn't there, and without those that a crash cut."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    lines = []
    for line in text.splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # the process was killed while writing it
    return lines
