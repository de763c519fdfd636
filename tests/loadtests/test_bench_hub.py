"""The benchmark's own accounts: what it says was received was received."""

from __future__ import annotations

from loadtests.bench_crowd import Crowd
from loadtests.bench_hub import Run, account, broadcast, ratios


def test_a_small_run_loses_nothing_and_says_what_it_cost() -> None:
    run = broadcast("hub", viewers=30, rate=100, seconds=0.5)
    assert run.published == 50
    assert (run.received, run.lost, run.skipped) == (50 * 30, 0, 0)
    assert run.cost_us > 0
    assert run.as_dict()["delay_p99_ms"] > 0


class _Member:
    def __init__(self, index: int, received_bytes: int, sampled: bool = False) -> None:
        self.index, self.received_bytes, self.sampled = index, received_bytes, sampled


def test_a_viewer_with_fewer_bytes_than_the_sampled_is_a_loss_unless_a_jump_was_declared() -> None:
    crowd = Crowd(1, b"", lambda index: b"", lambda message: True, lambda message, now_s: None)
    for fd, member in enumerate([_Member(0, 1000, sampled=True), _Member(1, 1000), _Member(2, 500)]):
        crowd.members[fd] = member  # type: ignore[assignment]
    run = Run("hub", viewers=3, rate=1, values=0, published=10)
    account(run, crowd, {0: 0, 1: 0, 2: 0}, sampled_received=100)
    assert run.lost == 1
    crowd.declared_jumps = 1
    run = Run("hub", viewers=3, rate=1, values=0, published=10)
    account(run, crowd, {0: 0, 1: 0, 2: 0}, sampled_received=100)
    assert (run.lost, run.skipped, run.received) == (0, 5, 25)


def test_ratios_compare_equal_rates_only() -> None:
    hub = Run("hub", 1000, 20, 0, published=10, received=10_000, cpu_s=0.01, seconds=1)
    slow = Run("nchan", 1000, 20, 0, published=10, received=10_000, cpu_s=0.05, seconds=2)
    other = Run("nchan", 1000, 400, 0, published=10, received=10_000, cpu_s=9.0, seconds=1)
    found = ratios([hub, slow, other])
    assert found["cpu_per_delivery_against_hub"] == {"nchan at 20/s": 5.0}
    assert found["hub_against"] == {"nchan": 1.0}
