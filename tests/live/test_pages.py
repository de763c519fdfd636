"""Pages and what protects them."""

from __future__ import annotations

from pathlib import Path

import pytest

from live import pages
from tests.live.conftest import Shop


@pytest.fixture(autouse=True)
def dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built page: the real ones are made by npm, and not in every test run before this one."""
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "room.html").write_text("<!doctype html><title>room</title>")
    monkeypatch.setattr(pages, "DIST", folder)
    return folder


async def test_a_page_may_load_only_from_here_and_from_the_hub(shop: Shop) -> None:
    answer = await shop.browser().get(f"/r/{shop.room_id}")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert f"ws://127.0.0.1:{shop.wiring.settings.hub_port}" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"


async def test_a_page_that_is_not_built_says_how_to_build_it(shop: Shop) -> None:
    answer = await shop.browser().get("/console")
    assert answer.status_code == 503
    assert "make run" in answer.text


async def test_home_leads_to_the_room_on_air(shop: Shop) -> None:
    answer = await shop.browser().get("/")
    assert (answer.status_code, answer.headers["location"]) == (302, f"/r/{shop.room_id}")


async def test_pictures_run_no_script(shop: Shop) -> None:
    answer = await shop.browser().get("/pictures/serum.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    missing = await shop.browser().get("/pictures/nothing.svg")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


async def test_health_says_which_part_is_missing(shop: Shop) -> None:
    browser = shop.browser()
    assert (await browser.get("/healthz")).status_code == 200
    assert (await browser.get("/readyz")).json() == {"status": "ready"}
    assert "flashroom_http_requests_total" in (await browser.get("/metrics")).text
