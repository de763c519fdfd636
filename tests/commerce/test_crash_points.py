"""Every named place between two steps is a place where a test lets the process die."""

from __future__ import annotations

import re
from pathlib import Path

import commerce
from commerce import crash_points
from tests.commerce.sale_machine import CRASH_POINTS

HERE = Path(__file__).parent


def named(folder: Path) -> set[str]:
    sources = "\n".join(path.read_text() for path in folder.rglob("*.py"))
    return set(re.findall(r'crash_points\.reach\("([a-z_.]+)"\)', sources))


def test_no_crash_point_is_without_a_test_that_dies_there() -> None:
    tests = "\n".join(path.read_text() for path in HERE.rglob("test_*.py"))
    killed = {name for name in named(Path(commerce.__file__).parent) if f'"{name}"' in tests}
    # The model arms each of its places in some history, and asserts that it really died there.
    assert named(Path(commerce.__file__).parent) == killed | set(CRASH_POINTS)


def test_a_place_kills_once_and_only_when_armed() -> None:
    crash_points.reach("here")
    with crash_points.armed("here") as fired:
        try:
            crash_points.reach("here")
        except crash_points.Crashed:
            pass
        crash_points.reach("here")
    assert fired == ["here"]
    crash_points.reach("here")
