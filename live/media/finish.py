"""Makes a recording's parts into one seekable MP4: `python -m live.media.finish FOLDER FREE_FLOOR_BYTES`.

A process of its own, so that a long show's packets don't hold up live video. The picture is not encoded again. VP8, which MP4 can't carry
to browsers, goes into WebM, for which the sound becomes Opus again. Pauses are taken out;
`finished.json` says which wall time each span of the film has, so that chat and pins can be shown in step. It may be killed and started
again at any moment: parts are removed only after the film and its description are on disk. Parts with another codec (the host changed
devices) become a second film.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
from av.container import OutputContainer

from live.media.fmp4 import SOUND_TIMESCALE
from live.media.recordings import FINISHED, PART, SHOW, Recording, sync_folder

PAUSE_S: Final = 1.0
NO_SPACE: Final = 3
BUSY: Final = 4


class NoSpace(Exception):
    """The film would not fit above the floor of free space."""


def whole_bytes(path: Path) -> int:
    """How much of a fragmented file is whole: up to the end of the last `moof` with its `mdat`, or of `moov`. 0: nothing to play."""
    size = path.stat().st_size
    at = whole = 0
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            header = file.read(8)
            length = int.from_bytes(header[:4])
            if length < 8 or at + length > size:
                break
            at += length
            if header[4:] in (b"moov", b"mdat"):
                whole = at
    return whole


class _OpusAgain:
    """AAC packets made Opus, for WebM."""

    def __init__(self, container: OutputContainer) -> None:
        stream = container.add_stream("libopus", rate=SOUND_TIMESCALE, layout="stereo")
        assert isinstance(stream, av.AudioStream)
        self._stream = stream
        self._container = container
        self._resampler = av.AudioResampler(stream.codec_context.format, "stereo", SOUND_TIMESCALE, 960)

    def mux(self, packet: Any, at_s: float) -> None:
        for decoded in packet.decode():
            decoded.pts, decoded.time_base = round(at_s * SOUND_TIMESCALE), Fraction(1, SOUND_TIMESCALE)
            self._encode(self._resampler.resample(decoded))

    def flush(self) -> None:
        self._encode(self._resampler.resample(None))
        for packet in self._stream.encode(None):
            self._container.mux(packet)

    def _encode(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)


@dataclass(slots=True)
class _Film:
    """One output file being written."""

    path: Path
    container: OutputContainer
    codec: str | None
    streams: dict[str, Any]
    spans: list[dict[str, float]] = field(default_factory=list)
    end_s: float = 0.0
    wall_end_s: float | None = None
    shift_s: float = 0.0
    last_dts: dict[str, int] = field(default_factory=dict)
    opus: _OpusAgain | None = None


def finish(folder: Path, floor_bytes: int) -> dict[str, Any]:
    """Make the film; gives what is in `finished.json`. Raises NoSpace, and OSError when the disk fails."""
    recording = Recording(folder)
    if recording.is_finished:
        for part in recording.parts():
            part.unlink()
        return recording.finished()
    for half in folder.glob("*.making.*"):
        half.unlink()
    parts = []
    for path in recording.parts():
        whole = whole_bytes(path)
        if whole < path.stat().st_size:
            os.truncate(path, whole)  # what was being written when the process was killed
        if whole:
            parts.append(path)
    needed = sum(path.stat().st_size for path in parts)
    if shutil.disk_usage(folder).free - needed < floor_bytes:
        raise NoSpace
    films = _make(folder, parts)
    content = {
        "room_id": recording.room_id,
        "started_at_ms": recording.started_at_ms,
        "finished_at_ms": int(time.time() * 1000),
        "files": films,
    }
    making = folder / f"{FINISHED}.making"
    with making.open("w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    making.rename(folder / FINISHED)
    sync_folder(folder)
    for path in recording.parts():
        path.unlink()
    return content


def _make(folder: Path, parts: Sequence[Path]) -> list[dict[str, Any]]:
    groups: list[tuple[str | None, list[Path]]] = []
    for path in parts:
        codec = _video_codec(path)
        if groups and (codec is None or groups[-1][0] in (None, codec)):
            groups[-1] = (codec or groups[-1][0], [*groups[-1][1], path])
        else:
            groups.append((codec, [path]))
    made = []
    for number, (codec, paths) in enumerate(groups, 1):
        kind = "webm" if codec == "vp8" else "mp4"
        name = f"show-{number}.{kind}"
        assert SHOW.fullmatch(name)
        film = _film(folder / f"show-{number}.making.{kind}", codec, paths)
        for path in paths:
            _append(film, path)
        if film.opus is not None:
            film.opus.flush()
        film.container.close()
        with film.path.open("rb") as file:
            os.fsync(file.fileno())
        film.path.rename(folder / name)
        made.append(
            {
                "name": name,
                "duration_s": round(film.end_s, 3),
                "size_bytes": (folder / name).stat().st_size,
                "video_codec": codec,
                "spans": film.spans,
            }
        )
    return made


def _video_codec(path: Path) -> str | None:
    with av.open(str(path)) as source:
        return source.streams.video[0].codec_context.name if source.streams.video else None


def _film(path: Path, codec: str | None, parts: Sequence[Path]) -> _Film:
    """The output with a stream for each kind that any of the parts has."""
    is_webm = path.suffix == ".webm"
    options = {"cues_to_front": "1"} if is_webm else {"movflags": "+faststart"}
    container = av.open(str(path), "w", format="webm" if is_webm else "mp4", options=options)
    streams: dict[str, Any] = {}
    opus: _OpusAgain | None = None
    for part in parts:
        with av.open(str(part)) as source:
            for stream in source.streams:
                if stream.type not in ("video", "audio") or stream.type in streams:
                    continue
                if is_webm and stream.type == "video":
                    streams["video"] = _vp8_stream(container, stream)
                elif is_webm:
                    opus = _OpusAgain(container)
                    streams["audio"] = None
                else:
                    streams[stream.type] = container.add_stream_from_template(stream)
    return _Film(path, container, codec, streams, opus=opus)


def _vp8_stream(container: OutputContainer, template: Any) -> av.VideoStream:
    stream = container.add_mux_stream(
        "vp8", width=template.codec_context.width, height=template.codec_context.height
    )
    assert isinstance(stream, av.VideoStream)
    stream.time_base = template.time_base
    return stream


def _append(film: _Film, path: Path) -> None:
    name = PART.fullmatch(path.name)
    assert name is not None
    origin_s = int(name["origin_ms"]) / 1000
    with av.open(str(path)) as source:
        for packet in source.demux():
            if packet.dts is None or packet.time_base is None or packet.stream.type not in film.streams:
                continue
            time_base = packet.time_base
            wall_s = origin_s + float(packet.dts * time_base)
            if film.wall_end_s is None or wall_s - film.wall_end_s > PAUSE_S:
                film.shift_s = film.end_s - wall_s
                film.spans.append({"at_s": round(film.end_s, 3), "wall_ms": round(wall_s * 1000)})
            at_s = wall_s + film.shift_s
            length_s = float((packet.duration or 0) * time_base)
            kind = packet.stream.type
            film.end_s = max(film.end_s, at_s + length_s)
            film.wall_end_s = max(film.wall_end_s or 0.0, wall_s + length_s)
            if kind == "audio" and film.opus is not None:
                film.opus.mux(packet, at_s)
                continue
            dts = max(round(at_s / time_base), film.last_dts.get(kind, -1) + 1)
            film.last_dts[kind] = dts
            packet.dts = packet.pts = dts
            packet.stream = film.streams[kind]
            film.container.mux(packet)


def main(arguments: Sequence[str]) -> int:
    """0: finished; 3: not enough space; 4: another process writes or finishes it."""
    os.nice(10)
    folder = Path(arguments[0])
    try:
        with Recording(folder).lock(alone=True):
            finish(folder, int(arguments[1]))
    except NoSpace:
        return NO_SPACE
    except BlockingIOError:
        return BUSY
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
