"""Two people at two consoles: a refund and a sale above the value wait for the second of them; money actions cool down."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from loadtests.screenshots import Desk
from loadtests.show import Show
from tests.browser.test_accessible import violations
from tests.browser.test_console import invited, sign_in_as
from tests.browser.test_the_last_unit import GOOD_CARD, fill_address, join, pay, sign_in

pytestmark = pytest.mark.browser

NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Show]:
    """One of its own: a value that is set holds for everybody in the room."""
    environment = {"FLASHROOM_RATE_LIMITS": "off", "FLASHROOM_COOL_DOWN_S": "15"}
    with Show(tmp_path_factory.mktemp("show"), environment=environment) as running:
        yield running


def paid_order(show: Show, new_page: NewPage, nickname: str, product: int) -> str:
    """Somebody buys one; the order's number."""
    Desk(show).fire(product, countdown_ms=0, quota=2)
    buyer = join(new_page, show, nickname)
    buyer.get_by_test_id("buy").click()
    fill_address(buyer, f"{nickname} Li")
    pay(buyer, GOOD_CARD)
    expect(buyer.get_by_test_id("order-number")).to_be_visible()
    number = buyer.get_by_test_id("order-number").get_attribute("data-number")
    assert number
    return number


def hold(button: Locator, until: Callable[[], None]) -> None:
    button.hover()
    button.page.mouse.down()
    until()
    button.page.mouse.up()


def set_value(owner: Page, text: str) -> None:
    owner.get_by_test_id("tab-people").click()
    owner.locator("[name=second-person-above]").fill(text)
    owner.get_by_test_id("set-limit").click()


def test_a_small_refund_needs_nobody_and_the_next_waits_some_seconds(show: Show, new_page: NewPage) -> None:
    ana = sign_in(new_page, show)
    number = paid_order(show, new_page, "Kim", 1)
    ana.get_by_test_id("tab-orders").click()
    order = ana.get_by_test_id("order").filter(has_text=number)
    order.get_by_test_id("open-refund").click()
    form = order.get_by_test_id("refund-form")
    form.locator("[name=refund-amount]").fill("1")
    form.locator("[name=refund-reason]").fill("late")
    hold(form.get_by_test_id("refund"), lambda: expect(form).to_have_count(0))
    order.get_by_test_id("open-refund").click()
    form.locator("[name=refund-amount]").fill("1")
    form.locator("[name=refund-reason]").fill("late again")
    expect(form.get_by_test_id("refund")).to_contain_text("Refund in")
    expect(form.get_by_test_id("refund")).to_be_disabled()
    expect(form.get_by_test_id("refund")).to_be_enabled()
    hold(form.get_by_test_id("refund"), lambda: expect(form).to_have_count(0))
    expect(order).to_contain_text("¥2 refunded so far")


def test_a_refund_waits_for_a_second_person_and_cools_down(show: Show, new_page: NewPage) -> None:
    ana = sign_in(new_page, show)
    bo = sign_in_as(new_page, show, invited(show, "bo@example.com", "host", "Bo"))
    phone = new_page(width=390, height=844, locale="zh-CN")
    phone.context.add_cookies(bo.context.cookies())
    phone.goto(f"{show.web_url}/console#rm_demo")
    number = paid_order(show, new_page, "Rae", 0)
    set_value(ana, "20")
    expect(ana.get_by_test_id("second-person")).to_have_attribute("data-limit", "2000")
    assert violations(ana) == []

    ana.get_by_test_id("tab-orders").click()
    order = ana.get_by_test_id("order").filter(has_text=number)
    order.get_by_test_id("open-refund").click()
    form = order.get_by_test_id("refund-form")
    expect(form.locator("[name=refund-amount]")).to_be_focused()
    expect(form.get_by_test_id("refund")).to_be_disabled()
    form.locator("[name=refund-amount]").fill("999999")
    expect(form.locator("[name=refund-amount]")).to_have_attribute("aria-invalid", "true")
    form.locator("[name=refund-amount]").fill("30")
    form.locator("[name=refund-reason]").fill("arrived broken")
    assert violations(ana) == []
    waiting = order.get_by_test_id("waiting-money")
    hold(form.get_by_test_id("refund"), lambda: expect(waiting).to_have_attribute("data-state", "asked"))
    expect(form).to_have_count(0)
    expect(waiting).to_contain_text("14:")
    assert violations(ana) == []

    for page, words in ((bo, "asks to refund ¥30"), (phone, "请求退款")):
        card = page.get_by_test_id("approval")
        expect(card).to_contain_text(words)
        expect(card).to_contain_text("arrived broken")
        for name in ("approve", "decline"):
            box = card.get_by_test_id(name).bounding_box()
            assert box
            assert box["height"] >= 44
        assert violations(page) == []
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    expect(ana.get_by_test_id("approval")).to_have_count(0)  # nobody answers their own

    bo.get_by_test_id("approve").focus()
    hold(bo.get_by_test_id("approve"), lambda: expect(waiting).to_have_attribute("data-state", "done"))
    expect(waiting).to_contain_text("Bo")
    expect(bo.get_by_test_id("approval")).to_have_count(0)
    expect(phone.get_by_test_id("approval")).to_have_count(0)
    expect(order).to_contain_text("¥30 refunded so far")

    bo.get_by_test_id("tab-log").click()
    for words in ("asked for a second person for", "approved", "Approved by: Bo"):
        expect(bo.get_by_test_id("audit-entry").filter(has_text=words).first).to_be_visible()


def test_arming_waits_and_is_declined_then_withdrawn_and_the_value_is_switched_off_by_two(
    show: Show, new_page: NewPage
) -> None:
    ana = sign_in(new_page, show)
    cy = sign_in_as(new_page, show, invited(show, "cy@example.com", "host", "Cy"))
    set_value(ana, "15")
    ana.keyboard.press("Escape")
    ana.locator("body").click(position={"x": 2, "y": 450})
    ana.keyboard.press("3")
    ana.locator("#sale-price").fill("59")
    ana.locator("#sale-quota").fill("5")
    ana.get_by_test_id("make-sale").click()
    expect(ana.get_by_test_id("desk")).to_have_attribute("data-state", "ready")
    waiting = ana.get_by_test_id("desk").get_by_test_id("waiting-money")
    ana.get_by_test_id("arm").click()
    expect(waiting).to_have_attribute("data-state", "asked")
    arming = cy.locator("[data-testid=approval][data-action=sale_arm]")
    expect(arming).to_contain_text("5 units at ¥59, ¥295 in all")
    arming.get_by_test_id("decline").click()
    expect(waiting).to_have_attribute("data-state", "declined")
    expect(waiting).to_contain_text("Cy declined.")
    ana.get_by_test_id("arm").click()
    expect(waiting).to_have_attribute("data-state", "asked")
    ana.get_by_test_id("withdraw-approval").click()
    expect(waiting).to_have_count(0)
    expect(cy.get_by_test_id("approval")).to_have_count(0)
    ana.get_by_test_id("arm").click()
    hold(
        cy.get_by_test_id("approve"),
        lambda: expect(ana.get_by_test_id("desk")).to_have_attribute("data-state", "armed"),
    )

    ana.get_by_test_id("tab-people").click()
    ana.get_by_test_id("limit-off").click()
    expect(cy.get_by_test_id("approval")).to_contain_text("no amount needs a second person")
    hold(
        cy.get_by_test_id("approve"),
        lambda: expect(ana.get_by_test_id("second-person")).to_have_attribute("data-limit", "off"),
    )
