"""A short form of `make bench-page`: the real page is measured, and a page that drowns in comments is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests import bench_page


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_is_measured_and_keeps_no_more_than_it_shows(tmp_path: Path) -> None:
    result = bench_page.run(tmp_path, rounds=1, seconds=1.0)
    assert bench_page.verdict(result) == []
    assert 0 < result["first_paint_ms"] <= result["first_content_ms"] <= result["first_state_ms"]
    assert 10 < result["script_kb"] < 90  # issue 6: below 90 KB without video and plots


def test_the_verdict_names_what_is_wrong() -> None:
    good = {
        f"{name}_{key}": 5 for name in ("busy", "busy_slow") for key in ("comments_shown", "elements_grown")
    }
    assert bench_page.verdict(good) == []
    assert bench_page.verdict(good | {"busy_comments_shown": 0}) == ["busy: no comment arrived on the page"]
    assert bench_page.verdict(good | {"busy_slow_elements_grown": 999}) == [
        "busy_slow: the page keeps more and more elements"
    ]


URL = "http://127.0.0.1/r/rm_demo"
NAVIGATION = {
    "name": "navigationStart",
    "pid": 7,
    "ts": 1_000_000,
    "args": {"frame": "F", "data": {"documentLoaderURL": URL, "navigationId": "N"}},
}


def paint(name: str, ts: int, frame: str = "F", navigation: str = "N") -> dict[str, object]:
    return {"name": name, "pid": 7, "ts": ts, "args": {"frame": frame, "data": {"navigationId": navigation}}}


def test_paints_are_those_of_the_navigation_that_was_asked_for() -> None:
    mark = {"name": bench_page.STATE_MARK, "pid": 7, "ts": 1_900_000, "args": {}}
    trace = [
        paint("firstPaint", 900_000),  # of the blank page before
        NAVIGATION,
        paint("firstPaint", 1_100_000, frame="other"),
        paint("firstContentfulPaint", 1_550_000),
        paint("firstPaint", 1_500_000),
        {**mark, "pid": 8, "ts": 1_200_000},
        mark,
    ]
    assert bench_page.times_of(trace, URL) == {
        "firstPaint": 500.0,
        "firstContentfulPaint": 550.0,
        bench_page.STATE_MARK: 900.0,
    }
    with pytest.raises(ValueError, match="no navigation"):
        bench_page.times_of(trace, "http://127.0.0.1/other")
    with pytest.raises(ValueError, match="firstPaint"):
        bench_page.times_of([NAVIGATION, mark], URL)
