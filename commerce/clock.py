"""The one place that reads the wall clock; everything else takes it as an argument."""

from __future__ import annotations

import time


def wall_clock_ms() -> int:
    """UTC now in milliseconds."""
    return time.time_ns() // 1_000_000
