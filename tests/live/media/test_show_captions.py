"""Captions kept beside a film: bounded, whole after a crash, in the film's own time."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from live.media import show_captions
from live.media.show_captions import CaptionLog
from realtime.broker import connect_redis

WALL_MS = 1_795_000_000_000
SPANS = [{"at_s": 0.0, "wall_ms": WALL_MS}, {"at_s": 60.0, "wall_ms": WALL_MS + 600_000}]


def said(text: str, after_s: float, language: str | None = None) -> tuple[str, dict[str, Any]]:
    """A line spoken so long after the film's first picture."""
    at_ms = WALL_MS + round(after_s * 1000)
    return f"{at_ms}-0", {"text": text, "language": language, "at_ms": at_ms}


def cues(folder: Path) -> list[str]:
    """A film's cues, each as "from --> to text"."""
    first, *found = CaptionLog(folder).vtt(SPANS, 100.0).strip().split("\n\n")
    assert first == "WEBVTT"
    return [cue.replace("\n", " ") for cue in found]


def test_lines_become_cues_until_the_next_and_for_8_s_at_most(tmp_path: Path) -> None:
    CaptionLog(tmp_path).append(
        [said("thirty", 1), said("thirty left", 1.2), said("", 3), said("and 10 < 20", 50, "en")], WALL_MS
    )
    assert cues(tmp_path) == [
        "00:00:01.000 --> 00:00:01.200 thirty",
        "00:00:01.200 --> 00:00:03.000 thirty left",
        "00:00:50.000 --> 00:00:58.000 <lang en>and 10 &lt; 20</lang>",
    ]


def test_what_was_said_in_a_pause_is_left_out_and_what_came_after_is_in_its_place(tmp_path: Path) -> None:
    CaptionLog(tmp_path).append(
        [
            said("before the camera", -1),
            said("until the cut", 55),
            said("in the pause", 70),
            said("again", 605),
        ],
        WALL_MS - 9_000,
    )
    assert cues(tmp_path) == [
        "00:00:55.000 --> 00:01:00.000 until the cut",
        "00:01:05.000 --> 00:01:13.000 again",
    ]


def test_a_recogniser_s_late_line_is_sorted_to_the_moment_it_was_spoken(tmp_path: Path) -> None:
    CaptionLog(tmp_path).append([said("second", 5), said("first", 4)], WALL_MS)
    assert [cue.split()[-1] for cue in cues(tmp_path)] == ["first", "second"]


def test_a_show_keeps_no_more_lines_than_the_bound_also_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show_captions, "MAX_LINES", 3)
    CaptionLog(tmp_path).append([said("a", 1), said("b", 2)], WALL_MS)
    again = CaptionLog(tmp_path)
    assert again.entry() == said("b", 2)[0]
    again.append([said("of the show before", -60), said("c", 3), said("d", 4)], WALL_MS)
    again.append([said("e", 5)], WALL_MS)
    assert again.entry() == said("e", 5)[0], "they are not asked for again and again"
    assert [cue.split()[-1] for cue in cues(tmp_path)] == ["a", "b", "c"]


def test_a_line_cut_by_a_crash_is_skipped(tmp_path: Path) -> None:
    log = CaptionLog(tmp_path)
    log.append([said("a", 1), said("b", 2)], WALL_MS)
    path = tmp_path / show_captions.CAPTIONS
    path.write_text(path.read_text()[:-9])
    again = CaptionLog(tmp_path)
    assert again.entry() == said("a", 1)[0]
    again.append([said("b", 2)], WALL_MS)
    assert [cue.split()[-1] for cue in cues(tmp_path)] == ["a", "b"]


async def test_redis_holds_few_lines_and_not_for_long(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(show_captions, "WAITING", 10)
    redis, room_id = connect_redis(redis_url), f"rm_{uuid.uuid4().hex}"
    try:
        for number in range(15):
            await show_captions.put(redis, room_id, said(f"line {number}", number)[1])
        found = await show_captions.after(redis, room_id, None)
        assert [line["text"] for _, line in found] == [f"line {number}" for number in range(5, 15)]
        [key] = await redis.keys(f"flashroom:captions:*{room_id}*")
        assert await redis.xlen(key) == 10
        assert 0 < await redis.ttl(key) <= show_captions.WAITING_S
        second_to_last, last = found[-2:]
        assert await show_captions.after(redis, room_id, second_to_last[0]) == [last]
    finally:
        await redis.aclose()
