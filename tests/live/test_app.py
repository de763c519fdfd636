"""The envelope around every answer: request id, headers, numbers, and a calm 500."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from live import rooms
from live.app import SECURITY_HEADERS, create_app
from live.settings import Settings
from tests.live.conftest import Shop

PATHS = (
    "/healthz",
    "/api/me",
    "/api/rooms/rm_none",
    "/nothing",
    "/api/openapi.json",
    "/console",
    "/assets/none.js",
)


async def test_every_answer_carries_a_request_id_and_the_security_headers(shop: Shop) -> None:
    browser = shop.browser()
    ids = set()
    for path in PATHS:
        answer = await browser.get(path)
        ids.add(answer.headers["x-request-id"])
        for name, _ in SECURITY_HEADERS:
            assert len(answer.headers.get_list(name.decode())) == 1, (path, name)
    assert len(ids) == len(PATHS)


async def test_a_crash_is_a_problem_with_its_request_id_and_says_nothing_of_the_inside(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def crash(*_: Any) -> None:
        raise RuntimeError("the inside: 4242424242424242")

    monkeypatch.setattr(rooms, "list_all", crash)
    answer = await shop.browser().get("/api/rooms")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "inside" not in answer.text
    assert answer.json()["request_id"] in caplog.text


@pytest.mark.parametrize("host", ["[", "]:x", "a b", "evil.example;script-src *", "x" * 500, ""])
async def test_no_host_header_breaks_a_page_or_a_ticket(shop: Shop, host: str) -> None:
    ann = await shop.guest()
    ticket = await ann.post(f"/api/rooms/{shop.room_id}/tickets", headers={"Host": host})
    assert ticket.status_code in (200, 400)
    if ticket.status_code == 200:
        assert ticket.json()["hub_url"] == "ws://127.0.0.1:8001/v1"
    page = await ann.call("GET", "/console", headers={"Host": host})
    assert page.status_code in (200, 400, 503)
    assert "evil.example" not in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/rooms/", 404),  # no redirect: its target would come from the Host header
        ("GET", "//evil.example/%2e%2e", 404),
        ("HEAD", "/healthz", 200),
        ("HEAD", "/api/rooms", 200),
        ("OPTIONS", "/api/rooms", 405),
        ("TRACE", "/api/rooms", 405),
        ("POST", "/api/openapi.json", 405),
        ("GET", "/assets/../app.py", 404),
        ("GET", "/assets/%2e%2e/%2e%2e/app.py", 404),
        ("GET", "/assets/%00", 404),
        ("GET", "/pictures/..%2fapp.svg", 404),
        ("GET", "/pictures/%00.svg", 404),
    ],
)
async def test_odd_paths_and_methods_are_answered_plainly(
    shop: Shop, method: str, path: str, status: int
) -> None:
    answer = await shop.browser().call(method, path)
    assert answer.status_code == status
    if status == 405:
        assert answer.headers["allow"]
        assert answer.json()["code"] == "wrong_method"


async def test_numbers_are_kept_by_route_and_not_by_path(shop: Shop) -> None:
    browser = shop.browser()
    await browser.get(f"/api/rooms/{shop.room_id}")
    await browser.get("/somewhere/nobody/thought/of")
    text = (await browser.get("/metrics")).text
    assert 'route="/api/rooms/{room_id}",status="200"' in text
    assert 'route="unmatched",status="404"' in text
    assert shop.room_id not in text


async def test_the_log_tells_unsafe_calls_without_what_was_in_them(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "flashroom")
    host = await shop.staff("host")
    await host.post(f"/api/rooms/{shop.room_id}/announcements", {"text": "not for the log"})
    told = [record for record in caplog.records if record.name == "flashroom.web"]
    assert "POST /api/rooms/{room_id}/announcements 204" in [record.getMessage() for record in told]
    everything = caplog.text + repr([vars(record) for record in told])
    for secret in ("not for the log", "correct horse", host.http.cookies["flashroom_session"]):
        assert secret not in everything


def test_behind_https_browsers_are_told_to_stay_there(settings: Settings) -> None:
    def envelope(of: Settings) -> Any:
        return create_app(of).user_middleware[0].kwargs["secure"]

    assert envelope(settings) is False
    public = {
        "FLASHROOM_DATA_DIR": str(settings.data_dir),
        "FLASHROOM_PUBLIC_WEB_URL": "https://shop.example",
    }
    assert envelope(Settings.read(public)) is True


async def test_an_error_of_the_database_does_not_carry_what_was_written(shop: Shop) -> None:
    with pytest.raises(SQLAlchemyError) as caught:
        async with shop.wiring.database.begin() as c:
            await c.execute(
                text("INSERT INTO account (user_id) VALUES (:address)"), {"address": "1 Nanjing Road"}
            )
    assert "Nanjing" not in str(caught.value)
