"""What the host says, from the console to the prompter, and what viewers ask to see, from their tap to the pin."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from loadtests.screenshots import Desk
from loadtests.show import Show
from tests.browser.test_the_last_unit import join, sign_in

pytestmark = pytest.mark.browser

NewPage = Callable[..., Page]
ROOM = "/api/rooms/rm_demo"
SECRET = "Tell them the batch number"
AT = "element => element.scrollTop"


def moved_beyond(window: Locator, px: float) -> None:
    """Wait until the text has moved; the page's own policy lets no string be waited for in it."""
    for _ in range(150):
        if window.evaluate(AT) > px:
            return
        window.page.wait_for_timeout(100)
    raise AssertionError("the text does not move")


def pin(show: Show, product_id: str | None) -> None:
    Desk(show).call("PUT", f"{ROOM}/pin", {"product_id": product_id})


def test_the_prompter_follows_the_pin_moves_by_itself_and_obeys_its_keys(
    show: Show, new_page: NewPage
) -> None:
    pin(show, "pr_serum")
    console = sign_in(new_page, show)
    console.keyboard.press("p")
    prompter = console.get_by_test_id("prompter")
    expect(prompter).to_have_attribute("data-product", "pr_serum")
    expect(console.get_by_test_id("prompter-text")).to_contain_text("amber, because light spoils it")
    window = prompter.get_by_role("region")

    console.keyboard.press("Space")
    expect(prompter).to_have_attribute("data-going", "yes")
    moved_beyond(window, 8)
    console.keyboard.press("Space")
    expect(prompter).to_have_attribute("data-going", "no")
    stood = window.evaluate(AT)
    console.keyboard.press("ArrowDown")
    assert window.evaluate(AT) > stood
    console.keyboard.press("Home")
    assert window.evaluate(AT) == 0
    console.keyboard.press("ArrowRight")
    expect(console.get_by_test_id("prompter-speed")).to_contain_text("19")
    console.keyboard.press("m")
    expect(console.get_by_test_id("prompter-mirror")).to_have_attribute("aria-pressed", "true")
    console.keyboard.press("n")
    expect(prompter).to_have_attribute("data-product", "pr_mask")

    # Another screen by its address, and both follow what is pinned.
    phone = new_page(width=390, height=844)
    phone.goto(f"{show.web_url}/console?room=rm_demo#prompter")
    email, password = show.host_sign_in()
    phone.locator("input[name=email]").fill(email)
    phone.locator("input[name=password]").fill(password)
    phone.locator("input[name=password]").press("Enter")
    expect(phone.get_by_test_id("prompter")).to_have_attribute("data-product", "pr_serum")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    for button in phone.get_by_test_id("prompter").get_by_role("button").all():
        box = button.bounding_box()
        assert box
        assert box["height"] >= 44
        assert box["x"] + box["width"] <= 390
    pin(show, "pr_teapot")
    for page in (console, phone):
        expect(page.get_by_test_id("prompter")).to_have_attribute("data-product", "pr_teapot")
        expect(page.get_by_test_id("prompter-text")).to_contain_text("Nobody hurries a teapot")
    console.keyboard.press("Escape")
    expect(console.get_by_test_id("console")).to_be_visible()
    assert "#" not in console.url
    console.keyboard.press("/")
    console.keyboard.type("prompter")
    console.keyboard.press("Enter")
    expect(prompter).to_be_visible()
    console.get_by_test_id("close-prompter").click()
    expect(console.get_by_test_id("desk")).to_be_visible()


def test_the_prompter_steps_line_by_line_where_motion_is_too_much_and_shows_what_a_colleague_writes(
    show: Show, new_page: NewPage
) -> None:
    pin(show, "pr_serum")
    console = sign_in(new_page, show)
    console.emulate_media(reduced_motion="reduce")
    console.locator("#composer").fill("Three, two, one: link up")
    console.locator("#composer").press("Enter")
    console.get_by_test_id("open-prompter").click()
    expect(console.get_by_test_id("prompter-said")).to_contain_text("link up")
    for _ in range(6):
        console.get_by_test_id("prompter-faster").click()
    console.get_by_test_id("prompter-go").click()
    # 40 lines a minute: a line every second and a half, and nothing between.
    window = console.get_by_test_id("prompter").get_by_role("region")
    moved_beyond(window, 0)
    line = console.get_by_test_id("prompter-text").evaluate("e => parseFloat(getComputedStyle(e).lineHeight)")
    assert abs(window.evaluate(AT) - line) < 2


def test_two_who_write_the_same_script_lose_nothing_and_viewers_never_get_it(
    show: Show, new_page: NewPage
) -> None:
    pin(show, None)
    received: list[bytes] = []
    viewer = new_page(width=1440, height=900)
    viewer.on(
        "websocket",
        lambda socket: socket.on(
            "framereceived",
            lambda frame: received.append(frame if isinstance(frame, bytes) else frame.encode()),
        ),
    )
    viewer.on(
        "requestfinished",
        lambda request: (
            received.append(request.response().body())
            if request.resource_type in ("fetch", "document")
            else None
        ),
    )
    viewer.goto(f"{show.web_url}/r/rm_demo")
    viewer.get_by_test_id("nickname").fill("Nosy")
    viewer.get_by_test_id("join").click()
    expect(viewer.get_by_test_id("connection")).to_have_attribute("data-state", "live")

    ana, ben = sign_in(new_page, show), sign_in(new_page, show)
    for page in (ana, ben):
        page.keyboard.press("7")
        expect(page.get_by_test_id("script")).to_contain_text("Three mugs")
        page.get_by_test_id("edit-script").click()
    ana.get_by_test_id("script-sheet").locator("textarea").fill(SECRET)
    ana.get_by_test_id("script-sheet").locator("[name=minute]").fill("47")
    ana.get_by_test_id("save-script").click()
    expect(ana.get_by_test_id("script")).to_contain_text(SECRET)
    expect(ana.locator("[data-product=pr_mug]")).to_contain_text("47′")

    sheet = ben.get_by_test_id("script-sheet")
    sheet.locator("textarea").fill("Mine")
    ben.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    ben.get_by_test_id("edit-script").click()
    expect(sheet.locator("textarea")).to_have_value("Mine")
    ben.get_by_test_id("save-script").click()
    expect(ben.get_by_test_id("script-theirs")).to_contain_text(SECRET)
    expect(sheet.locator("textarea")).to_have_value("Mine")
    ben.get_by_test_id("keep-mine").click()
    expect(sheet).to_have_count(0)
    for page in (ana, ben):
        expect(page.get_by_test_id("script")).to_contain_text("Mine")

    viewer.reload()
    expect(viewer.get_by_test_id("connection")).to_have_attribute("data-state", "live")
    seen = b"\n".join(received)
    assert b"rm_demo" in seen
    for text in (SECRET, "Nobody hurries a teapot", "Three mugs"):
        assert text.encode() not in seen


def test_viewers_ask_to_see_an_item_and_the_pin_clears_it(show: Show, new_page: NewPage) -> None:
    pin(show, "pr_serum")
    console = sign_in(new_page, show)
    ada, bo = join(new_page, show, "Ada", width=1440), join(new_page, show, "Bo")
    row = ada.locator("li:has([data-product=pr_scarf])")
    row.get_by_test_id("ask").click()
    expect(row.get_by_test_id("ask")).to_have_attribute("data-asked", "yes")
    row.get_by_test_id("ask").click(force=True)  # says that it is done, and does nothing
    bo.get_by_test_id("open-bag").click()
    bo.locator("[data-testid=bag-item][data-product=pr_scarf]").click()
    button = bo.get_by_test_id("product-sheet").get_by_test_id("ask")
    expect(button).to_contain_text("1 ask")
    button.click()
    expect(button).to_contain_text("Asked · 2 ask")
    expect(row.get_by_test_id("ask")).to_contain_text("2")

    mine = console.locator("[data-testid=product][data-product=pr_scarf]")
    expect(mine.get_by_test_id("asked")).to_have_attribute("data-count", "2")
    before = [one.get_attribute("data-product") for one in console.get_by_test_id("product").all()]
    console.get_by_test_id("requests").click()
    console.get_by_test_id("asked-item").filter(has_text="Scarf").click()
    expect(mine.locator(".run-choose")).to_have_attribute("aria-pressed", "true")
    assert [one.get_attribute("data-product") for one in console.get_by_test_id("product").all()] == before

    bo.reload()
    expect(bo.get_by_test_id("connection")).to_have_attribute("data-state", "live")
    bo.get_by_test_id("open-bag").click()
    again = bo.locator("li:has([data-product=pr_scarf])").get_by_test_id("ask")
    expect(again).to_have_attribute("data-asked", "yes")

    mine.hover()
    mine.get_by_test_id("pin").click()
    expect(mine.get_by_test_id("asked")).to_have_count(0)
    expect(row.get_by_test_id("ask")).to_have_count(0)
    pin(show, "pr_serum")
    expect(row.get_by_test_id("ask")).to_have_attribute("data-asked", "no")
    expect(again).to_have_attribute("data-asked", "no")
    row.get_by_test_id("ask").click()
    expect(mine.get_by_test_id("asked")).to_have_attribute("data-count", "1")
