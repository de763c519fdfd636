"""Amounts above a set value: one asks, another approves, and then it is done, once."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from commerce import crash_points
from commerce.hot_ledger import HotLedger
from commerce.sale_rules import hash_terms
from commerce.schema import idempotency
from live import approvals
from tests.live.api.test_after_sales import log_of, paid_order
from tests.live.api.test_orders import tap
from tests.live.conftest import PASSWORD, Browser, Shop

LIMIT = 3000
REFUND = {"reason": "broken", "amount_minor": 4000}


async def set_limit(shop: Shop, owner: Browser, above_minor: int | None) -> httpx.Response:
    return await owner.call("PUT", f"/api/rooms/{shop.room_id}/second-person", {"above_minor": above_minor})


async def limited(shop: Shop, above_minor: int = LIMIT) -> Browser:
    owner = await shop.staff("owner")
    answer = await set_limit(shop, owner, above_minor)
    assert answer.status_code == 200, answer.text
    return owner


async def refund(
    browser: Browser, order: dict[str, Any], body: dict[str, Any] = REFUND, **options: Any
) -> httpx.Response:
    return await browser.post(f"/api/orders/{order['order_id']}/refunds", body, **options)


async def answer(
    shop: Shop, browser: Browser, approval_id: str, what: str = "approve", **options: Any
) -> httpx.Response:
    path = f"/api/rooms/{shop.room_id}/approvals/{approval_id}"
    if what == "withdraw":
        return await browser.call("DELETE", path, **options)
    return await browser.call("POST", f"{path}/{what}", **options)


async def listed(shop: Shop, browser: Browser) -> dict[str, Any]:
    found: dict[str, Any] = (await browser.get(f"/api/rooms/{shop.room_id}/approvals")).json()
    return found


async def state_of(shop: Shop, browser: Browser, approval_id: str) -> str:
    states = {one["approval_id"]: one["state"] for one in (await listed(shop, browser))["approvals"]}
    return str(states[approval_id])


async def refunded(browser: Browser, order: dict[str, Any]) -> int:
    return int((await browser.get(f"/api/orders/{order['order_id']}")).json()["refunded_minor"])


async def asked_refund(shop: Shop, host: Browser) -> tuple[dict[str, Any], str]:
    order = await paid_order(shop, host, await shop.guest())
    await limited(shop)
    asked = await refund(host, order)
    assert (asked.status_code, asked.json()["code"]) == (409, "second_person_needed"), asked.text
    return order, asked.json()["approval_id"]


async def told(shop: Shop) -> int:
    return int((await shop.wiring.broker.values(shop.room_id))["approvals"][1]["version"])


async def test_a_refund_above_the_value_waits_for_a_second_person_and_is_then_done_once(shop: Shop) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    before = (await listed(shop, seller))["version"]
    order, approval_id = await asked_refund(shop, host)
    assert await refunded(host, order) == 0
    assert await told(shop) == (await listed(shop, seller))["version"] > before
    shown = (await listed(shop, seller))["approvals"][0]
    assert (shown["asker"]["name"], shown["amount_minor"], shown["currency"]) == ("Host", 4000, "CNY")
    assert shown["params"] == {"reason": "broken", "amount_minor": 4000, "restock": "sale"}
    assert shown["outcome"]["order_number"] == order["order_number"]
    assert shown["ends_at_ms"] - shown["asked_at_ms"] == 15 * 60_000

    key = {"Idempotency-Key": "approve-1"}
    done = await answer(shop, seller, approval_id, headers=key)
    assert (done.status_code, done.json()["state"], done.json()["answerer"]["name"]) == (
        200,
        "done",
        "Seller",
    )
    assert (await answer(shop, seller, approval_id, headers=key)).json() == done.json()
    assert (await answer(shop, seller, approval_id)).json()["state"] == "done"
    assert (await answer(shop, await shop.staff("owner"), approval_id)).json()["code"] == "approval_over"
    assert await refunded(host, order) == 4000

    log = await log_of(shop, host, order["order_id"])
    assert [(one["action"], one["actor_name"]) for one in log] == [
        ("order_refund", "Host"),
        ("approval_approve", "Seller"),
        ("approval_ask", "Host"),
    ]
    assert log[0]["after"]["approved_by"] == "Seller"
    assert log[1]["after"]["asked_by"] == "Host"


async def test_the_call_that_asked_never_acts_however_often_it_is_repeated(shop: Shop) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    order = await paid_order(shop, host, await shop.guest())
    owner = await limited(shop)
    key = {"Idempotency-Key": "refund-it"}
    first = await refund(host, order, headers=key)
    assert (await refund(host, order, headers=key)).json() == first.json()
    again = (await refund(host, order)).json()  # pressed once more: the same request waits
    assert again["approval_id"] == first.json()["approval_id"]
    await answer(shop, seller, again["approval_id"])
    # The process died before its answer was kept; the value is off by now.
    host_also = await shop.staff("host")
    asked = await second_person_off(shop, owner)
    await answer(shop, host_also, asked)
    await forget_answers(shop)
    assert (await refund(host, order, headers=key)).json()["code"] == "second_person_needed"
    assert await refunded(host, order) == 4000


async def second_person_off(shop: Shop, owner: Browser) -> str:
    asked = await set_limit(shop, owner, None)
    assert asked.json()["code"] == "second_person_needed", asked.text
    return str(asked.json()["approval_id"])


async def forget_answers(shop: Shop) -> None:
    async with shop.wiring.database.begin() as c:
        await c.execute(idempotency.delete())


async def test_splitting_a_refund_does_not_get_round_the_value(shop: Shop) -> None:
    host = await shop.staff("host")
    order = await paid_order(shop, host, await shop.guest())
    await limited(shop)
    parts = [{"reason": "a scratch", "amount_minor": 2000} for _ in range(2)]
    answers = await asyncio.gather(*(refund(host, order, part) for part in parts))
    assert sorted(one.status_code for one in answers) == [200, 409]
    assert await refunded(host, order) == 2000


async def test_all_that_is_left_is_frozen_as_the_amount_that_it_was(shop: Shop) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    order = await paid_order(shop, host, await shop.guest())
    await limited(shop)
    asked = (await refund(host, order, {"reason": "broken"})).json()
    assert asked["amount_minor"] == 5000
    assert (await refund(host, order, {"reason": "a scratch", "amount_minor": 1000})).status_code == 200
    late = await answer(shop, seller, asked["approval_id"])
    assert (late.status_code, late.json()["code"]) == (409, "refund_above_paid")
    assert await state_of(shop, host, asked["approval_id"]) == "failed"
    assert await refunded(host, order) == 1000


async def test_what_came_to_something_else_meanwhile_is_refused_and_its_asker_is_told(shop: Shop) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    order, approval_id = await asked_refund(shop, host)
    assert (await refund(host, order, {"reason": "a scratch", "amount_minor": 500})).status_code == 200
    late = await answer(shop, seller, approval_id)
    assert (late.status_code, late.json()["code"]) == (409, "changed_since_asked")
    shown = (await listed(shop, host))["approvals"][0]
    assert (shown["state"], shown["problem"]) == ("failed", "changed_since_asked")
    assert await refunded(host, order) == 500


async def test_nobody_answers_their_own_request_from_whichever_session(shop: Shop) -> None:
    host = await shop.staff("host")
    order, approval_id = await asked_refund(shop, host)
    for browser in (host, await shop.staff("host")):
        for what in ("approve", "decline"):
            own = await answer(shop, browser, approval_id, what)
            assert (own.status_code, own.json()["code"]) == (403, "own_request")
    for role in ("moderator", "analyst"):
        assert (await answer(shop, await shop.staff(role), approval_id)).json()["code"] == "wrong_role"
    assert (await answer(shop, await shop.staff("seller"), approval_id, "withdraw")).json()[
        "code"
    ] == "not_yours"
    assert await state_of(shop, host, approval_id) == "asked"
    assert await refunded(host, order) == 0


@pytest.mark.parametrize(
    ("what", "state", "who"), [("decline", "declined", "seller"), ("withdraw", "withdrawn", "host")]
)
async def test_a_request_that_was_declined_or_withdrawn_is_over(
    shop: Shop, what: str, state: str, who: str
) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    order, approval_id = await asked_refund(shop, host)
    ender = seller if who == "seller" else host
    assert (await answer(shop, ender, approval_id, what)).json()["state"] == state
    assert (await answer(shop, ender, approval_id, what)).json()["state"] == state  # said twice
    late = (await answer(shop, seller, approval_id)).json()
    assert (late["code"], late["state"]) == ("approval_over", state)
    assert await refunded(host, order) == 0
    assert (await log_of(shop, host, order["order_id"]))[0]["action"] == f"approval_{what}"


async def test_a_request_expires(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approvals, "LASTS_MS", 0)
    host, seller = await shop.staff("host"), await shop.staff("seller")
    order, approval_id = await asked_refund(shop, host)
    monkeypatch.setattr(approvals, "SHOWN_MS", 60_000)
    assert await state_of(shop, host, approval_id) == "expired"
    for browser, what in ((seller, "approve"), (seller, "decline"), (host, "withdraw")):
        late = (await answer(shop, browser, approval_id, what)).json()
        assert (late["code"], late["state"]) == ("approval_over", "expired")
    assert await refunded(host, order) == 0


async def test_two_who_approve_at_once_have_it_done_once(shop: Shop) -> None:
    host = await shop.staff("host")
    order, approval_id = await asked_refund(shop, host)
    others = [await shop.staff("seller"), await shop.staff("owner")]
    answers = await asyncio.gather(*(answer(shop, one, approval_id) for one in others))
    assert sorted(one.status_code for one in answers) == [200, 409]
    assert await refunded(host, order) == 4000
    log = [one["action"] for one in await log_of(shop, host, order["order_id"])]
    assert log.count("approval_approve") == log.count("order_refund") == 1


async def test_approve_and_withdraw_at_once_end_one_way(shop: Shop) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    order, approval_id = await asked_refund(shop, host)
    approved, withdrawn = await asyncio.gather(
        answer(shop, seller, approval_id), answer(shop, host, approval_id, "withdraw")
    )
    assert sorted((approved.status_code, withdrawn.status_code)) == [200, 409]
    assert await refunded(host, order) == (4000 if approved.status_code == 200 else 0)
    assert await state_of(shop, host, approval_id) == ("done" if approved.status_code == 200 else "withdrawn")


async def test_a_process_that_dies_while_approving_neither_loses_it_nor_does_it_twice(shop: Shop) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    order, approval_id = await asked_refund(shop, host)
    key = {"Idempotency-Key": "approve-it"}
    with crash_points.armed("approval.marked") as reached, pytest.raises(crash_points.Crashed):
        await answer(shop, seller, approval_id, headers=key)
    assert reached
    assert await state_of(shop, host, approval_id) == "asked"
    assert await refunded(host, order) == 0
    with crash_points.armed("approval.done"), pytest.raises(crash_points.Crashed):
        await answer(shop, seller, approval_id)
    assert await refunded(host, order) == 4000
    assert (await answer(shop, seller, approval_id, headers={"Idempotency-Key": "approve-again"})).json()[
        "state"
    ] == "done"
    assert await refunded(host, order) == 4000


async def sale_of(shop: Shop, host: Browser, **terms: Any) -> dict[str, Any]:
    body = {"variant_id": shop.variant_id, "price_minor": 1000, "quota": 4, **terms}
    made = await host.post(f"/api/rooms/{shop.room_id}/sales", body)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


async def test_arming_counts_all_units_and_an_edit_ends_the_request(shop: Shop) -> None:
    await limited(shop)
    host, seller = await shop.staff("host"), await shop.staff("seller")
    sale = await sale_of(shop, host)
    path = f"/api/sales/{sale['sale_id']}"
    asked = (await host.post(f"{path}/arm")).json()
    assert (asked["code"], asked["amount_minor"]) == ("second_person_needed", 4000)
    assert (await host.get(path)).json()["state"] == "draft"
    assert (await host.call("PATCH", path, {"limit_per_buyer": 2})).status_code == 200
    late = await answer(shop, seller, asked["approval_id"])
    assert late.json()["code"] == "changed_since_asked"
    assert (await host.get(path)).json()["state"] == "draft"

    again = (await host.post(f"{path}/arm")).json()
    shown = (await listed(shop, seller))["approvals"][0]
    done = await answer(shop, seller, again["approval_id"])
    assert done.json()["state"] == "done", done.text
    armed = await shop.wiring.sale_desk.get(sale["sale_id"])
    assert (armed.state, armed.capacity) == ("armed", 4)
    assert shown["outcome"]["terms_hash"] == armed.terms_hash == hash_terms(armed)
    desk = (await host.get(f"/api/rooms/{shop.room_id}/desk")).json()
    assert desk["holder"]["name"] == "Host"  # who approves doesn't take the desk
    assert (await host.post(f"{path}/fire")).status_code == 200  # it is armed: no more is spent


async def test_adding_stock_counts_the_new_total(shop: Shop) -> None:
    await limited(shop, 2500)
    host, seller = await shop.staff("host"), await shop.staff("seller")
    sale = await shop.open_sale(host, price_minor=1000, quota=2)
    path = f"/api/sales/{sale['sale_id']}/stock"
    asked = (await host.post(path, {"delta": 1})).json()
    assert (asked["code"], asked["amount_minor"]) == ("second_person_needed", 1000)
    assert (await host.post(path, {"delta": -1})).status_code == 200
    assert (await answer(shop, seller, asked["approval_id"])).json()["code"] == "changed_since_asked"
    assert (await host.post(path, {"delta": 1})).status_code == 200  # two again
    last = (await host.post(path, {"delta": 3})).json()
    assert (await answer(shop, seller, last["approval_id"])).json()["state"] == "done"
    assert (await shop.wiring.sale_desk.get(sale["sale_id"])).capacity == 5


async def test_a_unit_that_a_withdrawal_must_give_back_waits_for_nobody(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, ann = await shop.staff("host"), await shop.guest()
    sale = await shop.open_sale(host, price_minor=5000, quota=2)
    await limited(shop)
    free = await shop.wiring.hot_ledger.numbers(shop.room_id, sale["sale_id"])

    async def as_before_the_tap(*_: Any) -> Any:
        return free

    await tap(shop, ann, sale["sale_id"])
    monkeypatch.setattr(HotLedger, "numbers", as_before_the_tap)
    withdrawn = await host.post(f"/api/sales/{sale['sale_id']}/stock", {"delta": -2})
    assert withdrawn.status_code == 200, withdrawn.text
    assert (await shop.wiring.sale_desk.get(sale["sale_id"])).capacity == 1  # hers


async def test_a_sale_is_not_armed_under_the_hands_of_a_third(shop: Shop) -> None:
    await limited(shop)
    host, seller, owner = await shop.staff("host"), await shop.staff("seller"), await shop.staff("owner")
    sale = await sale_of(shop, host)
    asked = (await host.post(f"/api/sales/{sale['sale_id']}/arm")).json()
    path = f"/api/rooms/{shop.room_id}/desk"
    await host.call("DELETE", path)
    await owner.call("PUT", path, {})
    assert (await answer(shop, seller, asked["approval_id"])).json()["code"] == "desk_held"
    await owner.call("DELETE", path)
    assert (await answer(shop, seller, asked["approval_id"])).json()["state"] == "done"


async def test_what_can_not_be_done_is_refused_and_not_asked_for(shop: Shop) -> None:
    host = await shop.staff("host")
    order = await paid_order(shop, host, await shop.guest())
    await limited(shop)
    above = await refund(host, order, {"reason": "broken", "amount_minor": 5001})
    assert above.json()["code"] == "refund_above_paid"
    sale = await sale_of(shop, host, quota=1000, variant_id="va_lamp_blue")
    assert (await host.post(f"/api/sales/{sale['sale_id']}/arm")).json()["code"] == "preflight"
    assert (await listed(shop, host))["approvals"] == []


async def test_an_amount_in_another_currency_always_needs_a_second_person(shop: Shop) -> None:
    host, owner = await shop.staff("host"), await shop.staff("owner")
    order = await paid_order(shop, host, await shop.guest())
    body = {"above_minor": 10_000, "currency": "EUR"}
    assert (await owner.call("PUT", f"/api/rooms/{shop.room_id}/second-person", body)).status_code == 200
    assert (await refund(host, order, {"reason": "a cent", "amount_minor": 1})).json()[
        "code"
    ] == "second_person_needed"


async def test_what_waits_is_listed_however_much_was_asked_and_withdrawn(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await shop.staff("host")
    order, approval_id = await asked_refund(shop, host)
    for amount in (4001, 4002, 4003):
        more = (await refund(host, order, {"reason": "x", "amount_minor": amount})).json()
        await answer(shop, host, more["approval_id"], "withdraw")
    monkeypatch.setattr(approvals, "MAX_WAITING", 1)
    assert next(one["approval_id"] for one in (await listed(shop, host))["approvals"]) == approval_id


async def test_only_so_many_requests_may_wait(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approvals, "MAX_WAITING", 2)
    host = await shop.staff("host")
    order = await paid_order(shop, host, await shop.guest())
    await limited(shop)
    amounts = (4001, 4002, 4003)
    codes = [
        (await refund(host, order, {"reason": "x", "amount_minor": one})).json()["code"] for one in amounts
    ]
    assert codes == ["second_person_needed", "second_person_needed", "too_many_approvals"]


async def test_the_value_is_lowered_alone_and_loosened_by_two(shop: Shop) -> None:
    owner = await limited(shop)
    host, seller = await shop.staff("host"), await shop.staff("seller")
    assert (await set_limit(shop, host, 1)).status_code == 403
    assert (await set_limit(shop, owner, 2000)).json()["limit"] == {"above_minor": 2000, "currency": "CNY"}
    for looser in (2001, None):
        asked = (await set_limit(shop, owner, looser)).json()
        assert asked["code"] == "second_person_needed"
        assert (await listed(shop, owner))["limit"]["above_minor"] == 2000
        assert (await answer(shop, seller, asked["approval_id"])).json()["code"] == "wrong_role"
        await answer(shop, host, asked["approval_id"])
        limit = (await listed(shop, owner))["limit"]
        assert (limit and limit["above_minor"]) == looser
        await set_limit(shop, owner, 2000)
    in_euro = await owner.call(
        "PUT", f"/api/rooms/{shop.room_id}/second-person", {"above_minor": 1, "currency": "EUR"}
    )
    assert in_euro.json()["code"] == "second_person_needed"  # nobody knows which of the two is more
    lines = [one for one in await log_of(shop, owner, shop.room_id) if one["action"] == "second_person_set"]
    assert [one["after"]["above_minor"] for one in lines] == [2000, None, 2000, 2001, 2000, LIMIT]
    assert lines[1]["after"]["approved_by"] == "Host"


async def test_a_lone_owner_is_not_locked_out_and_the_log_says_so(shop: Shop) -> None:
    host = await shop.staff("host")
    order = await paid_order(shop, host, await shop.guest())
    owner = await limited(shop)
    for role in ("host", "seller"):
        gone = await owner.call("DELETE", f"/api/rooms/{shop.room_id}/people/us_{role}")
        assert gone.status_code == 204
    alone = await refund(owner, order)
    assert (alone.status_code, alone.json()["code"]) == (409, "second_person_missing")
    assert (await set_limit(shop, owner, None)).json()["limit"] is None
    line = (await log_of(shop, owner, shop.room_id))[0]
    assert (line["action"], line["after"]["alone"]) == ("second_person_set", True)
    assert (await refund(owner, order)).status_code == 200


async def test_who_lost_the_role_has_nothing_done_for_them(shop: Shop) -> None:
    owner, host = await shop.staff("owner"), await shop.staff("host")
    order, approval_id = await asked_refund(shop, host)
    await owner.call("PUT", f"/api/rooms/{shop.room_id}/people/us_host", {"role": "moderator"})
    assert (await answer(shop, await shop.staff("seller"), approval_id)).json()["code"] == "asker_left"
    assert await refunded(owner, order) == 0


async def test_another_rooms_requests_are_not_found(shop: Shop) -> None:
    host, seller = await shop.staff("host"), await shop.staff("seller")
    _, approval_id = await asked_refund(shop, host)
    other = await seller.post(f"/api/rooms/rm_{uuid.uuid4().hex}/approvals/{approval_id}/approve")
    assert other.status_code == 404
    assert (await answer(shop, seller, "ap_none")).json()["code"] == "unknown_approval"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"above_minor": -1},
        {"above_minor": 1.5},
        {"above_minor": 10**13},
        {"above_minor": 1, "currency": "eur"},
    ],
)
async def test_a_bad_value_is_refused(shop: Shop, body: dict[str, Any]) -> None:
    owner = await shop.staff("owner")
    bad = await owner.call("PUT", f"/api/rooms/{shop.room_id}/second-person", body)
    assert bad.status_code == 422
    assert PASSWORD not in bad.text


async def test_viewers_hear_a_number_and_nothing_else(shop: Shop) -> None:
    host = await shop.staff("host")
    await asked_refund(shop, host)
    value = (await shop.wiring.broker.values(shop.room_id))["approvals"][1]
    assert set(value) == {"version"}
    assert (await (await shop.guest()).get(f"/api/rooms/{shop.room_id}/approvals")).status_code == 401
