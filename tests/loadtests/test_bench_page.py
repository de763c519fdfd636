"""A short form of `make bench-page`: the real page is measured, and a page that drowns in comments is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests import bench_page


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(180)
def test_the_page_is_measured_and_keeps_no_more_than_it_shows(tmp_path: Path) -> None:
    result = bench_page.run(tmp_path, rounds=1, seconds=1.0)
    assert bench_page.verdict(result) == []
    assert 0 < result["first_paint_ms"] <= result["first_state_ms"]
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
