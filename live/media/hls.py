"""HLS (RFC 8216bis) for large audiences: a sliding window of segments and low-latency parts per room, in memory, bounded.

A window runs while somebody asks for its playlist, so a room that all watch by WebRTC costs nothing. The picture is never encoded again:
H264 goes in as it came. VP8 is refused, because Chromium (156) plays none in fragmented MP4; publishers that can do both are asked for
H264 by WHIP's answer.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from live.media.feed import LIVE_KEY_FRAMES_S, MAX_SEGMENT_S, Feeds, Fragment, Init

log = logging.getLogger("flashroom.media")

TARGET_S: Final = int(MAX_SEGMENT_S)
PART_TARGET_S: Final = 0.6
"""Parts are cut at 0.5 s; a camera that stutters may make one a picture longer."""
HOLD_BACK_S: Final = 1.8
SEGMENTS_LISTED: Final = 8
SEGMENTS_KEPT: Final = 11
"""Longer than listed, for whoever has read the playlist a moment ago."""
SEGMENTS_WITH_PARTS: Final = 3
MAX_WINDOW_BYTES: Final = 64 << 20
LEAST_BANDWIDTH: Final = 100_000
IDLE_S: Final = 30.0
BLOCK_S: Final = 6.0
START_S: Final = 8.0
AHEAD_ALLOWED: Final = 2


class NotYet(Exception):
    """The playlist is asked for something too far in the future (RFC 8216bis 6.2.5.2: 400)."""


@dataclass(slots=True)
class _Part:
    content: bytes
    duration_s: float
    is_independent: bool


@dataclass(slots=True)
class _Segment:
    number: int
    init: Init
    wall_ms: int
    after_break: bool
    parts: list[_Part] = field(default_factory=list)
    is_complete: bool = False

    @property
    def duration_s(self) -> float:
        return sum(part.duration_s for part in self.parts)

    @property
    def size(self) -> int:
        return sum(len(part.content) for part in self.parts)


class HlsRoom:
    """One room's window: takes fragments, gives playlists and their files."""

    wants_key_frames_s = LIVE_KEY_FRAMES_S

    def __init__(self, now_s: float, now_ms: int) -> None:
        self.asked_at_s = now_s
        # Names are never used twice, so that a cache may keep each for good; numbers only grow, also over a restart of this process.
        self.run = secrets.token_hex(4)
        self._next_number = now_ms // 1000
        # Another number after a restart, so that players begin their clocks anew; small, because hls.js walks through all up to it.
        self._breaks_before = now_ms // 1000 % 1000
        self._segments: deque[_Segment] = deque()
        self._news = asyncio.Event()

    # -- fragments

    def take(self, part: Fragment) -> None:
        """One more part."""
        if part.init.video is not None and part.init.video.codec != "H264":
            return
        last = self._segments[-1] if self._segments else None
        if last is None or last.is_complete:
            if not part.is_first or (last is None and not part.is_independent):
                return  # nothing that a player could begin with
            last = _Segment(self._next_number, part.init, part.wall_ms, part.after_break)
            self._next_number += 1
            self._segments.append(last)
        last.parts.append(_Part(part.content, part.duration_s, part.is_independent))
        last.is_complete = part.is_last
        self._forget_old()
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _forget_old(self) -> None:
        size = sum(segment.size for segment in self._segments)
        while len(self._segments) > SEGMENTS_KEPT or (size > MAX_WINDOW_BYTES and len(self._segments) > 3):
            gone = self._segments.popleft()
            size -= gone.size
            self._breaks_before += gone.after_break

    # -- files

    def playlist(self) -> str | None:
        """The playlist as it is now; None before there is anything to play."""
        listed = list(self._segments)[-SEGMENTS_LISTED:]
        if not listed:
            return None
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:9",
            f"#EXT-X-TARGETDURATION:{TARGET_S}",
            f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={HOLD_BACK_S}",
            f"#EXT-X-PART-INF:PART-TARGET={PART_TARGET_S}",
            f"#EXT-X-MEDIA-SEQUENCE:{listed[0].number}",
            f"#EXT-X-DISCONTINUITY-SEQUENCE:{self._breaks_up_to(listed[0])}",
        ]
        init: Init | None = None
        for place, segment in enumerate(listed):
            if segment.after_break and place:
                lines.append("#EXT-X-DISCONTINUITY")
            if segment.init is not init:
                init = segment.init
                lines.append(f'#EXT-X-MAP:URI="{self.run}-init-{init.init_id}.mp4"')
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_iso(segment.wall_ms)}")
            if len(listed) - place <= SEGMENTS_WITH_PARTS:
                lines += self._part_lines(segment)
            if segment.is_complete:
                lines += [f"#EXTINF:{segment.duration_s:.5f},", f"{self.run}-{segment.number}.mp4"]
        number, part = self._next_part()
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{self.run}-{number}.{part}.mp4"')
        return "\n".join(lines) + "\n"

    def index(self, playlist: str) -> str | None:
        """A multivariant playlist with one way of watching, named `playlist`; None before there is anything to play."""
        if not self._segments:
            return None
        init = self._segments[-1].init
        codecs = ([init.video.codecs] if init.video is not None else []) + ["mp4a.40.2"] * init.has_sound
        sizes = [s.size * 8 / s.duration_s for s in self._segments if s.duration_s > 0]
        stream = f'BANDWIDTH={max(int(max(sizes, default=0)), LEAST_BANDWIDTH)},CODECS="{",".join(codecs)}"'
        if init.video is not None:
            stream += f",RESOLUTION={init.video.width}x{init.video.height}"
        return f"#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-STREAM-INF:{stream}\n{playlist}\n"

    def _part_lines(self, segment: _Segment) -> list[str]:
        return [
            f'#EXT-X-PART:DURATION={part.duration_s:.5f},URI="{self.run}-{segment.number}.{number}.mp4"'
            + (",INDEPENDENT=YES" if part.is_independent else "")
            for number, part in enumerate(segment.parts)
        ]

    def _breaks_up_to(self, first: _Segment) -> int:
        """Breaks that have left the list, the one before its first segment too: that one has no tag of its own."""
        gone = sum(s.after_break for s in self._segments if s.number <= first.number)
        return self._breaks_before + gone

    def _next_part(self) -> tuple[int, int]:
        last = self._segments[-1]
        return (last.number + 1, 0) if last.is_complete else (last.number, len(last.parts))

    def init(self, init_id: str) -> bytes | None:
        return next((s.init.content for s in self._segments if s.init.init_id == init_id), None)

    def segment(self, number: int) -> bytes | None:
        found = self._find(number)
        if found is None or not found.is_complete:
            return None
        return b"".join(part.content for part in found.parts)

    def part(self, number: int, part: int) -> bytes | None:
        found = self._find(number)
        return found.parts[part].content if found is not None and part < len(found.parts) else None

    def _find(self, number: int) -> _Segment | None:
        return next((s for s in self._segments if s.number == number), None)

    # -- waiting

    def has(self, number: int, part: int | None) -> bool:
        """Whether the playlist lists this segment, or this part of it, or anything later."""
        if not self._segments:
            return False
        last = self._segments[-1]
        if part is None:
            return last.number > number or (last.number == number and last.is_complete)
        # The part after the last one of a segment is the first of the next (6.2.5.2).
        return last.number > number or (last.number == number and part < len(last.parts))

    def is_next(self, number: int, part: int) -> bool:
        """Whether it is the part that the playlist hints at."""
        return bool(self._segments) and self._next_part() == (number, part)

    async def wait_for(self, holds: Callable[[], bool], within_s: float) -> bool:
        """Until `holds()`, looked at with every part; False when the time is over."""
        try:
            async with asyncio.timeout(within_s):
                while not holds():
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    async def playlist_at(self, number: int, part: int | None) -> str | None:
        """The playlist once it lists that segment or part, or after 6 s as it is. Raises NotYet."""
        await self.wait_for(lambda: bool(self._segments), START_S)
        if self._segments and number > self._segments[-1].number + AHEAD_ALLOWED:
            raise NotYet
        await self.wait_for(lambda: self.has(number, part), BLOCK_S)
        return self.playlist()


def _iso(wall_ms: int) -> str:
    moment = datetime.fromtimestamp(wall_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{wall_ms % 1000:03}Z"


class HlsRooms:
    """The windows of a media process: begun when asked for, ended when nobody asks any more."""

    def __init__(self, feeds: Feeds, clock_s: Callable[[], float], clock_ms: Callable[[], int]) -> None:
        self._feeds = feeds
        self._clock_s = clock_s
        self._clock_ms = clock_ms
        self.by_room: dict[str, HlsRoom] = {}
        self.requests = 0
        self.sent_bytes = 0

    def open(self, room_id: str) -> HlsRoom:
        """A room's window, from now on for 30 s at least. Raises HttpProblem 503 when there are too many rooms."""
        found = self.by_room.get(room_id)
        if found is None:
            found = HlsRoom(self._clock_s(), self._clock_ms())
            self._feeds.add(room_id, found)
            self.by_room[room_id] = found
        found.asked_at_s = self._clock_s()
        return found

    def find(self, room_id: str) -> HlsRoom | None:
        """A room's window when it runs."""
        return self.by_room.get(room_id)

    def tick(self) -> None:
        """Once a second: end what nobody asks for."""
        for room_id, window in list(self.by_room.items()):
            if self._clock_s() - window.asked_at_s > IDLE_S:
                del self.by_room[room_id]
                self._feeds.remove(room_id, window)
