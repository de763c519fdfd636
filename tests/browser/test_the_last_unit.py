"""The whole thing in a real browser: a host fires a sale in one window, two viewers fight for the last unit in others."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from loadtests.show import Show

pytestmark = pytest.mark.browser

NewPage = Callable[..., Page]
GOOD_CARD, DECLINED_CARD = "4242424242424242", "4000000000000002"


def join(new_page: NewPage, show: Show, nickname: str, **options: int | str) -> Page:
    """A viewer in the room, connected."""
    page = new_page(**options)
    page.goto(f"{show.web_url}/r/rm_demo")
    page.get_by_test_id("nickname").fill(nickname)
    page.get_by_test_id("join").click()
    expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "live")
    return page


def sign_in(new_page: NewPage, show: Show) -> Page:
    """The demo host at the console."""
    page = new_page(width=1440, height=900)
    email, password = show.host_sign_in()
    page.goto(f"{show.web_url}/console")
    page.locator("input[name=email]").fill(email)
    page.locator("input[name=password]").fill(password)
    page.locator("input[name=password]").press("Enter")
    expect(page.get_by_test_id("desk")).to_be_visible()
    return page


def hold_down(page: Page, test_id: str) -> None:
    """Press and hold, as fire and end early want it, until the desk has moved on."""
    before = page.get_by_test_id("desk").get_attribute("data-state")
    page.get_by_test_id(test_id).hover()
    page.mouse.down()
    expect(page.get_by_test_id("desk")).not_to_have_attribute("data-state", before or "")
    page.mouse.up()


def fire_a_sale(console: Page, product_number: int, quota: int) -> None:
    """Pin a product and run a sale on it from draft to fired, with the console's own controls."""
    desk = console.get_by_test_id("desk")
    console.keyboard.press("Escape")
    console.keyboard.press(str(product_number))
    console.keyboard.press(f"Shift+Digit{product_number}")
    if console.get_by_test_id("new-round").is_visible():
        console.get_by_test_id("new-round").click()
    console.locator("#sale-price").fill("59")
    console.locator("#sale-quota").fill(str(quota))
    console.locator("#sale-limit").fill("1")
    console.locator("#sale-countdown_s").fill("2")
    console.locator("#sale-duration_s").fill("600")
    console.get_by_test_id("make-sale").click()
    expect(desk).to_have_attribute("data-state", re.compile("draft|ready"))
    if desk.get_attribute("data-state") == "draft":
        console.get_by_test_id("validate").click()
        expect(desk).to_have_attribute("data-state", "ready")
    console.get_by_test_id("arm").click()
    expect(desk).to_have_attribute("data-state", "armed")
    hold_down(console, "fire")
    expect(desk).to_have_attribute("data-state", "open")


def tap_together(*pages: Page) -> None:
    """Both tap at the same moment, each in its own browser."""
    at_ms = pages[0].evaluate("Date.now()") + 700
    for page in pages:
        page.evaluate(
            "at => { setTimeout(() => document.querySelector('[data-testid=buy]').click(), at - Date.now()) }",
            at_ms,
        )


def pay(page: Page, card: str) -> None:
    page.get_by_test_id("card").fill(card)
    page.get_by_test_id("pay").click()


def fill_address(page: Page, name: str) -> None:
    sheet = page.get_by_test_id("checkout")
    for field, value in (
        ("name", name),
        ("contact", f"{name.lower().replace(' ', '.')}@example.com"),
        ("line1", "1 Nanjing Road"),
        ("city", "Shanghai"),
        ("postcode", "200000"),
    ):
        sheet.locator(f"[name={field}]").fill(value)


def test_two_viewers_fight_for_the_last_unit_one_pays_and_the_other_is_told_why(
    show: Show, new_page: NewPage
) -> None:
    console = sign_in(new_page, show)
    ann = join(new_page, show, "Ann")
    bob = join(new_page, show, "Bob", locale="zh-CN")

    ann.get_by_test_id("comment-input").fill("Is one left?")
    ann.get_by_test_id("comment-input").press("Enter")
    for page in (ann, bob, console):
        expect(page.get_by_test_id("comment").filter(has_text="Is one left?").first).to_be_attached()

    fire_a_sale(console, 2, quota=1)
    for page in (ann, bob):
        expect(page.get_by_test_id("buy")).to_have_attribute("data-state", "buy")
        expect(page.get_by_test_id("stock").first).to_have_attribute("data-available", "1")

    tap_together(ann, bob)
    decided = re.compile("held|all_held|in_line")
    for page in (ann, bob):
        expect(page.get_by_test_id("buy")).to_have_attribute("data-state", decided)
    winner, loser = (
        (ann, bob) if ann.get_by_test_id("buy").get_attribute("data-state") == "held" else (bob, ann)
    )
    expect(winner.get_by_test_id("checkout")).to_be_visible()
    expect(loser.get_by_test_id("buy")).to_have_attribute("data-state", re.compile("all_held|in_line"))
    expect(loser.get_by_test_id("buy-reason").or_(loser.get_by_test_id("leave-line")).first).to_be_visible()
    expect(console.get_by_test_id("stock").first).to_have_attribute("data-held", "1")

    fill_address(winner, "Ann Li")
    pay(winner, DECLINED_CARD)
    expect(winner.get_by_test_id("outcome-declined")).to_be_visible()
    expect(winner.get_by_test_id("hold-clock")).to_be_visible()
    pay(winner, GOOD_CARD)
    expect(winner.get_by_test_id("order-number")).to_be_visible()
    number = winner.get_by_test_id("order-number").get_attribute("data-number")
    assert number

    expect(console.get_by_test_id("stock").first).to_have_attribute("data-sold", "1")
    for page in (winner, loser):
        expect(page.get_by_test_id("stock").first).to_have_attribute("data-sold", "1")
    console.get_by_test_id("tab-orders").click()
    expect(console.get_by_test_id("order").filter(has_text=number)).to_be_visible()

    winner.reload()
    expect(winner.get_by_test_id("connection")).to_have_attribute("data-state", "live")
    winner.get_by_test_id("open-things").click()
    expect(winner.get_by_test_id("my-order").first).to_have_attribute("data-state", "paid")


def test_a_hold_survives_a_reload_and_a_killed_hub(show: Show, new_page: NewPage) -> None:
    console = sign_in(new_page, show)
    ann = join(new_page, show, "Carol", width=1440, height=900)
    fire_a_sale(console, 3, quota=2)
    expect(ann.get_by_test_id("buy")).to_have_attribute("data-state", "buy")
    ann.get_by_test_id("buy").click()
    expect(ann.get_by_test_id("buy")).to_have_attribute("data-state", "held")

    ann.reload()
    expect(ann.get_by_test_id("connection")).to_have_attribute("data-state", "live")
    expect(ann.get_by_test_id("buy")).to_have_attribute("data-state", "held")

    for hub in ("hub.0", "hub.1"):
        show.kill(hub)
    expect(ann.get_by_test_id("connection")).not_to_have_attribute("data-state", "live")
    for hub in ("hub.0", "hub.1"):
        show.start(hub)
    expect(ann.get_by_test_id("connection")).to_have_attribute("data-state", "live")
    expect(ann.get_by_test_id("buy")).to_have_attribute("data-state", "held")


def test_the_host_deletes_a_comment_and_mutes_its_writer(show: Show, new_page: NewPage) -> None:
    console = sign_in(new_page, show)
    troll = join(new_page, show, "Troll")
    troll.get_by_test_id("comment-input").fill("something unkind")
    troll.get_by_test_id("comment-input").press("Enter")
    said = console.get_by_test_id("comment").filter(has_text="something unkind").first
    expect(said).to_be_visible()
    said.hover()
    said.get_by_test_id("mute-60").click()
    said.hover()
    said.get_by_test_id("delete").click()
    expect(troll.get_by_test_id("comment").filter(has_text="something unkind")).to_have_count(0)
    console.get_by_test_id("tab-log").click()
    expect(console.get_by_test_id("audit-entry").first).to_be_visible()
