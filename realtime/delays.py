"""How late viewers' pictures are: a page says it with its ping, a hub counts pages per class, Redis has the sum of all hubs.

Nothing of it is sent to viewers. A page counts as it last said, until it says otherwise, says nothing, or leaves.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, Final

from realtime.protocol import CommandError, integer_parameter

WAYS: Final = ("webrtc", "hls")
"""How a picture comes."""
BOUNDS_MS: Final = (
    *(50, 100, 150, 200, 300, 400, 500, 700, 1000, 1500),
    *(2000, 2500, 3000, 4000, 5000, 7000, 10_000, 15_000, 20_000, 30_000),
)
"""Upper bounds of the classes that pages are counted in; the last class has none."""
MAX_DELAY_MS: Final = 60_000
CLASSES: Final = len(BOUNDS_MS) + 1
NO_PICTURE: Final = -1


def place_of(params: Mapping[str, Any]) -> int:
    """Where in the counts a ping's `video` and `delay_ms` belong; NO_PICTURE when they are left out. Raises CommandError `bad_params`."""
    way = params.get("video")
    if way is None:
        return NO_PICTURE
    if way not in WAYS:
        raise CommandError("bad_params", f"video must be one of {', '.join(WAYS)}")
    delay_ms = integer_parameter(params, "delay_ms", 0, MAX_DELAY_MS)
    return WAYS.index(way) * CLASSES + bisect_left(BOUNDS_MS, delay_ms)


def no_counts() -> list[int]:
    """Counts of a room that nobody watches: every class by WebRTC, then every class by HLS."""
    return [0] * (len(WAYS) * CLASSES)


def by_way(counts: Sequence[int]) -> dict[str, list[int]]:
    """The counts of each way, class by class."""
    return {way: list(counts[n * CLASSES : (n + 1) * CLASSES]) for n, way in enumerate(WAYS)}
