"""What every endpoint owes its caller: roles, idempotency, clear refusals, never a 500."""

from __future__ import annotations

import asyncio
import json

import httpx
import pyotp
import pytest
from sqlalchemy import select, update

from commerce import sale_rows
from commerce.idempotency import fingerprint
from commerce.schema import idempotency
from live.api import ENDPOINTS
from live.api.endpoint import Endpoint
from live.limits import Limits
from live.schema import user
from tests.live.api.test_orders import place, tap
from tests.live.conftest import PASSWORD, STAFF, Browser, Shop

GOOD_BODIES = {
    "/api/guests": {"nickname": "Ann"},
    "/api/accounts": {"email": "new@example.com", "name": "Ann", "password": "correct horse"},
    "/api/sessions": {"email": "a@example.com", "password": "x"},
    "/api/rooms/{room_id}/pin": {"product_id": "pr_mug"},
    "/api/rooms/{room_id}/products": {"title": "Cup", "price_minor": 100, "stock": 1},
    "/api/rooms/{room_id}/product-imports": {"csv": "title,price,stock\nCup,1.00,1"},
    "/api/rooms/{room_id}/people": {"email": "new@example.com", "role": "moderator"},
    "/api/rooms/{room_id}/people/{user_id}": {"role": "moderator"},
    "/api/rooms/{room_id}/saved-replies": {"replies": ["hello"]},
    "/api/invites/look": {"token": "x" * 32},
    "/api/invites/accept": {"token": "x" * 32, "name": "Ann", "password": "long enough"},
    "/api/rooms/{room_id}/desk": {"take_over_from": "us_host"},
    "/api/rooms/{room_id}/desk/answer": {"asker_id": "us_host", "answer": "keep"},
    "/api/rooms/{room_id}/captions": {"text": "hello"},
    "/api/rooms/{room_id}/schedule": {"starts_at_ms": None},
    "/api/rooms/{room_id}/status": {"status": "live"},
    "/api/rooms/{room_id}/announcements": {"text": "hello"},
    "/api/rooms/{room_id}/sales": {"variant_id": "va_mug_blue", "price_minor": 1, "quota": 1},
    "/api/sales/{sale_id}/abort": {"reason": "x"},
    "/api/sales/{sale_id}/stock": {"delta": 1},
    "/api/orders": {
        "hold_token": "x",
        "name": "Ann",
        "address": {"contact": "a@example.com", "line1": "1", "city": "2", "postcode": "3", "country": "4"},
    },
    "/api/orders/{order_id}/payments": {"method": "card", "card_number": "4242424242424242"},
    "/api/orders/{order_id}/refunds": {"reason": "broken"},
    "/api/orders/{order_id}/fulfilment": {"carrier": "SF", "tracking_number": "1"},
    "/api/orders/{order_id}/notes": {"text": "a gift"},
    "/api/rooms/{room_id}/mutes": {"viewer_id": "gu_x", "seconds": 1},
    "/api/rooms/{room_id}/bans": {"viewer_id": "gu_x"},
    "/api/rooms/{room_id}/quarantine/{attempt_id}/handled": {"note": "sent back"},
    "/api/rooms/{room_id}/second-person": {"above_minor": 1000},
    "/api/rooms/{room_id}/webhooks": {"url": "https://shop.example"},
    "/api/rooms/{room_id}/webhooks/{endpoint_id}/rotate": {"generation": 1},
    "/api/rooms/{room_id}/pinned-comment": {"comment_id": None},
    "/api/rooms/{room_id}/chat": {"slow_mode_s": 0, "review": False, "off": False},
    "/api/rooms/{room_id}/held-comments/{comment_id}": {"approve": True},
    "/api/rooms/{room_id}/replays/{recording_id}": {
        "version": 0,
        "film_length_ms": 60_000,
        "hidden": False,
        "from_film_ms": 1000,
        "until_film_ms": None,
        "chapters": None,
    },
}


def path_of(endpoint: Endpoint, shop: Shop, sale_id: str, order_id: str = "or_none") -> str:
    return endpoint.path.format(
        room_id=shop.room_id,
        sale_id=sale_id,
        order_id=order_id,
        comment_id="co_none",
        viewer_id="gu_x",
        user_id="us_none",
        invite_id="in_none",
        approval_id="ap_none",
        product_id="pr_none",
        provider="sandbox",
        endpoint_id="we_none",
        delivery_id="1",
        attempt_id="pa_none",
        recording_id="1795000000000",
    )


async def draft(shop: Shop, host: Browser) -> str:
    body = {"variant_id": shop.variant_id, "price_minor": 5000, "quota": 5}
    answer = await host.post(f"/api/rooms/{shop.room_id}/sales", body)
    sale_id: str = answer.json()["sale_id"]
    return sale_id


async def an_order(shop: Shop, host: Browser) -> str:
    sale = await shop.open_sale(host, variant_id="va_lamp_red")
    buyer = await shop.guest("Buyer")
    placed = await place(buyer, (await tap(shop, buyer, sale["sale_id"]))["token"])
    order_id: str = placed.json()["order_id"]
    return order_id


async def knock(browser: Browser, endpoint: Endpoint, path: str) -> httpx.Response:
    return await browser.call(endpoint.method, path, GOOD_BODIES.get(endpoint.path, {}))


async def test_every_endpoint_lets_in_exactly_the_roles_it_names(shop: Shop) -> None:
    host = await shop.staff("host")
    sale_id = await draft(shop, host)
    order_id = await an_order(shop, host)
    callers: dict[str, Browser] = {"nobody": shop.browser(), "viewer": await shop.guest()}
    callers |= {role: await shop.staff(role) for role in STAFF}
    wrong = []
    for endpoint in ENDPOINTS:
        if endpoint.raw or endpoint.path in (
            "/api/guests",
            "/api/accounts",
            "/api/sessions",
            "/api/sessions/current",
        ):
            continue  # these change who the caller is
        for role, browser in callers.items():
            answer = await knock(browser, endpoint, path_of(endpoint, shop, sale_id, order_id))
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
            "/api/guests", json={"nickname": "Ann"}, headers={b"Idempotency-Key": key.encode()}
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


BAD_BODIES: tuple[bytes, ...] = (
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"\xff",
    b'{"unknown_field": 1}',
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"' + b"k" * 30_000 + b'": 1}',
    b'{"reason": "\\u0000", "text": "\\u202e", "nickname": "\\ud800", "delta": 1e400, "quota": -1e999}',
    b'{"price_minor": ' + b"9" * 5_000 + b', "seconds": 9223372036854775808, "delta": -9223372036854775809}',
    b'{"price_minor": NaN, "quota": Infinity, "approve": "yes", "slow_mode_s": 1.5}',
)


async def test_no_bad_body_gets_past_any_endpoint(shop: Shop) -> None:
    host = await shop.staff("owner")
    sale_id, order_id = await draft(shop, host), await an_order(shop, host)
    shop.app.state.limits = Limits(shop.wiring.redis, enabled=False)
    wrong = []
    for endpoint in ENDPOINTS:
        if endpoint.body is None:
            continue
        path = path_of(endpoint, shop, sale_id, order_id)
        for content in BAD_BODIES:
            answer = await host.call(
                endpoint.method, path, content=content, headers={"Content-Type": "application/json"}
            )
            problem = answer.headers["content-type"] == "application/problem+json"
            if not problem or answer.status_code not in (400, 422) or not answer.json()["code"]:
                wrong.append((endpoint.method, endpoint.path, content[:40], answer.status_code))
    assert wrong == []


@pytest.mark.parametrize(
    "nickname", ["a\nb", "a\tb", "\u202eevil", "\u200b\u200b", "\u2066x", "\x9b", "\u2028", "x" * 25, ""]
)
async def test_a_name_shows_something_and_misleads_nobody(shop: Shop, nickname: str) -> None:
    answer = await shop.browser().post("/api/guests", {"nickname": nickname})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_fields")


@pytest.mark.parametrize("nickname", ["小美", "Zoë", "👩\u200d👩\u200d👧", "عمر", "  Ann  "])
async def test_names_of_every_language_are_welcome(shop: Shop, nickname: str) -> None:
    answer = await shop.browser().post("/api/guests", {"nickname": nickname})
    assert (answer.status_code, answer.json()["name"]) == (201, nickname.strip())


async def test_a_crowd_that_arrives_writes_nothing_into_sql(shop: Shop) -> None:
    ann = await shop.guest()
    for _ in range(3):
        assert (await ann.post(f"/api/rooms/{shop.room_id}/tickets")).status_code == 200
    async with shop.wiring.database.read() as c:
        assert (await c.execute(select(idempotency))).all() == []


async def test_what_is_kept_of_a_call_does_not_give_away_its_body(shop: Shop) -> None:
    host, ann = await shop.staff("host"), await shop.guest()
    sale = await shop.open_sale(host)
    order = (await place(ann, (await tap(shop, ann, sale["sale_id"]))["token"])).json()
    body = b'{"method": "card", "card_number": "4242424242424242"}'
    path = f"/api/orders/{order['order_id']}/payments"
    headers = {"Content-Type": "application/json", "Idempotency-Key": "pay-with-card"}
    assert (await ann.call("POST", path, content=body, headers=headers)).json()["payment"][
        "state"
    ] == "succeeded"
    async with shop.wiring.database.read() as c:
        rows = (await c.execute(select(idempotency).where(idempotency.c.key == "pay-with-card"))).all()
    assert len(rows) == 1
    assert fingerprint("POST", path, body) != rows[0].fingerprint
    assert "4242424242424242" not in repr(rows)


async def test_an_answer_of_5xx_is_not_kept(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    host = await shop.staff("host")
    path, headers = f"/api/rooms/{shop.room_id}/sales", {"Idempotency-Key": "make-a-sale"}
    body = {"variant_id": shop.variant_id, "price_minor": 5000, "quota": 5}

    async def crash(*_: object, **__: object) -> None:
        raise RuntimeError("once")

    with monkeypatch.context() as broken:
        broken.setattr(sale_rows, "next_round", crash)
        assert (await host.post(path, body, headers=headers)).status_code == 500
    again = await host.post(path, body, headers=headers)
    assert again.status_code == 201
    assert "idempotency-replayed" not in again.headers


async def test_keys_of_two_callers_do_not_meet(shop: Shop) -> None:
    headers = {"Idempotency-Key": "the-same-key"}
    made = set()
    for role in ("host", "seller"):
        browser = await shop.staff(role)
        body = {"variant_id": shop.variant_id, "price_minor": 5000, "quota": 5}
        answer = await browser.post(f"/api/rooms/{shop.room_id}/sales", body, headers=headers)
        made.add(answer.json()["sale_id"])
        await browser.call("DELETE", f"/api/rooms/{shop.room_id}/desk")
    assert len(made) == 2


async def test_the_digits_of_a_second_factor_open_one_session_only(shop: Shop) -> None:
    secret = pyotp.random_base32()
    async with shop.wiring.database.begin() as c:
        await c.execute(update(user).where(user.c.user_id == "us_owner").values(totp_secret=secret))
    body = {"email": "owner@example.com", "password": PASSWORD}
    browser = shop.browser()
    missing = await browser.post("/api/sessions", body)
    assert (missing.status_code, missing.json()["code"]) == (401, "totp_required")
    digits = pyotp.TOTP(secret).now()
    assert (await browser.post("/api/sessions", body | {"totp": digits})).status_code == 201
    again = await browser.post("/api/sessions", body | {"totp": digits})
    assert (again.status_code, again.json()["code"]) == (401, "wrong_credentials")
    wide = await browser.post("/api/sessions", body | {"totp": "１２３４５６"})
    assert wide.status_code == 422
