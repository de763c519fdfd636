"""The pages are built when their sources changed, and only then; what is missing is said in plain words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from live import pages_build
from live.processes import CannotStart

NPM = """#!/bin/sh
echo "npm $*" >> "{log}"
if [ "$1" = run ]; then mkdir -p dist; touch dist/room.html dist/console.html; fi
if [ "$1" = ci ]; then mkdir -p node_modules; fi
exit {code}
"""


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small front end, and a Node.js and npm that only write down what they were asked."""
    web = tmp_path / "web"
    (web / "src").mkdir(parents=True)
    (web / "src" / "room.ts").write_text("1")
    (web / "package-lock.json").write_text("{}")
    fake_node(tmp_path, monkeypatch)
    return web


def fake_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str = "v20.19.0", code: int = 0
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "node").write_text(f"#!/bin/sh\necho {version}\n")
    (programs / "npm").write_text(NPM.format(log=tmp_path / "npm.log", code=code))
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin")


def calls(web: Path) -> list[str]:
    log = web.parent / "npm.log"
    return [line.split()[1] for line in log.read_text().splitlines()] if log.exists() else []


def test_unchanged_sources_are_not_built_again(web: Path) -> None:
    assert pages_build.build_if_needed(lambda _: None, web)
    assert not pages_build.build_if_needed(lambda _: None, web)
    assert calls(web) == ["ci", "run"]


def test_a_changed_source_is_built_without_installing_again(web: Path) -> None:
    pages_build.build_if_needed(lambda _: None, web)
    (web / "src" / "room.ts").write_text("2")
    assert pages_build.build_if_needed(lambda _: None, web)
    assert calls(web) == ["ci", "run", "run"]


def test_a_changed_lock_installs_again(web: Path) -> None:
    pages_build.build_if_needed(lambda _: None, web)
    (web / "package-lock.json").write_text('{"more": 1}')
    pages_build.build_if_needed(lambda _: None, web)
    assert calls(web) == ["ci", "run", "ci", "run"]


def test_a_page_that_somebody_removed_is_built_again(web: Path) -> None:
    pages_build.build_if_needed(lambda _: None, web)
    (web / "dist" / "console.html").unlink()
    assert pages_build.build_if_needed(lambda _: None, web)


def test_tests_of_the_pages_are_no_source(web: Path) -> None:
    before = pages_build.fingerprint(web)
    (web / "src" / "room.test.ts").write_text("test")
    assert pages_build.fingerprint(web) == before


def test_a_failed_build_shows_what_npm_said_and_is_not_taken_for_done(
    web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_node(tmp_path, monkeypatch, code=1)
    with pytest.raises(CannotStart, match="npm ci"):
        pages_build.build_if_needed(lambda _: None, web)
    fake_node(tmp_path, monkeypatch)
    assert pages_build.build_if_needed(lambda _: None, web)


def test_an_old_node_is_replaced_by_the_wheels(
    web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_node(tmp_path, monkeypatch, version="v16.1.0")
    asked: list[str] = []
    monkeypatch.setattr(pages_build, "_install_node", lambda: asked.append("wheel"))
    said: list[str] = []
    monkeypatch.setattr(pages_build.sys, "executable", str(tmp_path / "venv" / "bin" / "python"))
    with pytest.raises(CannotStart, match=r"20\.19"):
        pages_build.build_if_needed(said.append, web)
    assert asked == ["wheel"]
    assert "16.1 is too old" in said[0]
