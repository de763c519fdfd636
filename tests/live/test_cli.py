"""The command line says in plain words what is wrong, and what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from live.cli import ROLES
from tests.services import free_port

TIMEOUT_S = 60


def flashroom(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FLASHROOM_")}
    return subprocess.run(
        [sys.executable, "-m", "live.cli", *arguments],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def free_show(folder: Path) -> dict[str, str]:
    """Settings of a show of its own."""
    return {
        "FLASHROOM_DATA_DIR": str(folder),
        "FLASHROOM_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        "FLASHROOM_WEB_PORT": str(free_port()),
        "FLASHROOM_HUB_PORT": str(free_port()),
        "FLASHROOM_MEDIA_PORT": str(free_port()),
    }


def test_help_names_every_role() -> None:
    done = flashroom("--help")
    assert done.returncode == 0
    assert all(role in done.stdout for role in ROLES)


def test_an_unknown_role_is_a_wrong_use() -> None:
    done = flashroom("sing")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_wrong_settings_are_told_one_line_each() -> None:
    done = flashroom("migrate", FLASHROOM_WEB_PORT="many", FLASHROOM_ENV="holiday")
    assert done.returncode == 2
    assert "FLASHROOM_WEB_PORT" in done.stderr
    assert "FLASHROOM_ENV" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("role", "setting"),
    [
        ("web", "FLASHROOM_WEB_PORT"),
        ("redis", "FLASHROOM_REDIS_URL"),
        ("dev", "FLASHROOM_HUB_PORT"),
        ("dev", "FLASHROOM_REDIS_URL"),
    ],
)
def test_a_taken_port_is_named_with_its_setting(
    tmp_path: Path, taken_port: int, role: str, setting: str
) -> None:
    value = f"redis://127.0.0.1:{taken_port}/0" if setting == "FLASHROOM_REDIS_URL" else str(taken_port)
    done = flashroom(role, **{**free_show(tmp_path), setting: value})
    assert done.returncode == 1
    assert str(taken_port) in done.stderr
    assert setting in done.stderr
    assert "Traceback" not in done.stderr


def test_redis_is_not_started_for_another_machine(tmp_path: Path) -> None:
    done = flashroom(
        "redis", **{**free_show(tmp_path), "FLASHROOM_REDIS_URL": "redis://:hunter2@redis.example:6379/0"}
    )
    assert done.returncode == 1
    assert "redis.example:6379" in done.stderr
    assert "hunter2" not in done.stderr


def test_dev_refuses_production(tmp_path: Path) -> None:
    done = flashroom("dev", FLASHROOM_ENV="production", FLASHROOM_SECRET="s" * 40, **free_show(tmp_path))
    assert done.returncode == 1
    assert "production" in done.stderr


def test_reset_refuses_production_and_removes_nothing(tmp_path: Path) -> None:
    (tmp_path / "flashroom.db").write_text("precious")
    done = flashroom("reset", FLASHROOM_ENV="production", FLASHROOM_SECRET="s" * 40, **free_show(tmp_path))
    assert done.returncode == 1
    assert (tmp_path / "flashroom.db").read_text() == "precious"


def test_reset_refuses_while_the_show_runs(tmp_path: Path, taken_port: int) -> None:
    (tmp_path / "flashroom.db").write_text("precious")
    done = flashroom("reset", **{**free_show(tmp_path), "FLASHROOM_WEB_PORT": str(taken_port)})
    assert done.returncode == 1
    assert (tmp_path / "flashroom.db").read_text() == "precious"


def test_reset_removes_what_is_the_shows_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "appendonly.aof").write_text("x")
    (tmp_path / "flashroom.db").write_text("x")
    (tmp_path / "holiday.jpg").write_text("mine")
    done = flashroom("reset", **free_show(tmp_path))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "secret") == ["holiday.jpg"]


def test_doctor_finds_missing_tables_and_a_silent_redis(tmp_path: Path) -> None:
    show = free_show(tmp_path)
    sick = flashroom("doctor", **show)
    assert sick.returncode == 1
    assert "BROKEN  redis" in sick.stdout
    assert "BROKEN  tables" in sick.stdout
    assert "Traceback" not in sick.stderr + sick.stdout


def test_the_hub_never_loads_sql() -> None:
    code = (
        "import sys, live.hub_service; sys.exit(any(name.startswith('sqlalchemy') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=TIMEOUT_S, check=False).returncode == 0
