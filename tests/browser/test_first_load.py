"""What a browser has to fetch before a viewer sees the room: script under 90 KB compressed, video and plots not among it."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, expect

from loadtests.show import Show
from tests.browser.test_the_last_unit import join, sign_in

pytestmark = pytest.mark.browser

BUDGET_BYTES = 90 * 1024
ASSETS = Path("live/web/dist/assets")


def scripts(page: Page) -> dict[str, int]:
    """Every script that the page fetches from here on, with its bytes on the wire; filled as they come."""
    fetched: dict[str, int] = {}

    def note(response: Response) -> None:
        if response.request.resource_type == "script" and response.ok:
            sizes = response.request.sizes()
            fetched[response.url.rpartition("/")[2]] = sizes["responseBodySize"]

    page.on("requestfinished", lambda request: note(request.response()) if request.response() else None)
    return fetched


def compressed(names: set[str]) -> int:
    return sum(len(gzip.compress((ASSETS / name).read_bytes())) for name in names)


def test_the_rooms_first_load_is_within_its_budget(show: Show, new_page: Callable[..., Page]) -> None:
    page = new_page()
    fetched = scripts(page)
    page.goto(f"{show.web_url}/r/rm_demo")
    expect(page.get_by_test_id("nickname")).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert fetched
    assert sum(fetched.values()) < BUDGET_BYTES, fetched
    assert compressed(set(fetched)) < BUDGET_BYTES
    assert not [name for name in fetched if re.match("plots|video|hls|console", name)], fetched
    join(new_page, show, "Lee")


def test_plots_come_to_the_console_apart_and_never_to_the_room(
    show: Show, new_page: Callable[..., Page]
) -> None:
    html = {name: (ASSETS.parent / f"{name}.html").read_text() for name in ("room", "console")}
    assert list(ASSETS.glob("plots-*.js"))
    for text in html.values():
        assert "plots-" not in text
    console = sign_in(new_page, show)
    expect(console.get_by_test_id("plots").locator("canvas, .empty").first).to_be_visible()
    loaded = console.evaluate("() => performance.getEntriesByType('resource').map(one => one.name)")
    assert any(re.search(r"/plots-[\w-]+\.js$", name) for name in loaded)
    first = set(re.findall(r"/assets/([\w.-]+\.js)", html["console"]))
    assert compressed(first) < BUDGET_BYTES


def test_nothing_is_fetched_from_anywhere_else_and_the_policy_is_kept(
    show: Show, new_page: Callable[..., Page]
) -> None:
    page = new_page(width=1440, height=900)
    refused: list[str] = []
    page.on(
        "console", lambda said: refused.append(said.text) if "Content Security Policy" in said.text else None
    )
    foreign: list[str] = []
    page.on(
        "request",
        lambda request: (
            None
            if re.match(r"(http://127\.0\.0\.1|http://localhost|data:|blob:)", request.url)
            else foreign.append(request.url)
        ),
    )
    email, password = show.host_sign_in()
    page.goto(f"{show.web_url}/console")
    page.locator("input[name=email]").fill(email)
    page.locator("input[name=password]").fill(password)
    page.locator("input[name=password]").press("Enter")
    for kind in ("stock", "watching", "money"):
        page.get_by_test_id(f"plot-{kind}").click()
        expect(page.get_by_test_id("plots").locator("canvas, .empty").first).to_be_visible()
    assert foreign == []
    assert refused == []
