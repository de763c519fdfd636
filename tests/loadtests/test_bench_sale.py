"""A short form of the sale benchmark: every part that needs no crowd, with its sums checked."""

from __future__ import annotations

from loadtests import bench_sale


def test_gathered_decisions_are_counted_beside_single_ones() -> None:
    rows = bench_sale.uvloop.run(bench_sale.decisions(300))
    assert [(row["way"], row["count"]) for row in rows] == [("one Lua call per tap", 30), ("HoldDesk", 300)]
    assert bench_sale.ratios(rows).keys() == {"decisions: HoldDesk against one Lua call per tap"}


def test_viewers_who_tap_without_pause_are_all_answered() -> None:
    stampede, sustained = bench_sale.taps(viewers=40, rounds=1, seconds=0.3)
    assert stampede["count"] == 40
    assert sustained["count"] > 40
