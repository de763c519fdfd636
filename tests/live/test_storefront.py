"""A room's link, seen from outside: its preview, its code, its reminder; nothing in a title can break out of them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from commerce.clock import wall_clock_ms
from live import pages, storefront
from live.rooms import Room
from tests.live.conftest import Shop

ROOM = Room(
    room_id="rm_1",
    title={"en": 'Serum & "Co" </title><script>', "zh": "精华专场；第一场，好" * 4},
    host_name="Ana",
    status="preshow",
    rehearsal=False,
    rehearsal_of=None,
    starts_at_ms=1_795_600_000_000,
    started_at_ms=None,
    pinned_product_id=None,
    pinned_at_ms=None,
    slow_mode_s=0,
    review=False,
    chat_off=False,
    followers_only=False,
    pinned_comment=None,
    version=1,
    run_version=0,
    script_version=0,
    second_person_minor=None,
    second_person_currency=None,
    approvals_version=0,
    desk_user_id=None,
    desk_since_ms=None,
    desk_asker_id=None,
    desk_asked_at_ms=None,
    desk_answer=None,
)
PAGE = "<!doctype html><html><head><title>Flashroom</title></head><body></body></html>"


def test_a_title_cannot_break_out_of_the_page() -> None:
    page = storefront.with_preview(
        PAGE, ROOM, "https://shop.example/r/rm_1", "https://shop.example/p.jpg", "en"
    )
    assert page.count("<script>") == 0
    assert page.count("<title>") == page.count("</title>") == 1
    assert '<meta property="og:url" content="https://shop.example/r/rm_1" />' in page
    assert "Soon · 2026-11-25" in page


def test_the_reminder_is_an_event_whose_lines_are_folded() -> None:
    text = storefront.calendar(ROOM, "https://shop.example/r/rm_1", "zh", 1_795_500_000_000)
    lines = text.split("\r\n")
    assert all(len(line.encode()) <= 75 for line in lines)
    unfolded = text.replace("\r\n ", "")
    assert f"SUMMARY:{'精华专场；第一场，好' * 4}\r\n" in unfolded
    assert re.search(r"DTSTART:20261125T\d{6}Z", text)
    assert "TRIGGER:-PT10M" in text
    escaped = storefront.calendar(replace(ROOM, title={"en": "a;b,c\\d"}), "u", "en", 0)
    assert "SUMMARY:a\\;b\\,c\\\\d" in escaped


@pytest.mark.parametrize(
    ("header", "language"), [("zh-CN,zh;q=0.9", "zh"), ("en", "en"), (None, "en"), ("de", "en")]
)
def test_the_language_is_the_readers(header: str | None, language: str) -> None:
    assert storefront.language_of(header) == language


async def test_a_link_shows_its_room_wherever_it_is_pasted(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "room.html").write_text(PAGE)
    monkeypatch.setattr(pages, "DIST", tmp_path)
    host, browser = await shop.staff("host"), shop.browser()
    path = f"/r/{shop.room_id}"
    assert (await browser.get(f"{path}/show.ics")).status_code == 404
    starts_at_ms = wall_clock_ms() + 3_600_000
    answer = await host.call("PUT", f"/api/rooms/{shop.room_id}/schedule", {"starts_at_ms": starts_at_ms})
    assert answer.json()["starts_at_ms"] == starts_at_ms
    value = (await shop.wiring.broker.values(shop.room_id))["room"][1]
    assert value["starts_at_ms"] == starts_at_ms
    page = await browser.get(path)
    assert 'property="og:title"' in page.text
    found = re.search(
        r'property="og:image" content="http://127\.0\.0\.1:8000(/pictures/mug\.jpg)"', page.text
    )
    assert found
    cover = await browser.get(found[1])
    assert (cover.headers["content-type"], cover.content[:2]) == ("image/jpeg", b"\xff\xd8")
    assert (await browser.get("/pictures/nothing.jpg")).status_code == 404
    assert "default-src 'none'" in page.headers["content-security-policy"]
    code = await browser.get(f"{path}/qr.svg")
    assert code.headers["content-type"] == "image/svg+xml"
    assert code.text.startswith("<svg")
    unknown = await browser.get("/r/rm_unknown")
    assert (unknown.status_code, "og:title" in unknown.text) == (200, False)
    assert (await browser.get("/r/rm_unknown/qr.svg")).status_code == 404


@pytest.mark.parametrize("starts_at_ms", [0, -1, 1_000, 2**60])
async def test_a_start_outside_the_next_year_is_refused(shop: Shop, starts_at_ms: int) -> None:
    host = await shop.staff("host")
    answer = await host.call("PUT", f"/api/rooms/{shop.room_id}/schedule", {"starts_at_ms": starts_at_ms})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_start")
