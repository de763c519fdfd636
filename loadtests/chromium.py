"""Which Chromium benchmarks, screenshots and browser tests drive."""

from __future__ import annotations

import shutil


def find_chromium() -> str | None:
    """The path of the one on PATH; None without one."""
    return shutil.which("chromium") or shutil.which("google-chrome")


def chromium() -> str:
    """The path of the one on PATH; raises SystemExit, which says what to do, without one."""
    found = find_chromium()
    if found is None:
        raise SystemExit("no Chromium on PATH: run `make browser`")
    return found
