"""The sale desk over HTTP: every control, its interlocks, its line in the audit log."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live.conftest import Browser, Shop


async def act(browser: Browser, sale_id: str, action: str, body: Any = None) -> dict[str, Any]:
    answer = await browser.post(f"/api/sales/{sale_id}/{action}", body)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def refused(browser: Browser, sale_id: str, action: str, body: Any = None) -> tuple[int, str]:
    answer = await browser.post(f"/api/sales/{sale_id}/{action}", body)
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


async def test_a_sale_runs_from_draft_to_draining_and_each_step_is_audited(shop: Shop) -> None:
    host = await shop.staff("host")
    body = {"variant_id": shop.variant_id, "price_minor": 5000, "quota": 5, "countdown_ms": 0}
    sale = (await host.post(f"/api/rooms/{shop.room_id}/sales", body)).json()
    sale_id = sale["sale_id"]
    assert (sale["state"], sale["stock"]) == ("draft", None)
    edited = await host.call("PATCH", f"/api/sales/{sale_id}", {"price_minor": 4500})
    assert edited.json()["price_minor"] == 4500
    validated = await act(host, sale_id, "validate")
    assert (validated["problems"], validated["sale"]["state"]) == ([], "ready")
    armed = await act(host, sale_id, "arm")
    assert armed["terms_hash"] is not None
    assert armed["stock"]["available"] == 5
    fired = await act(host, sale_id, "fire")
    assert fired["closes_at_ms"] - fired["opens_at_ms"] == 60_000
    await shop.wiring.sale_desk.tick()
    assert (await act(host, sale_id, "pause", {"reason": "host"}))["state"] == "paused"
    assert (await act(host, sale_id, "resume"))["state"] == "countdown"
    ended = await act(host, sale_id, "end")
    assert ended["state"] == "draining"

    entries = (await host.get(f"/api/rooms/{shop.room_id}/audit")).json()["entries"]
    actions = [entry["action"] for entry in reversed(entries)]
    assert actions == [
        "desk_take",
        "sale_create",
        "sale_edit",
        "sale_validate",
        "sale_arm",
        "sale_fire",
        "sale_pause",
        "sale_resume",
        "sale_end",
    ]
    assert {entry["actor_name"] for entry in entries} == {"Host"}
    assert (entries[0]["before"]["state"], entries[0]["after"]["state"]) == ("countdown", "draining")


async def test_adding_stock_twice_with_one_key_adds_it_once(shop: Shop) -> None:
    host = await shop.staff("seller")
    sale = await shop.open_sale(host, quota=5)
    path, headers = f"/api/sales/{sale['sale_id']}/stock", {"Idempotency-Key": "add-stock-1"}
    first = await host.post(path, {"delta": 3}, headers=headers)
    second = await host.post(path, {"delta": 3}, headers=headers)
    assert (first.json()["stock"]["quota"], second.json()) == (8, first.json())
    assert second.headers["idempotency-replayed"] == "true"
    taken = await act(host, sale["sale_id"], "stock", {"delta": -2})
    assert taken["stock"]["quota"] == 6
    assert await refused(host, sale["sale_id"], "stock", {"delta": -7}) == (409, "stock_short")
    assert await refused(host, sale["sale_id"], "stock", {"delta": 0}) == (422, "bad_units")


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("fire", {}),
        ("pause", {"reason": "host"}),
        ("resume", {}),
        ("end", {}),
        ("abort", {"reason": "oops"}),
        ("disarm", {}),
    ],
)
async def test_a_control_out_of_state_is_refused_with_a_code(
    shop: Shop, action: str, body: dict[str, Any]
) -> None:
    host = await shop.staff("host")
    new = {"variant_id": shop.variant_id, "price_minor": 5000, "quota": 5}
    sale_id = (await host.post(f"/api/rooms/{shop.room_id}/sales", new)).json()["sale_id"]
    status, code = await refused(host, sale_id, action, body)
    assert status == 409
    assert code
    assert (await host.get(f"/api/sales/{sale_id}")).json()["state"] == "draft"


async def test_red_lights_block_arming_and_say_why(shop: Shop) -> None:
    host = await shop.staff("host")
    body = {"variant_id": shop.variant_id, "price_minor": 9900, "quota": 500, "limit_per_buyer": 2}
    sale_id = (await host.post(f"/api/rooms/{shop.room_id}/sales", body)).json()["sale_id"]
    problems = (await act(host, sale_id, "validate"))["problems"]
    assert len(problems) >= 2
    assert all(problem["code"] and problem["message"] for problem in problems)
    assert await refused(host, sale_id, "arm") == (409, "preflight")


async def test_viewers_never_see_a_draft(shop: Shop) -> None:
    host, ann = await shop.staff("host"), await shop.guest()
    body = {"variant_id": shop.variant_id, "price_minor": 5000, "quota": 5}
    sale_id = (await host.post(f"/api/rooms/{shop.room_id}/sales", body)).json()["sale_id"]
    assert (await ann.get(f"/api/sales/{sale_id}")).status_code == 404
    page = (await ann.get(f"/api/rooms/{shop.room_id}")).json()
    assert page["sales"] == []
    assert [one["sale_id"] for one in (await host.get(f"/api/rooms/{shop.room_id}")).json()["sales"]] == [
        sale_id
    ]


async def test_a_sale_of_an_unknown_variant_is_refused(shop: Shop) -> None:
    host = await shop.staff("host")
    body = {"variant_id": "va_nothing", "price_minor": 5000, "quota": 5}
    answer = await host.post(f"/api/rooms/{shop.room_id}/sales", body)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_variant")


async def test_what_can_be_bought_now_is_shown_however_many_drafts_are_newer(shop: Shop) -> None:
    host, ann = await shop.staff("host"), await shop.guest()
    sale = await shop.open_sale(host)
    body = {"variant_id": "va_lamp_blue", "price_minor": 5000, "quota": 5}
    for _ in range(31):
        assert (await host.post(f"/api/rooms/{shop.room_id}/sales", body)).status_code == 201
    for browser, shown in ((ann, 1), (host, 31)):
        sales = (await browser.get(f"/api/rooms/{shop.room_id}")).json()["sales"]
        assert sale["sale_id"] in [one["sale_id"] for one in sales]
        assert len(sales) == shown
    assert (await ann.get(f"/api/rooms/{shop.room_id}/mine")).status_code == 200


async def test_the_rule_of_a_sale_is_among_its_terms(shop: Shop) -> None:
    host = await shop.staff("host")
    body = {
        "variant_id": shop.variant_id,
        "price_minor": 5000,
        "quota": 5,
        "rule": "fair_window",
        "window_ms": 500,
    }
    sale = (await host.post(f"/api/rooms/{shop.room_id}/sales", body)).json()
    assert (sale["rule"], sale["window_ms"]) == ("fair_window", 500)
    edited = await host.call("PATCH", f"/api/sales/{sale['sale_id']}", {"rule": "draw", "window_ms": 5000})
    assert (edited.json()["rule"], edited.json()["window_ms"]) == ("draw", 5000)
    assert "seed" not in {name for name in sale if name != "seed_hash"}
