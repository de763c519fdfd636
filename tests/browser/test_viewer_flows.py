"""What viewers go through in a real browser: accounts, two taps, an ended hold, the wait list, reminders, following, keys alone,
another language."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from loadtests.screenshots import Desk
from loadtests.show import Show
from tests.browser.test_accessible import violations
from tests.browser.test_the_last_unit import GOOD_CARD, NewPage, fill_address, join, pay, sign_in
from tests.services import wait_until_sync

pytestmark = pytest.mark.browser

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def desk(show: Show) -> Desk:
    return Desk(show)


def come_in_with_account(page: Page, show: Show, way: str, email: str, name: str = "") -> None:
    page.goto(f"{show.web_url}/r/rm_demo")
    page.get_by_test_id(f"way-{way}").click()
    if name:
        page.get_by_test_id("nickname").fill(name)
    page.get_by_test_id("email").fill(email)
    page.get_by_test_id("password").fill(PASSWORD)
    page.get_by_test_id("join").click()
    expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "live")


def test_one_account_on_two_devices_is_one_buyer(show: Show, new_page: NewPage, desk: Desk) -> None:
    phone, desktop = new_page(), new_page(width=1440, height=900)
    come_in_with_account(phone, show, "new_account", "dora@example.com", "Dora")
    come_in_with_account(desktop, show, "sign_in", "dora@example.com")
    expect(desktop.get_by_test_id("account")).to_contain_text("dora@example.com")
    desk.fire_named("pr_hand_cream", quota=3, limit_per_buyer=1, countdown_ms=0)
    expect(phone.get_by_test_id("buy")).to_have_attribute("data-state", "buy")
    phone.get_by_test_id("buy").click()
    expect(phone.get_by_test_id("buy")).to_have_attribute("data-state", "held")
    desktop.reload()
    expect(desktop.get_by_test_id("buy")).to_have_attribute("data-state", "held")  # the same hold
    desktop.get_by_test_id("sign-out").click()
    expect(desktop.get_by_test_id("nickname")).to_be_visible()

    wrong = new_page()
    wrong.goto(f"{show.web_url}/r/rm_demo")
    wrong.get_by_test_id("way-sign_in").click()
    wrong.get_by_test_id("email").fill("dora@example.com")
    wrong.get_by_test_id("password").fill("something else")
    wrong.get_by_test_id("join").click()
    expect(wrong.locator("#nickname-hint")).to_contain_text("wrong")


def test_a_buyer_who_was_here_before_pays_with_two_taps(show: Show, new_page: NewPage, desk: Desk) -> None:
    page = join(new_page, show, "Eve")
    desk.fire_named("pr_tea_tin", countdown_ms=0)
    page.get_by_test_id("buy").click()
    fill_address(page, "Eve Ma")
    pay(page, GOOD_CARD)
    expect(page.get_by_test_id("order-number")).to_be_visible()
    page.keyboard.press("Escape")
    desk.fire_named("pr_scarf", countdown_ms=0)
    expect(page.get_by_test_id("buy")).to_have_attribute("data-state", "buy")
    page.get_by_test_id("buy").click()  # one
    page.get_by_test_id("pay").click()  # two
    expect(page.get_by_test_id("order-number")).to_be_visible()


def test_a_hold_that_runs_out_says_so_and_the_unit_is_there_again(
    show: Show, new_page: NewPage, desk: Desk
) -> None:
    page = join(new_page, show, "Finn")
    desk.fire_named("pr_desk_lamp", countdown_ms=0, hold_ms=2_000, quota=1)
    page.get_by_test_id("buy").click()
    expect(page.get_by_test_id("buy")).to_have_attribute("data-state", "held")
    expect(page.get_by_test_id("buy")).not_to_have_attribute("data-state", "held")
    expect(page.get_by_text(re.compile("hold .*ended|ended at", re.IGNORECASE)).first).to_be_attached()
    expect(page.get_by_test_id("stock").first).to_have_attribute("data-available", "1")


def test_who_waits_in_line_is_served_when_a_unit_comes_back(
    show: Show, new_page: NewPage, desk: Desk
) -> None:
    ann, bob = join(new_page, show, "Gus"), join(new_page, show, "Hal", locale="zh-CN")
    desk.fire_named("pr_keyboard", countdown_ms=0, quota=1)
    ann.get_by_test_id("buy").click()
    expect(ann.get_by_test_id("buy")).to_have_attribute("data-state", "held")
    expect(bob.get_by_test_id("buy")).to_have_attribute("data-state", "all_held")
    bob.get_by_test_id("buy").click()
    expect(bob.get_by_test_id("buy")).to_have_attribute("data-state", "in_line")
    ann.get_by_test_id("let-go").first.click()
    ann.locator(".let-go-ask button").first.click()  # asked once more
    expect(bob.get_by_test_id("buy")).to_have_attribute("data-state", "held")
    expect(ann.get_by_test_id("buy")).to_have_attribute("data-state", re.compile("all_held|buy"))


def test_sold_out_is_said_once_nothing_can_come_back(show: Show, new_page: NewPage, desk: Desk) -> None:
    ann, bob = join(new_page, show, "Nia"), join(new_page, show, "Oto")
    desk.fire_named("pr_mug", countdown_ms=0, quota=1)
    ann.get_by_test_id("buy").click()
    expect(bob.get_by_test_id("buy")).to_have_attribute(
        "data-state", "all_held"
    )  # not sold out: it may come back
    pay_for_it(ann)
    expect(bob.get_by_test_id("buy")).to_have_attribute("data-state", "sold_out")
    expect(bob.get_by_test_id("stock").first).to_have_attribute("data-sold", "1")


def pay_for_it(page: Page) -> None:
    """Fill the sheet that is open and pay."""
    fill_address(page, "Nia Ho")
    pay(page, GOOD_CARD)
    expect(page.get_by_test_id("order-number")).to_be_visible()


def test_who_asked_to_be_told_is_told_and_led_to_the_item(show: Show, new_page: NewPage, desk: Desk) -> None:
    page = join(new_page, show, "Uma")
    page.get_by_test_id("open-bag").click()
    page.locator("[data-product=pr_candle]").click()
    sheet = page.get_by_test_id("product-sheet")
    buy = sheet.get_by_test_id("buy")
    expect(buy).to_be_focused()  # what the sheet is for
    expect(buy).to_have_text("Notify me")
    page.keyboard.press("Enter")
    expect(buy).to_have_text("You'll be told")
    expect(buy).to_be_focused()
    expect(page.locator("[aria-live=polite]", has_text="You'll be told").first).to_be_attached()
    box = buy.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    bad = violations(page)

    page.reload()
    page.get_by_test_id("open-bag").click()
    page.locator("[data-product=pr_candle]").click()
    expect(buy).to_have_attribute("data-state", "reminded")
    buy.click()
    expect(buy).to_have_attribute("data-state", "remind")
    buy.click()
    expect(buy).to_have_attribute("data-state", "reminded")
    page.keyboard.press("Escape")
    console = sign_in(new_page, show)
    row = console.locator("[data-testid=product][data-product=pr_candle]")
    expect(row.get_by_test_id("reminders")).to_have_attribute("data-count", "1")

    sale_id = desk.fire_named("pr_candle", countdown_ms=60_000)
    desk.call("PUT", "/api/rooms/rm_demo/pin", {"product_id": "pr_serum"})
    banner = page.get_by_test_id("reminder-banner")
    expect(banner).to_contain_text("You asked to be told")
    bad += violations(page)
    page.get_by_test_id("reminder-show").click()
    expect(buy).to_have_attribute("data-state", "opens_in")
    expect(banner).to_have_count(0)
    expect(row.get_by_test_id("reminders")).to_have_count(0)
    desk.call("POST", f"/api/sales/{sale_id}/abort", {"reason": "enough seen"})
    assert bad == []


def test_where_only_followers_write_one_tap_follows_and_lets_write(
    show: Show, new_page: NewPage, desk: Desk
) -> None:
    phone, desktop = join(new_page, show, "Vic"), join(new_page, show, "Wim", width=1440, height=900)
    follow, tap = phone.get_by_test_id("follow"), phone.get_by_test_id("follow-to-write")
    expect(follow).to_have_text("Follow")
    console = sign_in(new_page, show)
    followers = console.get_by_test_id("followers")
    expect(followers).to_have_text("Followers 0")
    console.get_by_test_id("followers-only").click()
    expect(tap).to_have_text("Only followers can write – Follow")
    expect(desktop.get_by_test_id("follow-to-write")).to_be_visible()
    bad = violations(phone) + violations(desktop) + violations(console)
    box = tap.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    tap.click()
    expect(follow).to_have_attribute("data-following", "true")
    expect(phone.get_by_test_id("comment-input")).to_be_focused()
    phone.keyboard.type("hello from a follower")
    phone.keyboard.press("Enter")
    expect(console.get_by_text("hello from a follower")).to_be_visible()
    expect(followers).to_contain_text("Followers 1")
    bad += violations(phone)
    phone.reload()
    expect(follow).to_have_text("Following")
    follow.click()
    expect(tap).to_be_visible()
    console.locator("#composer").fill("/followers off")
    console.keyboard.press("Enter")
    expect(tap).to_have_count(0)
    assert bad == []


def test_another_language_keeps_the_hold(show: Show, new_page: NewPage, desk: Desk) -> None:
    page = join(new_page, show, "Ida", width=1440, height=900)
    desk.fire_named("pr_candle", countdown_ms=0)
    page.get_by_test_id("buy").click()
    expect(page.get_by_test_id("checkout")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_test_id("language").first.click()
    expect(page.locator(".room")).to_have_attribute("lang", "zh-CN")
    expect(page.get_by_test_id("buy")).to_have_attribute("data-state", "held")
    page.reload()
    expect(page.locator(".room")).to_have_attribute("lang", "zh-CN")
    expect(page.get_by_test_id("buy")).to_have_attribute("data-state", "held")


def test_a_purchase_needs_neither_a_mouse_nor_a_picture(show: Show, new_page: NewPage, desk: Desk) -> None:
    page = new_page(width=1440, height=900)
    page.route(re.compile(r"/(whep|hls)/"), lambda route: route.abort())
    page.route(re.compile(r"\.svg$"), lambda route: route.abort())
    page.goto(f"{show.web_url}/r/rm_demo")
    expect(page.get_by_test_id("nickname")).to_be_focused()
    page.keyboard.type("Jo")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "live")
    desk.fire_named("pr_backpack", countdown_ms=0)
    expect(page.get_by_test_id("buy")).to_have_attribute("data-state", "buy")
    page.keyboard.press("b")
    expect(page.get_by_test_id("checkout")).to_be_visible()
    _type_into(page, "name", "Jo Lin")
    _type_into(page, "contact", "jo@example.com")
    _type_into(page, "line1", "1 Nanjing Road")
    _type_into(page, "city", "Shanghai")
    _type_into(page, "postcode", "200000")
    _tab_to(page, lambda: page.evaluate("document.activeElement.dataset.testid") == "card")
    page.keyboard.type(GOOD_CARD)
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("order-number")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("checkout")).to_have_count(0)


def _type_into(page: Page, name: str, text: str) -> None:
    _tab_to(page, lambda: page.evaluate("document.activeElement.name") == name)
    page.keyboard.type(text)


def _tab_to(page: Page, is_there: Callable[[], bool]) -> None:
    """With the Tab key alone, as far as it goes round once."""
    for _ in range(40):
        if is_there():
            return
        page.keyboard.press("Tab")
    raise AssertionError("the Tab key never gets there")


def test_captions_are_shown_switched_off_for_good_and_their_key_moved(
    show: Show, new_page: NewPage, desk: Desk
) -> None:
    page = join(new_page, show, "Cap")
    expect(page.get_by_test_id("captions-button")).to_have_count(0)
    desk.call("POST", "/api/rooms/rm_demo/captions", {"text": "Thirty left", "language": "en"})
    expect(page.get_by_test_id("captions")).to_have_text("Thirty left")
    page.keyboard.press("v")
    expect(page.get_by_test_id("captions")).to_have_count(0)
    page.reload()
    expect(page.get_by_test_id("captions-button")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("?")
    page.get_by_test_id("key-captions").click()
    page.keyboard.press("b")
    expect(page.get_by_test_id("keys").locator(".keys-said")).to_contain_text("Buy")  # that key is taken
    page.keyboard.press("x")
    expect(page.get_by_test_id("key-captions")).to_contain_text("X")
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    expect(page.get_by_test_id("captions-button")).to_have_attribute("aria-pressed", "true")
    desk.call("POST", "/api/rooms/rm_demo/captions", {"text": "Twenty left"})
    expect(page.get_by_test_id("captions")).to_have_text("Twenty left")


def test_the_room_can_be_shared_and_says_when_its_show_begins(
    show: Show, new_page: NewPage, desk: Desk
) -> None:
    page = join(new_page, show, "Kim")
    page.get_by_test_id("open-share").click()
    expect(page.get_by_test_id("share").locator("input")).to_have_value(f"{show.web_url}/r/rm_demo")
    code = page.get_by_test_id("share").locator("img")
    expect(code).to_be_visible()
    width = "document.querySelector('.share-code').naturalWidth"
    wait_until_sync(lambda: page.evaluate(width) > 50, 10, "the picture of the code")
    page.keyboard.press("Escape")
    try:
        starts_at_ms = page.evaluate("Date.now()") + 3_600_000
        desk.call("PUT", "/api/rooms/rm_demo/schedule", {"starts_at_ms": starts_at_ms})
        desk.call("POST", "/api/rooms/rm_demo/status", {"status": "ended"})
        expect(page.get_by_test_id("after-show")).to_be_visible()
        desk.call("POST", "/api/rooms/rm_demo/status", {"status": "preshow"})
        expect(page.get_by_test_id("before-show")).to_contain_text("00:59:")
        with page.expect_download() as download:
            page.get_by_test_id("remind").click()
        assert download.value.suggested_filename == "show.ics"
    finally:
        desk.call("POST", "/api/rooms/rm_demo/status", {"status": "live"})
    expect(page.get_by_test_id("before-show")).to_have_count(0)
