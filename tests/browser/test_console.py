"""The console's tools in a real browser: run of show, plots, one person at the desk, people, keys and the line, files to take away."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from loadtests.screenshots import Desk
from loadtests.show import Show
from tests.browser.test_the_last_unit import (
    GOOD_CARD,
    fill_address,
    fire_a_sale,
    hold_down,
    join,
    pay,
    sign_in,
)

pytestmark = pytest.mark.browser

NewPage = Callable[..., Page]
PASSWORD = "a long enough password"


def invited(show: Show, email: str, role: str, name: str) -> tuple[str, str]:
    """Somebody who came by an invitation; gives e-mail and password."""
    made = Desk(show).call("POST", "/api/rooms/rm_demo/people", {"email": email, "role": role})
    token = made["link"].partition("invite=")[2]
    answer = httpx.post(
        f"{show.web_url}/api/invites/accept",
        json={"token": token, "name": name, "password": PASSWORD},
        headers={"Idempotency-Key": f"accept-{email}"},
    )
    assert answer.status_code == 201, answer.text
    return email, PASSWORD


def sign_in_as(new_page: NewPage, show: Show, who: tuple[str, str]) -> Page:
    page = new_page(width=1440, height=900)
    page.goto(f"{show.web_url}/console")
    page.locator("input[name=email]").fill(who[0])
    page.locator("input[name=password]").fill(who[1])
    page.locator("input[name=password]").press("Enter")
    expect(page.get_by_test_id("desk")).to_be_visible()
    return page


def order_of(page: Page) -> list[str | None]:
    return [row.get_attribute("data-product") for row in page.get_by_test_id("product").all()]


def test_the_run_of_show_is_reordered_by_dragging_and_by_keys_and_viewers_see_it(
    show: Show, new_page: NewPage
) -> None:
    console, other = sign_in(new_page, show), sign_in(new_page, show)
    viewer = join(new_page, show, "Rae", width=1440)
    before = order_of(console)
    rows = console.get_by_test_id("product")
    rows.nth(0).hover()
    grip = rows.nth(0).get_by_test_id("move").bounding_box()
    target = rows.nth(2).bounding_box()
    assert grip
    assert target
    console.mouse.move(grip["x"] + 8, grip["y"] + grip["height"] / 2)
    console.mouse.down()
    console.mouse.move(grip["x"] + 8, target["y"] + target["height"] - 4, steps=6)
    console.mouse.up()
    dragged = [before[1], before[2], before[0], *before[3:]]
    assert order_of(console) == dragged
    expect(other.get_by_test_id("product").nth(2)).to_have_attribute("data-product", before[0] or "")

    grip_of_last = rows.nth(2).get_by_test_id("move")
    grip_of_last.focus()
    for _ in range(2):
        console.keyboard.press("ArrowUp")
    expect(other.get_by_test_id("product").nth(0)).to_have_attribute("data-product", before[0] or "")
    assert order_of(console) == before
    expect(console.locator(":focus")).to_have_attribute("data-testid", "move")

    console.get_by_test_id("open-quick-item").click()
    sheet = console.get_by_test_id("quick-item")
    sheet.locator("[name=title]").fill("Tote bag")
    sheet.locator("[name=price]").fill("49")
    sheet.locator("[name=stock]").fill("12")
    sheet.get_by_test_id("add-item").click()
    expect(other.get_by_test_id("product").last).to_contain_text("Tote bag")
    expect(viewer.get_by_text("Tote bag").first).to_be_attached()
    last = rows.last
    last.hover()
    for _ in range(2):
        last.get_by_test_id("take-out").click()
    expect(other.get_by_test_id("product")).to_have_count(len(before))


def test_a_csv_names_its_bad_rows_and_then_comes_in(show: Show, new_page: NewPage) -> None:
    console = sign_in(new_page, show)
    count = console.get_by_test_id("product").count()
    console.get_by_test_id("open-import").click()
    sheet = console.get_by_test_id("import-sheet")
    bad = "title,price,stock\nLinen shirt,129.00,10\nGreen tea,free,40\n"
    sheet.get_by_test_id("csv-file").set_input_files(
        {"name": "run.csv", "mimeType": "text/csv", "buffer": bad.encode()}
    )
    sheet.get_by_test_id("import-csv").click()
    expect(sheet.get_by_test_id("row-error")).to_have_count(1)
    expect(sheet.get_by_test_id("row-error")).to_contain_text("price")
    sheet.get_by_test_id("csv-text").fill(bad.replace("free", "59.90"))
    sheet.get_by_test_id("import-csv").click()
    expect(sheet).to_have_count(0)
    expect(console.get_by_test_id("product")).to_have_count(count + 2)
    expect(console.get_by_test_id("product").last).to_contain_text("Green tea")


def test_one_person_holds_the_desk_and_another_takes_it_over(show: Show, new_page: NewPage) -> None:
    ana = sign_in(new_page, show)
    fire_a_sale(ana, 7, quota=5)
    expect(ana.get_by_test_id("desk-holder")).to_have_attribute("data-holder", "me")

    bo = sign_in_as(new_page, show, invited(show, "bo@example.com", "seller", "Bo"))
    expect(bo.get_by_test_id("desk-holder")).to_have_attribute("data-holder", "other")
    bo.keyboard.press("7")
    expect(bo.get_by_test_id("desk")).to_have_attribute("data-state", "open")
    expect(bo.get_by_test_id("pause")).to_be_disabled()
    bo.get_by_test_id("ask-desk").click()
    expect(bo.get_by_test_id("desk-asking")).to_have_attribute("data-state", "waiting")
    expect(ana.get_by_test_id("desk-request")).to_contain_text("Bo")
    ana.get_by_test_id("keep-desk").click()
    expect(bo.get_by_test_id("desk-asking")).to_have_attribute("data-state", "kept")
    expect(ana.get_by_test_id("desk-request")).to_have_count(0)
    expect(ana.get_by_test_id("pause")).to_be_enabled()

    cy = sign_in_as(new_page, show, invited(show, "cy@example.com", "seller", "Cy"))
    cy.keyboard.press("7")
    cy.get_by_test_id("ask-desk").click()
    expect(bo.get_by_test_id("desk-asking")).to_contain_text("Cy")
    ana.get_by_test_id("hand-over").hover()
    ana.mouse.down()
    expect(cy.get_by_test_id("desk-asking")).to_have_attribute("data-state", "handed")
    ana.mouse.up()
    expect(ana.get_by_test_id("desk-holder")).to_have_attribute("data-holder", "me")
    cy.get_by_test_id("take-over").hover()
    cy.mouse.down()
    expect(cy.get_by_test_id("desk-holder")).to_have_attribute("data-holder", "me")
    cy.mouse.up()

    expect(ana.get_by_test_id("desk-holder")).to_have_attribute("data-holder", "other")
    expect(ana.get_by_test_id("desk-holder")).to_contain_text("Cy")
    expect(ana.get_by_test_id("pause")).to_be_disabled()
    expect(cy.get_by_test_id("pause")).to_be_enabled()
    hold_down(cy, "end")
    cy.get_by_test_id("leave-desk").click()
    expect(ana.get_by_test_id("desk-holder")).to_have_attribute("data-holder", "nobody")


def test_the_plots_are_drawn_from_a_sale_that_ran(show: Show, new_page: NewPage) -> None:
    console = sign_in(new_page, show)
    viewer = join(new_page, show, "Pat")
    console.keyboard.press("5")
    console.get_by_test_id("plot-rush").click()
    expect(console.get_by_test_id("plots").locator(".empty")).to_be_visible()
    fire_a_sale(console, 5, quota=3)
    expect(viewer.get_by_test_id("buy")).to_have_attribute("data-state", "buy")
    viewer.get_by_test_id("buy").click()
    expect(viewer.get_by_test_id("buy")).to_have_attribute("data-state", "held")
    for kind in ("stock", "rush", "watching", "funnel", "latency"):
        console.get_by_test_id(f"plot-{kind}").click()
        expect(console.get_by_test_id("plot")).to_have_attribute("data-points", re.compile(r"[1-9]"))
        expect(console.get_by_test_id("plot").locator("canvas")).to_be_visible()
    console.get_by_test_id("plot-rush").click()
    expect(console.get_by_test_id("plot")).to_have_attribute(
        "aria-label", re.compile("1 granted and 0 refused")
    )
    console.keyboard.press("ArrowRight")
    expect(console.get_by_test_id("plots")).to_have_attribute("data-kind", "watching")


def test_the_command_line_does_what_keys_do_and_keys_can_be_changed(show: Show, new_page: NewPage) -> None:
    console = sign_in(new_page, show)
    console.keyboard.press("/")
    line = console.locator("#composer")
    expect(line).to_be_focused()
    expect(line).to_have_value("/")
    expect(console.get_by_test_id("line-help")).to_be_visible()
    line.fill("/pin 6")
    line.press("Enter")
    pinned = console.get_by_test_id("product").nth(5).get_by_test_id("pin")
    expect(pinned).to_have_attribute("aria-pressed", "true")
    line.fill("/slow 5")
    line.press("Enter")
    expect(console.get_by_test_id("slow-mode")).to_have_value("5")
    line.fill("/fire now")
    line.press("Enter")
    expect(console.get_by_test_id("line-refused")).to_be_visible()
    line.fill("/slow off")
    line.press("Enter")
    expect(console.get_by_test_id("slow-mode")).to_have_value("0")
    line.press("Escape")

    console.keyboard.press("?")
    sheet = console.get_by_test_id("keys")
    sheet.get_by_test_id("key-unpin").click()
    console.keyboard.press("a")
    expect(sheet.get_by_role("status").first).to_contain_text("taken")
    console.keyboard.press("x")
    expect(sheet.get_by_test_id("key-unpin")).to_contain_text("X")
    console.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    console.reload()
    expect(console.get_by_test_id("desk")).to_be_visible()
    console.keyboard.press("u")
    expect(pinned).to_have_attribute("aria-pressed", "true")
    console.keyboard.press("x")
    expect(pinned).to_have_attribute("aria-pressed", "false")


def test_saved_replies_and_one_key_moderation_with_undo(show: Show, new_page: NewPage) -> None:
    console, viewer = sign_in(new_page, show), join(new_page, show, "Sam")
    console.get_by_test_id("replies").click()
    console.get_by_test_id("edit-replies").click()
    console.get_by_test_id("replies-text").fill("Ships tomorrow\nSizes run small")
    console.get_by_test_id("save-replies").click()
    console.get_by_test_id("replies").click()
    console.get_by_test_id("reply").nth(1).click()
    expect(console.locator("#composer")).to_have_value("Sizes run small")
    console.locator("#composer").press("Enter")
    expect(viewer.get_by_test_id("comment").filter(has_text="Sizes run small").first).to_be_attached()

    viewer.get_by_test_id("comment-input").fill("a rude word")
    viewer.get_by_test_id("comment-input").press("Enter")
    said = console.get_by_test_id("comment").filter(has_text="a rude word")
    expect(said).to_be_visible()
    console.locator("#composer").press("Escape")
    console.keyboard.press("j")
    console.keyboard.press("h")
    expect(viewer.get_by_test_id("comment").filter(has_text="a rude word")).to_have_count(0)
    expect(console.get_by_test_id("undo")).to_be_visible()
    console.keyboard.press("z")
    expect(viewer.get_by_test_id("comment").filter(has_text="a rude word").first).to_be_attached()

    console.get_by_test_id("chat-filter").select_option("text")
    console.get_by_test_id("chat-filter-text").fill("RUDE")
    shown = console.get_by_test_id("comment")
    expect(shown).to_have_count(1)
    expect(console.get_by_test_id("chat-filtered")).to_contain_text(re.compile(r"1 of \d"))
    console.get_by_test_id("chat-log").focus()
    console.keyboard.press("k")
    console.keyboard.press("k")
    expect(shown).to_have_class(re.compile("is-selected"))
    console.get_by_test_id("chat-filter").select_option("viewer")
    expect(console.get_by_test_id("chat-filter").locator("option:checked")).to_have_text("Only Sam")
    console.get_by_test_id("chat-filter").select_option("staff")
    expect(shown.filter(has_text="a rude word")).to_have_count(0)
    console.get_by_test_id("chat-filter-clear").click()
    expect(shown.filter(has_text="a rude word")).to_have_count(1)


def test_somebody_is_invited_joins_and_gets_another_role(show: Show, new_page: NewPage) -> None:
    console = sign_in(new_page, show)
    console.get_by_test_id("tab-people").click()
    console.locator("[name=person-email]").fill("nia@example.com")
    console.get_by_test_id("add-person").click()
    link = console.get_by_test_id("invite-link").locator("code").inner_text()
    new = new_page(width=1440, height=900)
    new.goto(link)
    form = new.get_by_test_id("accept-invite")
    form.locator("[name=name]").fill("Nia")
    form.locator("[name=password]").fill(PASSWORD)
    form.locator("[name=password]").press("Enter")
    expect(new.get_by_test_id("desk")).to_be_visible()
    expect(new.get_by_test_id("desk-holder")).to_have_count(0)  # a moderator doesn't sell
    new.get_by_test_id("mods").click()
    expect(new.locator(".mods-list")).to_contain_text("Nia")

    console.get_by_test_id("tab-log").click()
    console.get_by_test_id("tab-people").click()
    row = console.get_by_test_id("person").filter(has_text="nia@example.com")
    row.get_by_test_id("role").select_option("seller")
    expect(row).to_have_attribute("data-role", "seller")
    expect(row).to_have_attribute("data-here", "yes")
    new.reload()
    expect(new.get_by_test_id("desk-holder")).to_be_visible()
    for _ in range(2):
        row.get_by_test_id("remove-person").click()
    expect(row).to_have_count(0)


def test_log_and_summary_can_be_taken_away(show: Show, new_page: NewPage) -> None:
    console = sign_in(new_page, show)
    console.get_by_test_id("tab-log").click()
    with console.expect_download() as taken:
        console.get_by_test_id("log-csv").click()
    assert taken.value.path().read_text().startswith("time,who,")
    console.get_by_test_id("log-search").fill("no such thing")
    expect(console.get_by_test_id("audit-entry")).to_have_count(0)
    console.get_by_test_id("log-search").fill("log_export")
    expect(console.get_by_test_id("audit-entry").first).to_be_visible()
    console.get_by_test_id("tab-chat").click()
    for typed in ("/slow 3", "/slow off"):
        console.locator("#composer").fill(typed)
        console.locator("#composer").press("Enter")
    console.get_by_test_id("tab-log").click()
    console.get_by_test_id("log-search").fill("")
    console.get_by_test_id("log-source").select_option("command")
    expect(console.get_by_test_id("entry-source").first).to_have_attribute("data-source", "command")
    console.get_by_test_id("room-menu").click()
    console.get_by_test_id("open-summary").click()
    expect(console.get_by_test_id("summary").locator(".tile").first).to_be_visible()
    expect(console.get_by_test_id("compare-none").or_(console.get_by_test_id("compare"))).to_be_visible()
    for name, begins in (("summary-csv", "room,rm_demo"), ("summary-json", "{")):
        with console.expect_download() as file:
            console.get_by_test_id(name).click()
        assert file.value.path().read_text().startswith(begins)


def test_a_comment_is_pinned_and_an_order_noted(show: Show, new_page: NewPage) -> None:
    console = sign_in(new_page, show)
    ann = join(new_page, show, "Lou")
    ann.get_by_test_id("comment-input").fill("Does it ship to Canada?")
    ann.get_by_test_id("comment-input").press("Enter")
    said = console.get_by_test_id("comment").filter(has_text="ship to Canada").first
    said.hover()
    said.get_by_test_id("pin-comment").click()
    viewer = join(new_page, show, "Mia", width=1440, height=900)
    expect(viewer.locator(".chat-pinned")).to_contain_text("ship to Canada")
    said.hover()
    said.get_by_test_id("pin-comment").click()
    expect(viewer.locator(".chat-pinned")).to_have_count(0)

    Desk(show).fire_named("pr_serum", countdown_ms=0)
    ann.get_by_test_id("buy").click()
    fill_address(ann, "Lou Reed")
    pay(ann, GOOD_CARD)
    expect(ann.get_by_test_id("order-number")).to_be_visible()
    number = ann.get_by_test_id("order-number").get_attribute("data-number")
    console.get_by_test_id("tab-orders").click()
    order = console.get_by_test_id("order").filter(has_text=number or "no number")
    order.get_by_test_id("open-notes").click()
    order.locator("input[name=note]").fill("gift promised on air")
    order.locator("input[name=note]").press("Enter")
    expect(order.get_by_test_id("notes")).to_contain_text("gift promised on air")
    order.get_by_test_id("resend").click()
    expect(order.get_by_test_id("resent")).to_be_visible()
    expect(ann.get_by_test_id("told-again")).to_contain_text(number or "no number")
    expect(ann.get_by_test_id("told-again")).to_have_attribute("data-state", "paid")
