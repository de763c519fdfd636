"""Product pictures of the sample catalogue, drawn for this project as SVG: no script, no link, nothing loaded from elsewhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "drawings"
NO_PICTURE: Final = "flashroom"
"""The cover of a room without products: the mark alone."""
NAMES: Final = tuple(sorted(path.stem for path in FOLDER.glob("*.svg")))


@cache
def picture(name: str) -> str | None:
    """The SVG document of a picture by the name that a product carries (`Product.picture`), or None when there is none."""
    return (FOLDER / f"{name}.svg").read_text() if name in NAMES else None


@cache
def cover(name: str) -> bytes | None:
    """The same picture as a JPEG of 1200x630 for link previews, which take no SVG; made by `loadtests/covers.py`."""
    return (FOLDER / f"{name}.jpg").read_bytes() if name in (*NAMES, NO_PICTURE) else None
