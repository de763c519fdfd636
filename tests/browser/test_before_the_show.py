"""A host opens a room, sees what is missing before the show, rehearses it apart; and answers what viewers ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from loadtests.screenshots import Desk
from loadtests.show import Show
from tests.browser.test_the_last_unit import NewPage, join, sign_in

pytestmark = pytest.mark.browser


def light(page: Page, check: str) -> str | None:
    return page.get_by_test_id(f"check-{check}").get_attribute("data-light")


@pytest.fixture
def own_show(tmp_path: Path) -> Iterator[Show]:
    """One that may get more rooms: others' consoles then ask which."""
    words = tmp_path / "words.txt"
    words.write_text("# what we don't want to read\nsnake oil\n")
    environment = {"FLASHROOM_BLOCKED_WORDS_FILE": str(words)}
    with Show(tmp_path / "show", roles=("web", "hub", "worker"), environment=environment) as running:
        yield running


def test_a_new_room_is_checked_rehearsed_and_left_as_it_was(own_show: Show, new_page: NewPage) -> None:
    page = sign_in(new_page, own_show)
    page.get_by_test_id("room-menu").click()
    page.get_by_text("Other rooms").click()
    page.get_by_test_id("new-show").click()
    form = page.get_by_test_id("new-show-form")
    form.locator("[name=title]").fill("Tea at nine")
    form.locator("button[type=submit]").click()
    expect(page.get_by_test_id("console")).to_have_attribute("data-rehearsal", "no")
    expect(page.get_by_test_id("status")).to_contain_text("Starts soon")
    show_url = page.url

    page.get_by_test_id("open-quick-item").click()
    sheet = page.get_by_test_id("quick-item")
    for name, text in (("title", "Oolong"), ("price", "59.90"), ("stock", "12")):
        sheet.locator(f"[name={name}]").fill(text)
    sheet.locator("button[type=submit]").click()
    expect(page.get_by_test_id("product")).to_have_count(1)

    page.get_by_test_id("open-preflight").click()
    expect(page.get_by_test_id("check-stock")).to_have_attribute("data-light", "good")
    assert light(page, "picture") == "warn"
    assert light(page, "rehearsal") == "warn"
    assert light(page, "sound") == "unknown"
    assert light(page, "words") == "good"
    page.get_by_test_id("rehearse").click()
    expect(page.get_by_test_id("console")).to_have_attribute("data-rehearsal", "yes")
    expect(page.get_by_test_id("rehearsal")).to_be_visible()
    expect(page.get_by_test_id("product")).to_have_count(1)
    page.get_by_test_id("room-menu").click()
    page.get_by_text("Go live", exact=True).click()
    expect(page.get_by_test_id("status")).to_contain_text("Live", ignore_case=True)

    page.get_by_test_id("room-menu").click()
    page.get_by_test_id("open-preflight").click()
    page.get_by_test_id("back-to-show").click()
    expect(page.get_by_test_id("console")).to_have_attribute("data-rehearsal", "no")
    assert page.url == show_url
    page.get_by_test_id("open-preflight").click()
    expect(page.get_by_test_id("check-rehearsal")).to_have_attribute("data-light", "good")
    expect(page.get_by_test_id("check-rehearsal")).to_contain_text("Rehearsed on")
    page.keyboard.press("Escape")
    page.get_by_test_id("room-menu").click()
    page.get_by_text("Other rooms").click()
    expect(page.locator(".room-choice")).to_have_count(3)  # the show, its rehearsal, and the sample


def test_a_question_waits_first_until_it_is_answered_on_every_console(show: Show, new_page: NewPage) -> None:
    viewer, console, other = join(new_page, show, "Quinn"), sign_in(new_page, show), sign_in(new_page, show)
    for page in (console, other):
        page.get_by_test_id("tab-questions").click()
        expect(page.get_by_test_id("questions")).to_be_visible()
    for text in ("Lovely colour", "Does it fit a laptop?", "how long is shipping"):
        viewer.get_by_test_id("comment-input").fill(text)
        viewer.keyboard.press("Enter")
        expect(viewer.locator("[data-testid=comment]", has_text=text).first).to_be_attached()
    asked = console.get_by_test_id("question")
    expect(asked.filter(has_text="Does it fit")).to_have_attribute("data-answered", "false")
    expect(asked.filter(has_text="Lovely")).to_have_count(0)

    asked.filter(has_text="Does it fit").get_by_test_id("question-reply").click()
    expect(console.locator("#composer")).to_have_value("@Quinn ")
    console.keyboard.type("It does, up to 15 inches")
    console.keyboard.press("Enter")
    for page in (console, other):
        fits = page.get_by_test_id("question").filter(has_text="Does it fit")
        expect(fits).to_have_attribute("data-answered", "true")
    expect(viewer.locator(".line-mention", has_text="It does, up to 15").first).to_be_attached()
    shipping = other.get_by_test_id("question").filter(has_text="how long")
    shipping.get_by_test_id("question-mark").click()
    expect(asked.filter(has_text="how long")).to_have_attribute("data-answered", "true")
    shipping.get_by_test_id("question-mark").click()
    expect(asked.first).to_contain_text("how long")
    entries = Desk(show).http.get("/api/rooms/rm_demo/audit").json()["entries"]
    assert {"comment_answered", "comment_not_answered"} <= {entry["action"] for entry in entries}


def test_questions_are_on_a_phone_too(show: Show, new_page: NewPage) -> None:
    remote = sign_in(lambda **_: new_page(), show)
    remote.get_by_test_id("bottom-questions").click()
    expect(remote.get_by_test_id("questions")).to_be_visible()


def test_a_comment_with_a_listed_word_waits_for_a_moderator(own_show: Show, new_page: NewPage) -> None:
    viewer, console = join(new_page, own_show, "Quinn"), sign_in(new_page, own_show)
    viewer.get_by_test_id("comment-input").fill("This is SNAKE OIL")
    viewer.keyboard.press("Enter")
    expect(console.get_by_test_id("held")).to_contain_text("SNAKE OIL")
    expect(console.get_by_test_id("comment").filter(has_text="SNAKE OIL")).to_have_count(0)
