"""Named places between two steps where a test may let the process die. Off, each costs one comparison.

with crash_points.armed("bind.committed"):
    ...  # the first call that reaches the place raises Crashed
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_armed: set[str] = set()
reached: list[str] = []
"""What fired since the last `armed`, so that a test knows its crash really happened."""


class Crashed(BaseException):
    """The process is gone, as far as the code under test can tell: no handler of ordinary errors sees it."""


def reach(name: str) -> None:
    """Die here if a test asked for it, once."""
    if _armed and name in _armed:
        _armed.discard(name)
        reached.append(name)
        raise Crashed(name)


@contextmanager
def armed(*names: str) -> Iterator[list[str]]:
    """Within the block each named place raises Crashed the first time it is reached; gives the list of those that fired."""
    reached.clear()
    _armed.update(names)
    try:
        yield reached
    finally:
        _armed.difference_update(names)
