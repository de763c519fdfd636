"""A short form of `make chaos`: real processes, real faults, and a record that holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests import chaos


@pytest.mark.slow
def test_nothing_is_oversold_lost_or_left_unanswered_while_everything_is_killed(tmp_path: Path) -> None:
    line, is_sound = chaos.run(seconds=12, seed=20261125, folder=tmp_path, buyers=8)
    assert is_sound, line
    assert line["faults"] >= 3
    assert line["attempts"] > 20
    assert line["granted"] > 0
