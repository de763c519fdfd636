"""What a page's video element shows, read from its pixels."""

from __future__ import annotations

from playwright.sync_api import Locator

from loadtests.glass import READ_CLOCK

GRID = 24

_GRID_OF = f"""video => {{
  if (!video.videoWidth) return null;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = {GRID};
  const pen = canvas.getContext("2d", {{ willReadFrequently: true }});
  pen.drawImage(video, 0, 0, {GRID}, {GRID});
  return Array.from(pen.getImageData(0, 0, {GRID}, {GRID}).data).filter((_, at) => at % 4 !== 3);
}}"""


def grid(video: Locator) -> list[int]:
    """The picture of this moment as 24 x 24 coloured cells, whatever its size; empty when there is none."""
    cells: list[int] | None = video.evaluate(_GRID_OF)
    return cells or []


def clock_ms(video: Locator) -> int | None:
    """The burnt-in clock (ms, modulo 2^24) of the picture shown now; None when there is no picture."""
    shown: int | None = video.evaluate(f"video => ({READ_CLOCK})(video)")
    return shown


def difference(one: list[int], other: list[int]) -> float:
    """The mean of what two pictures' cells differ by, of 255; 255 when one is missing."""
    if not one or len(one) != len(other):
        return 255.0
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / len(one)


def distinct(pictures: list[list[int]], by: float) -> int:
    """How many pictures there are that differ by so much from each of those counted before."""
    kept: list[list[int]] = []
    for picture in pictures:
        if picture and all(difference(picture, other) > by for other in kept):
            kept.append(picture)
    return len(kept)


class Comparison:
    """Whether `shown` plays what `source` showed a moment ago: both are looked at again and again, and each new picture is sought."""

    def __init__(self, source: Locator, shown: Locator, same: float = 4.0) -> None:
        self._source, self._shown, self._same = source, shown, same
        self._seen: list[list[int]] = []
        self.matched: list[list[int]] = []

    def look(self) -> int:
        """Look once; gives how many different pictures were found to be the source's so far."""
        self._seen = [*self._seen[-60:], grid(self._source)]
        shown = grid(self._shown)
        if any(difference(shown, one) < self._same for one in self._seen):
            self.matched.append(shown)
        return distinct(self.matched, self._same)
