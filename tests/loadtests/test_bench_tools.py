"""What the benchmarks measure with: a wrong clock would make every figure wrong."""

from __future__ import annotations

import os
import time

from loadtests.bench_tools import cpu_s


def test_the_clock_of_a_process_is_its_own_cpu_time() -> None:
    before_s = time.process_time()
    read_s = cpu_s(os.getpid())
    assert before_s <= read_s <= time.process_time()
    assert cpu_s(os.getpid(), os.getpid()) >= 2 * read_s
