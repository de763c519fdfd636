"""What every endpoint owes its caller: roles, idempotency, clear refusals, never a 500."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from live.api import ENDPOINTS
from live.api.endpoint import Endpoint
from tests.live.conftest import STAFF, Browser, Shop

GOOD_BODIES = {
    "/api/guests": {"nickname": "Ann"},
    "/api/sessions": {"email": "a@example.com", "password": "x"},
    "/api/rooms/{room_id}/pin": {"product_id": "pr_mug"},
    "/api/rooms/{room_id}/status": {"status": "live"},
    "/api/rooms/{room_id}/announcements": {"text": "hello"},
    "/api/rooms/{room_id}/sales": {"variant_id": "va_mug_blue", "price_minor": 1, "quota": 1},
    "/api/sales/{sale_id}/abort": {"reason": "x"},
    "/api/sales/{sale_id}/stock": {"delta": 1},
    "/api/orders": {
        "hold_token": "x",
        "name": "Ann",
        "address": {"line1": "1", "city": "2", "postcode": "3", "country": "4"},
    },
    "/api/orders/{order_id}/payments": {"method": "card", "card_number": "4242424242424242"},
    "/api/rooms/{room_id}/mutes": {"viewer_id": "gu_x", "seconds": 1},
    "/api/rooms/{room_id}/bans": {"viewer_id": "gu_x"},
    "/api/rooms/{room_id}/chat": {"slow_mode_s": 0, "review": False, "off": False},
    "/api/rooms/{room_id}/held-comments/{comment_id}": {"approve": True},
}


def path_of(endpoint: Endpoint, shop: Shop, sale_id: str) -> str:
    return endpoint.path.format(
        room_id=shop.room_id,
        sale_id=sale_id,
        order_id="or_none",
        comment_id="co_none",
        viewer_id="gu_x",
        provider="sandbox",
    )


async def draft(shop: Shop, host: Browser) -> str:
    body = {"variant_id": shop.variant_id, "price_minor": 5000, "quota": 5}
    answer = await host.post(f"/api/rooms/{shop.room_id}/sales", body)
    sale_id: str = answer.json()["sale_id"]
    return sale_id


async def knock(browser: Browser, endpoint: Endpoint, path: str) -> httpx.Response:
    return await browser.call(endpoint.method, path, GOOD_BODIES.get(endpoint.path, {}))


async def test_every_endpoint_lets_in_exactly_the_roles_it_names(shop: Shop) -> None:
    host = await shop.staff("host")
    sale_id = await draft(shop, host)
    callers: dict[str, Browser] = {"nobody": shop.browser(), "viewer": await shop.guest()}
    callers |= {role: await shop.staff(role) for role in STAFF}
    wrong = []
    for endpoint in ENDPOINTS:
        if endpoint.raw or endpoint.path in ("/api/guests", "/api/sessions", "/api/sessions/current"):
            continue  # these change who the caller is
        for role, browser in callers.items():
            answer = await knock(browser, endpoint, path_of(endpoint, shop, sale_id))
            if endpoint.roles is None:
                may = True
            elif endpoint.roles == "viewer":
                may = role != "nobody"
            else:
                may = role in endpoint.roles
            refused = answer.status_code in (401, 403) and answer.json()["code"] in (
                "sign_in_required",
                "wrong_role",
            )
            if refused == may or answer.status_code >= 500:
                wrong.append((endpoint.method, endpoint.path, role, answer.status_code))
    assert wrong == []


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_json"),
        (b"[" * 20_000, "application/json", 400, "malformed_json"),
        (b'{"nickname": NaN}', "application/json", None, None),
        (b'{"nickname": "\\ud800"}', "application/json", None, None),
        (b'{"nickname": "a\\u0000b"}', "application/json", 422, "bad_fields"),
        (b'{"nickname": 5}', "application/json", 422, "bad_fields"),
        (b'{"nickname": "   "}', "application/json", 422, "bad_fields"),
        (b'{"nickname": "Ann", "more": 1}', "application/json", 422, "bad_fields"),
        (b"[]", "application/json", 422, "bad_fields"),
        (b"\xff\xfe", "application/json", 400, "malformed_json"),
        (b'{"nickname": "Ann"}', "text/plain", 415, "json_expected"),
        (b"x" * 70_000, "application/json", 413, "body_too_large"),
    ],
)
async def test_a_bad_body_is_a_problem_with_a_code(
    shop: Shop, content: bytes, content_type: str, status: int | None, code: str | None
) -> None:
    answer = await shop.browser().call(
        "POST", "/api/guests", content=content, headers={"Content-Type": content_type}
    )
    assert answer.headers["content-type"] == "application/problem+json"
    assert 400 <= answer.status_code < 500
    if status is not None:
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("price", [0, -1, 10**13, 2**63, 10**30, 1.5, "5000", True, None])
async def test_an_impossible_price_is_refused(shop: Shop, price: object) -> None:
    host = await shop.staff("host")
    body = {"variant_id": shop.variant_id, "price_minor": price, "quota": 5}
    answer = await host.post(f"/api/rooms/{shop.room_id}/sales", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_fields")
    assert answer.json()["errors"][0]["field"] == "price_minor"


async def test_unknown_ids_paths_methods_and_queries_are_problems(shop: Shop) -> None:
    ann = await shop.guest()
    for method, path, status, code in (
        ("GET", "/api/rooms/rm_none", 404, "unknown_room"),
        ("GET", "/api/rooms/%00", 404, "not_found"),
        ("GET", "/api/sales/sl_none", 404, "unknown_sale"),
        ("GET", "/api/orders/or_none", 404, "unknown_order"),
        ("GET", "/api/nothing", 404, "not_found"),
        ("DELETE", "/api/me", 405, "wrong_method"),
        ("GET", f"/api/orders?cursor={'9' * 90}.x", 422, "bad_cursor"),
        ("GET", "/api/orders?limit=0", 422, "bad_query"),
        ("GET", "/api/orders?limit=99999999999999999999", 422, "bad_query"),
        ("GET", "/api/orders?colour=red", 422, "bad_query"),
    ):
        answer = await ann.call(method, path)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path


async def test_an_unsafe_call_needs_a_key(shop: Shop) -> None:
    browser = shop.browser()
    for key in ("", "short", "with space in it", "é" * 10):
        answer = await browser.http.post(
            "/api/guests", json={"nickname": "Ann"}, headers={"Idempotency-Key": key.encode()}
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")


async def test_one_key_is_one_call_and_not_another(shop: Shop) -> None:
    host = await shop.staff("host")
    path, headers = f"/api/rooms/{shop.room_id}/sales", {"Idempotency-Key": "make-a-sale"}
    body = {"variant_id": shop.variant_id, "price_minor": 5000, "quota": 5}
    answers = await asyncio.gather(*(host.post(path, body, headers=headers) for _ in range(4)))
    made = {answer.json()["sale_id"] for answer in answers if answer.status_code == 201}
    others = {answer.json()["code"] for answer in answers if answer.status_code != 201}
    assert len(made) == 1
    assert others <= {"idempotency_in_progress"}
    replay = await host.post(path, body, headers=headers)
    assert replay.headers["idempotency-replayed"] == "true"
    reused = await host.post(path, body | {"quota": 6}, headers=headers)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    listed = (await host.get(path)).json()["sales"]
    assert len(listed) == 1


async def test_a_stored_refusal_is_replayed_as_a_problem(shop: Shop) -> None:
    host = await shop.staff("host")
    sale_id = await draft(shop, host)
    headers = {"Idempotency-Key": "fire-too-early"}
    first = await host.post(f"/api/sales/{sale_id}/fire", headers=headers)
    again = await host.post(f"/api/sales/{sale_id}/fire", headers=headers)
    assert (first.status_code, again.status_code, again.json()) == (409, 409, first.json())
    assert again.headers["content-type"] == "application/problem+json"


async def test_a_page_of_somebody_else_cannot_act(shop: Shop) -> None:
    host = await shop.staff("host")
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = await host.post(f"/api/rooms/{shop.room_id}/status", {"status": "ended"}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "wrong_origin")
    own = await host.post(
        f"/api/rooms/{shop.room_id}/status", {"status": "live"}, headers={"Origin": "http://127.0.0.1:8000"}
    )
    assert own.status_code == 200


async def test_too_many_sign_ins_are_slowed_down(shop: Shop) -> None:
    browser = shop.browser()
    body = {"email": "host@example.com", "password": "wrong"}
    statuses = [(await browser.post("/api/sessions", body)).status_code for _ in range(11)]
    last = await browser.post("/api/sessions", body)
    assert statuses[:10] == [401] * 10
    assert (last.status_code, last.json()["code"]) == (429, "rate_limited")
    assert int(last.headers["retry-after"]) > 0


async def test_fifty_guests_at_once_are_all_answered(shop: Shop) -> None:
    browsers = [shop.browser() for _ in range(50)]
    answers = await asyncio.gather(*(b.post("/api/guests", {"nickname": "x"}) for b in browsers))
    assert {answer.status_code for answer in answers} == {201}


async def test_no_answer_leaks_a_password_or_a_session(shop: Shop) -> None:
    host = await shop.staff("host")
    token = host.http.cookies["flashroom_session"]
    me = (await host.get("/api/me")).text
    audit = (await host.get(f"/api/rooms/{shop.room_id}/audit")).text
    assert token not in me + audit
    assert "argon2" not in json.dumps([me, audit])


async def test_signing_out_ends_the_session_everywhere(shop: Shop) -> None:
    host = await shop.staff("host")
    token = host.http.cookies["flashroom_session"]
    assert (await host.call("DELETE", "/api/sessions/current")).status_code == 204
    answer = await shop.browser().call(
        "GET", f"/api/rooms/{shop.room_id}/stats", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 401
