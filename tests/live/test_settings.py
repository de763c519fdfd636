"""Settings: safe defaults, every mistake named, secrets kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from live.settings import Settings, SettingsError


def test_with_nothing_set_everything_runs_on_this_machine(tmp_path: Path) -> None:
    settings = Settings.read({"FLASHROOM_DATA_DIR": str(tmp_path)})
    assert settings.host == "127.0.0.1"
    assert settings.database_url == f"sqlite+aiosqlite:///{tmp_path}/flashroom.db"
    assert not settings.is_production


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.read(
            {
                "FLASHROOM_ENV": "production",
                "FLASHROOM_WEB_PORT": "eighty",
                "FLASHROOM_GHOSTS": "-1",
                "FLASHROOM_REDIS_URL": "http://user:hunter2@x",
            }
        )
    told = str(caught.value)
    for name in ("FLASHROOM_SECRET", "FLASHROOM_WEB_PORT", "FLASHROOM_GHOSTS", "FLASHROOM_REDIS_URL"):
        assert name in told
    assert "hunter2" not in told


def test_two_processes_on_one_port_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must differ"):
        Settings.read({"FLASHROOM_DATA_DIR": str(tmp_path), "FLASHROOM_HUB_PORT": "8000"})


def test_processes_that_start_together_agree_on_the_development_secret(tmp_path: Path) -> None:
    def read(_: int) -> bytes:
        return Settings.read({"FLASHROOM_DATA_DIR": str(tmp_path)}).secret

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(read, range(64)))) == 1
    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0


def test_a_key_serves_one_purpose_and_no_secret_is_shown(tmp_path: Path) -> None:
    settings = Settings.read({"FLASHROOM_DATA_DIR": str(tmp_path)})
    assert settings.key("ticket") != settings.key("hold token")
    assert settings.secret.decode() not in repr(settings)


def test_blocked_words_are_read_from_a_file_and_a_file_that_cannot_be_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("# swear words\nbloody hell\n\n  坏话 \n", encoding="utf-8")
    environment = {"FLASHROOM_DATA_DIR": str(tmp_path), "FLASHROOM_BLOCKED_WORDS_FILE": str(file)}
    assert Settings.read(environment).blocked_words == ("bloody hell", "坏话")
    for content in (b"\xff\xfe\xff", b"x" * 1_000_001):
        file.write_bytes(content)
        with pytest.raises(SettingsError, match="FLASHROOM_BLOCKED_WORDS_FILE"):
            Settings.read(environment)
