"""axe-core finds no serious violation on the main states of both pages, in either language, on phone and desktop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from loadtests.show import Show
from tests.browser.test_the_last_unit import fill_address, fire_a_sale, hold_down, join, pay, sign_in

pytestmark = pytest.mark.browser

NewPage = Callable[..., Page]
AXE = Path("live/web/node_modules/axe-core/axe.min.js")
STILL = """async () => {
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  const ending = document.getAnimations().filter(one => one.effect.getComputedTiming().endTime < 5000);
  await Promise.all(ending.map(one => one.finished.catch(() => null)));
}"""
SERIOUS = ("serious", "critical")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    """Serious and critical ones with their elements. Evaluated from outside: the page itself would not run such a script."""
    # Colours are judged when nothing moves any more; what turns for ever says nothing about them.
    page.evaluate(STILL)
    page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})", TAGS
    )
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {[node['target'] for node in one['nodes'][:4]]}"
        for one in found["violations"]
        if one["impact"] in SERIOUS
    ]


def test_axe_itself_finds_a_fault_that_is_there(show: Show, new_page: NewPage) -> None:
    page = join(new_page, show, "Control")
    page.evaluate(
        "() => document.querySelector('#room, main, body').insertAdjacentHTML('beforeend', '<button></button>')"
    )
    assert any(one.startswith("button-name") for one in violations(page))


@pytest.mark.parametrize(("width", "locale"), [(390, "en-GB"), (1440, "zh-CN")])
def test_the_room_has_no_serious_violation_from_the_door_to_the_paid_order(
    show: Show, new_page: NewPage, width: int, locale: str
) -> None:
    bad: dict[str, list[str]] = {}
    door = new_page(width=width, locale=locale)
    door.goto(f"{show.web_url}/r/rm_demo")
    expect(door.get_by_test_id("nickname")).to_be_visible()
    bad["door"] = violations(door)
    page = join(new_page, show, "Ada", width=width, locale=locale)
    bad["before a sale"] = violations(page)
    console = sign_in(new_page, show)
    fire_a_sale(console, 8 if width == 390 else 9, quota=2)
    expect(page.get_by_test_id("buy")).to_have_attribute("data-state", "buy")
    bad["open"] = violations(page)
    page.get_by_test_id("buy").click()
    expect(page.get_by_test_id("checkout")).to_be_visible()
    bad["checkout"] = violations(page)
    fill_address(page, "Ada Li")
    pay(page, "4000000000000002")
    expect(page.get_by_test_id("outcome-declined")).to_be_visible()
    bad["declined"] = violations(page)
    pay(page, "4242424242424242")
    expect(page.get_by_test_id("order-number")).to_be_visible()
    bad["paid"] = violations(page)
    page.keyboard.press("Escape")
    for key, name in (("g", "bag"), ("t", "my things"), ("f", "fairness"), ("?", "keys")):
        page.keyboard.press(key)
        bad[name] = violations(page)
        page.keyboard.press("Escape")
    page.keyboard.press("g")
    asked = page.locator("li:has([data-product=pr_candle])").first
    asked.get_by_test_id("ask").click()
    expect(asked.get_by_test_id("ask")).to_have_attribute("data-asked", "yes")
    bad["asked in the bag"] = violations(page)
    asked.get_by_test_id("bag-item").click()
    expect(page.get_by_test_id("product-sheet")).to_be_visible()
    bad["asked on its sheet"] = violations(page)
    page.keyboard.press("Escape")
    hold_down(console, "end")
    found = sorted({f"{name}: {one}" for name, some in bad.items() for one in some})
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("width", "locale"), [(1440, "en-GB"), (390, "zh-CN")])
def test_the_console_has_no_serious_violation(show: Show, new_page: NewPage, width: int, locale: str) -> None:
    bad: dict[str, list[str]] = {}
    page = new_page(width=width, height=900, locale=locale)
    page.goto(f"{show.web_url}/console")
    expect(page.locator("input[name=email]")).to_be_visible()
    bad["sign in"] = violations(page)
    email, password = show.host_sign_in()
    page.locator("input[name=email]").fill(email)
    page.locator("input[name=password]").fill(password)
    page.locator("input[name=password]").press("Enter")
    expect(page.get_by_test_id("desk")).to_be_visible()
    bad["desk"] = violations(page)
    if width == 1440:
        fire_a_sale(page, 3, quota=3)
        bad["open sale"] = violations(page)
        for kind in ("stock", "rush", "watching", "funnel", "latency", "money"):
            page.get_by_test_id(f"plot-{kind}").click()
            expect(page.get_by_test_id("plots").locator("canvas, .empty").first).to_be_visible()
            bad[f"plot {kind}"] = violations(page)
        tabs = [page.get_by_test_id(f"tab-{name}") for name in ("video", "orders", "people", "log", "chat")]
    else:
        tabs = page.locator(".tabs-bottom button").all()
    for tab in tabs:
        tab.click()
        bad[tab.inner_text()] = violations(page)
    if width == 390:
        page.get_by_test_id("bottom-plots").click()
        expect(page.get_by_test_id("plots").locator("canvas, .empty").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 1440:
        page.keyboard.press("/")
        expect(page.get_by_test_id("line-help")).to_be_visible()
        bad["command line"] = violations(page)
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        bad["keys"] = violations(page)
        page.keyboard.press("Escape")
        for opener, sheet in (("open-quick-item", "quick-item"), ("open-import", "import-sheet")):
            page.get_by_test_id(opener).click()
            expect(page.get_by_test_id(sheet)).to_be_visible()
            bad[sheet] = violations(page)
            page.keyboard.press("Escape")
        page.get_by_test_id("edit-script").click()
        expect(page.get_by_test_id("script-sheet")).to_be_visible()
        bad["script"] = violations(page)
        page.keyboard.press("Escape")
        page.get_by_test_id("room-menu").click()
        bad["menu"] = violations(page)
        page.get_by_test_id("open-summary").click()
        expect(page.get_by_test_id("summary").locator(".tile").first).to_be_visible()
        bad["summary"] = violations(page)
        page.keyboard.press("Escape")
        hold_down(page, "end")
        bad["after"] = violations(page)
    if width == 390:
        page.get_by_test_id("bottom-show").click()
    page.get_by_test_id("open-prompter").click()
    expect(page.get_by_test_id("prompter-text")).to_be_visible()
    bad["prompter"] = violations(page)
    found = sorted({f"{name}: {one}" for name, some in bad.items() for one in some})
    assert not found, "\n".join(found)
