"""A room's stream as fragments of MP4: one timeline for picture and sound, cut into parts. HLS and recordings take from it.

Time runs in seconds since the feed began, on this server's clock: what comes at a moment has that moment's time, so that a gap of the show
is a gap here, and `wall_ms` of a fragment says when it was received. Picture and sound are set against each other by the publisher's
sender reports. No I/O here but the sinks'; time is an argument.
"""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from live.media.fmp4 import SOUND_TIMESCALE, VIDEO_TIMESCALE, Sample, fragment, init_segment
from live.media.frames import Frame, FrameAssembler, VideoShape, shape_of
from live.media.packets import Kind, MediaPacket
from live.media.sound import MAX_FILLED, SoundEncoder
from live.media.streams import NTP_SECOND, RoomStream

log = logging.getLogger("flashroom.media")

PART_S: Final = 0.5
MIN_SEGMENT_S: Final = 1.5
MAX_SEGMENT_S: Final = 4.0
"""A publisher that doesn't send key frames when asked (OBS) gets segments that begin without one rather than endless ones."""
LIVE_KEY_FRAMES_S: Final = 2.0
REST_KEY_FRAMES_S: Final = 10.0
START_WAIT_S: Final = 3.0
"""Until both tracks' sender reports are there: browsers send the sound's first one after 2.5 s."""
LONE_WAIT_S: Final = 2.0
BREAK_S: Final = 5.0
MAX_EARLY: Final = 2000
MAX_SKEW_S: Final = 2.0
SLEW_TICKS: Final = VIDEO_TIMESCALE // 200
USUAL_FRAME_TICKS: Final = VIDEO_TIMESCALE // 30
MAX_PART_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Init:
    """What a player needs before fragments; the same content has the same id."""

    init_id: str
    content: bytes
    video: VideoShape | None
    has_sound: bool


@dataclass(frozen=True, slots=True)
class Fragment:
    """One part: whole pictures and sounds of about half a second."""

    init: Init
    content: bytes
    at_s: float
    duration_s: float
    wall_ms: int
    is_independent: bool
    is_first: bool
    """It begins a segment."""
    is_last: bool
    """It ends its segment."""
    after_break: bool
    """Nothing before it goes on in it: the show paused, or the picture has another shape."""


class Sink(Protocol):
    """Whoever takes fragments. It must not raise: it is called while packets are received."""

    wants_key_frames_s: float

    def take(self, part: Fragment) -> None: ...


class _Ticks:
    """32-bit RTP times made into ever growing ones."""

    def __init__(self, first: int) -> None:
        self._last = first
        self._ticks = 0

    def of(self, timestamp: int) -> int:
        step = (timestamp - self._last) & 0xFFFFFFFF
        if step >= 1 << 31:
            step -= 1 << 32
        self._last = timestamp
        self._ticks += step
        return self._ticks


@dataclass(slots=True)
class _Run:
    """Media without a break."""

    kinds: frozenset[Kind]
    began_at: int  # 1/90000 s, like all `at` of a run but the sound's
    segment_at: int
    part_at: int
    video_ticks: _Ticks | None = None
    sound_ticks: _Ticks | None = None
    sound_began_at: int = 0
    first_timestamps: dict[Kind, int] = field(default_factory=dict)
    encoder: SoundEncoder | None = None
    init: Init | None = None
    pending: tuple[int, Frame] | None = None
    video: list[Sample] = field(default_factory=list)
    sound: list[Sample] = field(default_factory=list)
    size: int = 0
    is_first: bool = True
    after_break: bool = True
    slew: int = 0
    last_video_at: int = 0
    last_key_at: int = 0
    usual_ticks: int = USUAL_FRAME_TICKS


class RoomFeed:
    """Listens to a stream while it has sinks."""

    def __init__(self, stream: RoomStream, clock_s: Callable[[], float], clock_ms: Callable[[], int]) -> None:
        self.stream = stream
        self.sinks: set[Sink] = set()
        self.shape: VideoShape | None = None
        self._clock_s = clock_s
        self._origin_s = clock_s()
        self.origin_ms = clock_ms()
        self._assemblers: dict[Kind, FrameAssembler] = {
            "audio": FrameAssembler("audio", self._frame, lambda: None),
            "video": FrameAssembler("video", self._frame, stream.want_key_frame),
        }
        self._early: deque[tuple[Frame, float]] = deque(maxlen=MAX_EARLY)
        self._run: _Run | None = None
        self._end_at = 0
        self._number = 0
        self._has_newcomer = False

    @property
    def losses(self) -> int:
        return sum(a.losses for a in self._assemblers.values())

    def add(self, sink: Sink) -> None:
        """It gets every part from now on. A key frame is asked for, and begins a segment, so that it can begin soon."""
        self.sinks.add(sink)
        self._has_newcomer = True
        self.stream.listeners.add(self)
        self.stream.want_key_frame()

    def remove(self, sink: Sink) -> None:
        if self.sinks == {sink}:
            self.stream.listeners.discard(self)
            self._break()  # it gets the rest
        self.sinks.discard(sink)

    # -- what the stream tells

    def hear(self, kind: Kind, packet: MediaPacket) -> None:
        """A packet of the stream."""
        self._assemblers[kind].add(packet, self._clock_s())

    def source_changed(self) -> None:
        self._break()

    # -- the timeline

    def _break_and_ask(self) -> None:
        self._break()
        self.stream.want_key_frame()

    def _break(self) -> None:
        run, self._run = self._run, None
        self._early.clear()
        for assembler in self._assemblers.values():
            assembler.restart()
        if run is None:
            return
        if run.pending is not None:
            self._complete(run, run.pending[0] + run.usual_ticks)
        elif run.sound:
            last = run.sound[-1]
            self._end_at = max(self._end_at, _video_ticks(last.at + last.duration))
        self._cut(run, self._end_at, is_last=True)

    def _frame(self, frame: Frame) -> None:
        now_s = self._clock_s()
        if self._run is None:
            self._early.append((frame, now_s))
            kinds = self._ready_kinds(now_s)
            if kinds:
                self._begin(kinds)
            return
        if frame.kind not in self._run.kinds:
            self._break_and_ask()
            return
        if frame.kind == "video":
            self._picture(self._run, frame)
        else:
            self._sound(self._run, frame)

    def _ready_kinds(self, now_s: float) -> frozenset[Kind]:
        first_s = self._early[0][1]
        kinds = frozenset(frame.kind for frame, _ in self._early)
        if len(kinds) == 2:
            reported = all(track.clock_report is not None for track in self.stream.tracks.values())
            return kinds if reported or now_s - first_s >= START_WAIT_S else frozenset()
        other = self.stream.tracks["audio" if "video" in kinds else "video"]
        is_alone = other.last_packet_at_s is None or now_s - other.last_packet_at_s >= LONE_WAIT_S
        return kinds if is_alone and now_s - first_s >= LONE_WAIT_S else frozenset()

    def _begin(self, kinds: frozenset[Kind]) -> None:
        early, self._early = list(self._early), deque(maxlen=MAX_EARLY)
        firsts: dict[Kind, tuple[Frame, float]] = {}
        for frame, at_s in early:
            firsts.setdefault(frame.kind, (frame, at_s))
        leading: Kind = "video" if "video" in kinds else "audio"
        lead, lead_s = firsts[leading]
        began_at = max(self._end_at, int((lead_s - self._origin_s) * VIDEO_TIMESCALE))
        run = _Run(kinds, began_at, began_at, began_at, last_video_at=began_at, last_key_at=began_at)
        run.first_timestamps = {kind: frame.timestamp for kind, (frame, _) in firsts.items()}
        if "video" in kinds:
            run.video_ticks = _Ticks(lead.timestamp)
        if "audio" in kinds:
            sound, sound_s = firsts["audio"]
            skew_s = sound_s - lead_s
            if "video" in kinds:
                reported_s = self._reported_skew_s(run)
                if reported_s is not None and abs(reported_s - skew_s) <= MAX_SKEW_S:
                    skew_s = reported_s
            run.sound_ticks = _Ticks(sound.timestamp)
            run.sound_began_at = began_at * SOUND_TIMESCALE // VIDEO_TIMESCALE + int(skew_s * SOUND_TIMESCALE)
            run.encoder = SoundEncoder()
        self._run = run
        if "video" not in kinds:
            run.init = self._new_init(None, run)
        for frame, _ in early:
            if self._run is run:
                self._frame(frame)

    def _reported_skew_s(self, run: _Run) -> float | None:
        """How much later than the first picture the first sound was made, by the publisher's clock."""
        made: dict[Kind, float] = {}
        for kind, track in self.stream.tracks.items():
            if track.clock_report is None:
                return None
            ntp_time, rtp_time = track.clock_report
            step = (run.first_timestamps[kind] - rtp_time) & 0xFFFFFFFF
            step -= 1 << 32 if step >= 1 << 31 else 0
            made[kind] = ntp_time / NTP_SECOND + step / track.clock_rate
        return made["audio"] - made["video"]

    def tick(self) -> None:
        """Once a second: the clocks of camera and microphone drift apart over a long show; the picture follows the sound, unnoticed."""
        run = self._run
        if run is None or len(run.kinds) < 2:
            return
        skew_s = self._reported_skew_s(run)
        if skew_s is None:
            return
        sound_s = run.sound_began_at / SOUND_TIMESCALE - run.began_at / VIDEO_TIMESCALE
        wanted = int((sound_s - skew_s) * VIDEO_TIMESCALE)
        if abs(wanted) <= MAX_SKEW_S * VIDEO_TIMESCALE:
            run.slew += max(-SLEW_TICKS, min(SLEW_TICKS, wanted - run.slew))

    # -- pictures and sounds

    def _picture(self, run: _Run, frame: Frame) -> None:
        assert run.video_ticks is not None
        at = run.began_at + run.video_ticks.of(frame.timestamp) + run.slew
        if at - run.last_video_at > BREAK_S * VIDEO_TIMESCALE or run.last_video_at - at > VIDEO_TIMESCALE:
            self._break_and_ask()
            return
        at = max(at, run.last_video_at + 1) if run.pending is not None else at
        shape = shape_of(frame) if frame.is_key else None
        is_new_shape = shape is not None and (run.init is None or run.init.video != shape)
        if run.pending is not None:
            self._complete(run, at)
            self._cut_if_due(run, at, frame.is_key, is_new_shape)
        if is_new_shape:
            assert shape is not None
            run.after_break = run.after_break or run.init is not None
            run.init = self._new_init(shape, run)
        elif run.init is None:
            return  # a key frame without parameter sets: nothing can be made of it
        run.pending = (at, frame)
        run.last_video_at = at
        if frame.is_key:
            run.last_key_at = at
        elif at - run.last_key_at >= self._key_frames_s() * VIDEO_TIMESCALE:
            run.last_key_at = at  # asked once; the stream asks again by itself until one comes
            self.stream.want_key_frame()

    def _key_frames_s(self) -> float:
        return min((sink.wants_key_frames_s for sink in self.sinks), default=REST_KEY_FRAMES_S)

    def _complete(self, run: _Run, until: int) -> None:
        """The pending picture lasts until the next one."""
        assert run.pending is not None
        at, frame = run.pending
        run.pending = None
        if frame.codec == "H264":
            data = b"".join(len(unit).to_bytes(4) + unit for unit in frame.units)
        else:
            data = frame.units[0]
        duration = until - at
        run.usual_ticks = (run.usual_ticks * 7 + min(duration, VIDEO_TIMESCALE)) // 8
        run.video.append(Sample(at, duration, data, frame.is_key))
        run.size += len(data)
        self._end_at = max(self._end_at, until)

    def _sound(self, run: _Run, frame: Frame) -> None:
        assert run.sound_ticks is not None
        assert run.encoder is not None
        at = run.sound_began_at + run.sound_ticks.of(frame.timestamp)
        video_at = _video_ticks(at)
        if abs(run.encoder.gap_before(at)) > MAX_FILLED or (
            "video" in run.kinds and video_at - run.last_video_at > BREAK_S * VIDEO_TIMESCALE
        ):
            self._break_and_ask()
            return
        if video_at < run.began_at:
            return
        samples = run.encoder.encode(frame.units[0], at)
        floor = run.began_at * SOUND_TIMESCALE // VIDEO_TIMESCALE
        run.sound += [sample for sample in samples if sample.at >= floor]
        if "video" in run.kinds or not samples:
            return
        until = _video_ticks(samples[-1].at + samples[-1].duration)
        self._end_at = max(self._end_at, until)
        run.usual_ticks = _video_ticks(samples[-1].duration)
        self._cut_if_due(run, until, True, False)

    def _cut_if_due(self, run: _Run, at: int, is_key: bool, is_new_shape: bool) -> None:
        segment_s = (at - run.segment_at) / VIDEO_TIMESCALE
        part = at - run.part_at
        is_long_enough = self._has_newcomer or segment_s >= MIN_SEGMENT_S
        if is_new_shape or (is_key and is_long_enough) or segment_s >= MAX_SEGMENT_S:
            self._has_newcomer = self._has_newcomer and not is_key
            self._cut(run, at, is_last=True)
        elif part + run.usual_ticks > PART_S * VIDEO_TIMESCALE or run.size > MAX_PART_BYTES:
            self._cut(run, at, is_last=False)

    def _cut(self, run: _Run, at: int, *, is_last: bool) -> None:
        sound = [s for s in run.sound if _video_ticks(s.at) < at]
        run.sound = run.sound[len(sound) :]
        if run.init is None or not (run.video or sound):
            return
        self._number += 1
        part = Fragment(
            init=run.init,
            content=fragment(self._number, run.video, sound),
            at_s=run.part_at / VIDEO_TIMESCALE,
            duration_s=(at - run.part_at) / VIDEO_TIMESCALE,
            wall_ms=self.origin_ms + run.part_at * 1000 // VIDEO_TIMESCALE,
            is_independent=not run.video or run.video[0].is_key,
            is_first=run.is_first,
            is_last=is_last,
            after_break=run.after_break,
        )
        run.video, run.size, run.part_at = [], 0, at
        run.after_break = False
        run.is_first = is_last
        if is_last:
            run.segment_at = at
        for sink in list(self.sinks):
            sink.take(part)

    def _new_init(self, shape: VideoShape | None, run: _Run) -> Init:
        config = run.encoder.config if run.encoder is not None else None
        content = init_segment(shape, config)
        self.shape = shape
        return Init(hashlib.sha256(content).hexdigest()[:12], content, shape, config is not None)


def _video_ticks(sound_at: int) -> int:
    return sound_at * VIDEO_TIMESCALE // SOUND_TIMESCALE


class Feeds:
    """The feeds of a media process, one per room that has sinks."""

    def __init__(
        self,
        find_stream: Callable[[str], RoomStream],
        clock_s: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self._find_stream = find_stream
        self._clock_s = clock_s
        self._clock_ms = clock_ms
        self.by_room: dict[str, RoomFeed] = {}

    def add(self, room_id: str, sink: Sink) -> RoomFeed:
        """Give a room's fragments to `sink` from now on. Raises HttpProblem 503 when there are too many rooms."""
        feed = self.by_room.get(room_id)
        if feed is None:
            feed = RoomFeed(self._find_stream(room_id), self._clock_s, self._clock_ms)
            self.by_room[room_id] = feed
        feed.add(sink)
        return feed

    def remove(self, room_id: str, sink: Sink) -> None:
        feed = self.by_room.get(room_id)
        if feed is None:
            return
        feed.remove(sink)
        if not feed.sinks:
            del self.by_room[room_id]

    def tick(self) -> None:
        """Once a second."""
        for feed in self.by_room.values():
            feed.tick()
