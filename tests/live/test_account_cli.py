"""`flashroom account` and `flashroom role`: an operator makes the first owner from the terminal."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from tests.live.conftest import Shop
from tests.live.test_money_cli import run


@pytest.fixture
def terminal(shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shop:
    for name in [name for name in os.environ if name.startswith("FLASHROOM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FLASHROOM_DATA_DIR", str(tmp_path))
    return shop


def add(monkeypatch: pytest.MonkeyPatch, email: str, password: str, name: str = "Li") -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
    return run("account", "add", email, name)


async def test_an_account_made_in_the_terminal_signs_in_with_the_role_it_was_given(
    terminal: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(monkeypatch, "Li@example.com", "correct horse") == 0
    assert run("role", "give", terminal.room_id, "li@example.com", "owner") == 0
    assert run("account", "list") == 0
    assert f"li@example.com 'Li': owner of {terminal.room_id}" in capsys.readouterr().out
    browser = terminal.browser()
    await browser.post("/api/sessions", {"email": "li@example.com", "password": "correct horse"})
    log = (await browser.get(f"/api/rooms/{terminal.room_id}/audit")).json()["entries"]
    assert (log[0]["actor_name"], log[0]["action"], log[0]["after"]) == ("terminal", "person_role", "owner")
    assert log[0]["source"] == "command"
    assert run("role", "take", terminal.room_id, "li@example.com") == 0
    assert (await browser.get(f"/api/rooms/{terminal.room_id}/audit")).status_code == 403


async def test_what_cannot_be_done_is_said_in_words_and_nothing_changes(
    terminal: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(monkeypatch, "li@example.com", "short") == 1
    assert "at least 10 characters" in capsys.readouterr().err
    assert add(monkeypatch, "host@example.com", "correct horse") == 1
    assert "email_taken" in capsys.readouterr().err
    assert run("role", "give", terminal.room_id, "li@example.com", "host") == 1
    assert "unknown_account" in capsys.readouterr().err
    assert run("role", "give", "rm_none", "host@example.com", "host") == 1
    assert "unknown_room" in capsys.readouterr().err
    assert run("role", "take", terminal.room_id, "owner@example.com") == 1
    assert "last_owner" in capsys.readouterr().err


async def test_a_room_is_opened_in_the_terminal_for_its_owner(
    terminal: Shop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert add(monkeypatch, "mei@example.com", "correct horse", "Mei") == 0
    capsys.readouterr()
    assert run("room", "add", "Tea at nine", "mei@example.com") == 0
    room_id = capsys.readouterr().out.partition(":")[0]
    browser = terminal.browser()
    await browser.post("/api/sessions", {"email": "mei@example.com", "password": "correct horse"})
    page = (await browser.get(f"/api/rooms/{room_id}")).json()
    assert (page["role"], page["room"]["rehearsal"], page["room"]["host_name"]) == ("owner", False, "Mei")
    assert run("room", "add", "Tea at nine", "nobody@example.com") == 1
