"""What was said in a show that is recorded, line by line, kept beside its film and given out as WebVTT in the film's time.

A room's value `captions` holds the newest line only, so whoever posts one while a film is made puts it into a short stream in Redis, too;
the media process reads on there and keeps the lines with the recording, which they end with.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis

from live.media.show_events import ends_with_a_line, whole_lines

CAPTIONS: Final = "captions.jsonl"
MAX_LINES: Final = 20_000
"""Of a show: over an hour of a recogniser that mends its line five times a second, a day of whole sentences."""
SHOWN_MS: Final = 8_000
"""A line stays this long unless the next replaces it."""
WAITING: Final = 1_500
WAITING_S: Final = 600
TRACK: Final = re.compile(r"(?P<film>show-[0-9]{1,3})\.vtt")

Line = Mapping[str, Any]
"""`{text, language, at_ms}`"""


async def put(redis: Redis, room_id: str, line: Line) -> None:
    """Leave a line for the media process that records the room: the newest 1,500, for 10 min. Raises what Redis raises."""
    key = _key(room_id)
    await redis.xadd(key, {"line": json.dumps(line)}, maxlen=WAITING, approximate=False)
    await redis.expire(key, WAITING_S)


async def after(redis: Redis, room_id: str, entry: str | None) -> list[tuple[str, Line]]:
    """The lines left after that entry, each with its own. Raises what Redis raises."""
    since = "-" if entry is None else f"({entry}"
    found: Any = await redis.xrange(_key(room_id), min=since, max="+", count=WAITING)
    return [(number.decode(), json.loads(fields[b"line"])) for number, fields in found]


def _key(room_id: str) -> str:
    return f"flashroom:captions:{{{room_id}}}"


class CaptionLog:
    """One show's file. Calls touch the disk; the file is read once, by the first of them."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / CAPTIONS
        self._entry: str | None = None
        self._count: int | None = None

    @property
    def is_there(self) -> bool:
        return self._path.is_file()

    def entry(self) -> str | None:
        """The last entry kept; None when there is none."""
        if self._count is None:
            lines = whole_lines(self._path)
            self._count = len(lines)
            self._entry = lines[-1]["entry"] if lines else None
        return self._entry

    def append(self, lines: Sequence[tuple[str, Line]], since_ms: int) -> None:
        """Keep these (entry, line) as far as they were said since the show began; beyond the bound of a show nothing. Raises OSError."""
        self.entry()
        assert self._count is not None
        kept = [(entry, line) for entry, line in lines if line["at_ms"] >= since_ms]
        kept = kept[: max(0, MAX_LINES - self._count)]
        if kept:
            with self._path.open("a+b") as raw, io.TextIOWrapper(raw, "utf-8") as file:
                if raw.tell() and not ends_with_a_line(raw):
                    file.write("\n")  # the process was killed while writing the last one
                file.writelines(json.dumps({"entry": entry, **line}) + "\n" for entry, line in kept)
            self._count += len(kept)
        if lines:
            self._entry = lines[-1][0]

    def vtt(self, spans: Sequence[Mapping[str, float]], duration_s: float) -> str:
        """All of it as WebVTT, in the time of a film of these spans."""
        shown = sorted(whole_lines(self._path), key=lambda line: int(line["at_ms"]))
        cues = (
            f"\n{_time(cue.from_s)} --> {_time(cue.to_s)}\n{cue.text}\n"
            for cue in _cues(shown, spans, duration_s)
        )
        return "WEBVTT\n" + "".join(cues)


@dataclass(frozen=True, slots=True)
class _Cue:
    from_s: float
    to_s: float
    text: str


def _cues(lines: Sequence[Line], spans: Sequence[Mapping[str, float]], duration_s: float) -> Iterator[_Cue]:
    ends_s = [*(span["at_s"] for span in spans[1:]), duration_s]
    for number, line in enumerate(lines):
        from_ms = line["at_ms"]
        next_ms = lines[number + 1]["at_ms"] if number + 1 < len(lines) else from_ms + SHOWN_MS
        begun = [index for index, span in enumerate(spans) if span["wall_ms"] <= from_ms]
        if not line["text"] or not begun:
            continue
        span, end_s = spans[begun[-1]], ends_s[begun[-1]]
        from_s = span["at_s"] + (from_ms - span["wall_ms"]) / 1000
        to_s = min(end_s, from_s + min(SHOWN_MS, next_ms - from_ms) / 1000)
        if to_s - from_s >= 0.001:  # not said in a pause, which the film leaves out
            yield _Cue(from_s, to_s, _text(line))


def _text(line: Line) -> str:
    escaped = line["text"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<lang {line['language']}>{escaped}</lang>" if line.get("language") else escaped


def _time(at_s: float) -> str:
    ms = round(at_s * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}.{ms % 1000:03}"
