"""Fewer points for a plot than a screen has columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

Point = TypeVar("Point")

MAX_POINTS: Final = 600


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most 600 of them, evenly, with the first and the last."""
    if len(points) <= MAX_POINTS:
        return list(points)
    step = (len(points) - 1) / (MAX_POINTS - 1)
    return [points[round(number * step)] for number in range(MAX_POINTS)]
