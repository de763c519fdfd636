"""The Procfile's supervisor: calm, starts again what dies, gives up on what can't live, lets Redis go last."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from live import processes
from live.show_manager import ShowManager

PATIENCE_S = 20.0


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def manager(tmp_path: Path, said: list[str]) -> Iterator[ShowManager]:
    made = ShowManager(tmp_path / "logs", said.append)
    yield made
    if not made.stopping:
        made.stop(hurry=lambda: True)


def start(manager: ShowManager, name: str, code: str, folder: Path) -> None:
    (folder / f"{name}.py").write_text(code)
    manager.start(
        name, f"exec {sys.executable} {folder / f'{name}.py'}", processes.environment_for_children(), folder
    )


def until(manager: ShowManager, holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s
        manager.handle_events(0.05)


STAYS = """
import pathlib, signal, sys, time
def end(*_):
    with open("order.txt", "a") as file: file.write({name!r} + "\\n")
    time.sleep({slow}); sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
while True: time.sleep(0.05)
"""


def test_redis_is_told_to_end_after_the_others_have_ended(manager: ShowManager, tmp_path: Path) -> None:
    for name in ("redis", "web"):
        start(manager, name, STAYS.format(name=name, slow=0.3 if name == "web" else 0), tmp_path)
    until(manager, lambda: all("up" in manager.tail(name) for name in ("redis", "web")))
    manager.stop()
    assert (tmp_path / "order.txt").read_text().split() == ["web", "redis"]


def test_what_dies_is_started_again_and_the_person_is_told(
    manager: ShowManager, tmp_path: Path, said: list[str]
) -> None:
    code = """
import pathlib, sys, time
runs = pathlib.Path("runs.txt"); n = len(runs.read_text()) if runs.exists() else 0
runs.write_text("x" * (n + 1))
if n == 0: sys.exit(3)
while True: time.sleep(0.05)
"""
    start(manager, "worker", code, tmp_path)
    until(manager, lambda: (tmp_path / "runs.txt").exists() and (tmp_path / "runs.txt").read_text() == "xx")
    assert any("worker ended with exit code 3; it is started again" in line for line in said)
    assert manager.hopeless() is None


def test_what_can_not_stay_alive_is_given_up_on(
    manager: ShowManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live.show_manager.RESTART_MIN_S", 0.01)
    monkeypatch.setattr("live.show_manager.RESTART_MAX_S", 0.01)
    start(manager, "web", "import sys; print('no port for me'); sys.exit(1)", tmp_path)
    until(manager, lambda: manager.hopeless() == "web")
    assert manager.hopeless(spare=("web",)) is None
    assert "no port for me" in manager.tail("web")


def test_lines_go_to_the_log_and_only_warnings_to_the_person(
    manager: ShowManager, tmp_path: Path, said: list[str]
) -> None:
    code = """
import json, time
for level in ("info", "warning"):
    print(json.dumps({"level": level, "role": "hub", "message": level + " line"}), flush=True)
print("plain line", flush=True)
while True: time.sleep(0.05)
"""
    start(manager, "hub", code, tmp_path)
    until(manager, lambda: "plain line" in manager.tail("hub"))
    assert said == ["warning  hub: warning line"]
    log = manager.log_path("hub").read_text()
    assert "info line" in log
    assert "plain line" in log


def test_a_full_log_turns_over_and_one_older_is_kept(
    manager: ShowManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live.show_manager.LOG_BYTES_MAX", 1000)
    code = (
        "import time\nfor n in range(400): print(f'line {n:04}', flush=True)\nwhile True: time.sleep(0.05)\n"
    )
    start(manager, "web", code, tmp_path)
    until(manager, lambda: "line 0399" in manager.tail("web"))
    assert manager.log_path("web").stat().st_size < 1200
    assert manager.log_path("web").with_suffix(".log.1").stat().st_size < 1200


def test_what_ignores_sigterm_is_killed_when_the_person_is_in_a_hurry(
    manager: ShowManager, tmp_path: Path
) -> None:
    code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\nwhile True: time.sleep(1)"
    start(manager, "web", code, tmp_path)
    until(manager, lambda: "up" in manager.tail("web"))
    began_s = time.monotonic()
    manager.stop(hurry=lambda: True)
    assert time.monotonic() - began_s < 5
