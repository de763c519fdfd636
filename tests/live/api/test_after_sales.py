"""Refunds, fulfilment, notes and the list of orders, as sellers use them, each with its line in the audit log."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgpack
import pytest

from commerce.merchant_webhooks import messages
from tests.live.api.test_orders import place, tap
from tests.live.conftest import CARD, Browser, Shop
from tests.live.test_projector import relay


async def paid_order(shop: Shop, host: Browser, buyer: Browser) -> dict[str, Any]:
    sale = await shop.open_sale(host)
    order = (await place(buyer, (await tap(shop, buyer, sale["sale_id"]))["token"])).json()
    paid = await buyer.post(
        f"/api/orders/{order['order_id']}/payments", {"method": "card", "card_number": CARD}
    )
    found: dict[str, Any] = paid.json()["order"]
    assert found["state"] == "paid"
    return found


async def log_of(shop: Shop, host: Browser, order_id: str) -> list[dict[str, Any]]:
    entries = (await host.get(f"/api/rooms/{shop.room_id}/audit")).json()["entries"]
    return [entry for entry in entries if entry["target"] == order_id]


async def test_a_refund_is_promised_once_per_key_and_gives_the_unit_back(shop: Shop) -> None:
    host, ann = await shop.staff("host"), await shop.guest()
    order = await paid_order(shop, host, ann)
    path, key = f"/api/orders/{order['order_id']}/refunds", {"Idempotency-Key": "refund-1"}
    part = {"reason": "a scratch", "amount_minor": 1000}
    first = await host.post(path, part, headers=key)
    assert (first.status_code, first.json()["refunded_minor"], first.json()["state"]) == (200, 1000, "paid")
    assert (await host.post(path, part, headers=key)).json() == first.json()
    rest = (await host.post(path, {"reason": "broken"})).json()
    assert (rest["refunded_minor"], rest["state"]) == (5000, "refunded")
    stock = (await ann.get(f"/api/sales/{order['sale_id']}")).json()["stock"]
    assert (stock["available"], stock["held"], stock["sold"]) == (2, 0, 0)
    above = await host.post(path, {"reason": "again", "amount_minor": 1})
    assert (above.status_code, above.json()["code"]) == (409, "order_state")
    log = await log_of(shop, host, order["order_id"])
    assert [(e["action"], e["before"]["refunded_minor"], e["after"]["refunded_minor"]) for e in log] == [
        ("order_refund", 1000, 5000),
        ("order_refund", 0, 1000),
    ]


async def test_sent_goods_carry_their_number_for_the_buyer(shop: Shop) -> None:
    host, ann = await shop.staff("seller"), await shop.guest()
    order = await paid_order(shop, host, ann)
    path = f"/api/orders/{order['order_id']}/fulfilment"
    sent = await host.post(path, {"carrier": "SF Express", "tracking_number": "SF123"})
    assert sent.json()["state"] == "fulfilled"
    seen = (await ann.get(f"/api/orders/{order['order_id']}")).json()
    assert (seen["carrier"], seen["tracking_number"]) == ("SF Express", "SF123")
    other = await host.post(path, {"carrier": "SF Express", "tracking_number": "SF999"})
    assert other.status_code == 409
    assert [entry["action"] for entry in await log_of(shop, host, order["order_id"])] == ["order_fulfil"]


async def test_notes_are_for_those_who_sell(shop: Shop) -> None:
    host, ann, moderator = await shop.staff("host"), await shop.guest(), await shop.staff("moderator")
    order = await paid_order(shop, host, ann)
    path = f"/api/orders/{order['order_id']}/notes"
    assert (await host.post(path, {"text": "gift promised on air"})).status_code == 201
    notes = (await host.get(path)).json()["notes"]
    assert [(note["text"], note["author_id"]) for note in notes] == [("gift promised on air", "us_host")]
    assert (await ann.get(path)).status_code == 401
    assert (await moderator.get(path)).status_code == 403
    log = await log_of(shop, host, order["order_id"])
    assert [entry["action"] for entry in log] == ["order_note"]
    assert "gift" not in str(log)


async def test_the_list_of_orders_is_a_file_and_taking_it_is_logged(shop: Shop) -> None:
    host, ann = await shop.staff("host"), await shop.guest("=cmd()")
    order = await paid_order(shop, host, ann)
    for _ in range(2):
        answer = await host.get(f"/api/rooms/{shop.room_id}/orders.csv?state=paid")
        assert answer.headers["content-type"].startswith("text/csv")
        assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["order_number"], row["total"], row["buyer_name"]) for row in rows] == [
        (order["order_number"], "50.00", "'=cmd()")
    ]
    log = (await host.get(f"/api/rooms/{shop.room_id}/audit")).json()["entries"]
    assert [entry["action"] for entry in log].count("orders_export") == 2
    assert (await host.get(f"/api/rooms/{shop.room_id}/orders.csv?state=nonsense")).status_code == 422


async def test_where_a_buyer_lives_is_shown_to_sellers_only(shop: Shop) -> None:
    host, ann = await shop.staff("host"), await shop.guest()
    order = await paid_order(shop, host, ann)
    for role, sees in (("seller", True), ("owner", True), ("moderator", False), ("analyst", False)):
        browser = await shop.staff(role)
        one = (await browser.get(f"/api/orders/{order['order_id']}")).json()
        listed = (await browser.get(f"/api/rooms/{shop.room_id}/orders")).json()["orders"][0]
        for shown in (one, listed):
            assert (shown["address"] != {}) is sees, role
            assert (shown["name"] == "Ann Li") is sees, role
    assert (await ann.get(f"/api/orders/{order['order_id']}")).json()["address"]["city"] == "Shanghai"


async def test_word_of_an_order_goes_to_its_buyer_again_once_a_minute_and_to_nobody_else(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    seller, moderator, ann = await shop.staff("seller"), await shop.staff("moderator"), await shop.guest()
    sale = await shop.open_sale(await shop.staff("host"))
    order = (await place(ann, (await tap(shop, ann, sale["sale_id"]))["token"])).json()
    path = f"/api/orders/{order['order_id']}/messages"
    assert [(await one.post(path)).status_code for one in (ann, moderator)] == [401, 403]
    sent = await seller.post(path, headers={"Flashroom-Source": "mouse"})
    assert (sent.status_code, sent.json()["again_at_ms"] - sent.json()["sent_at_ms"]) == (200, 60_000)
    early = await seller.post(path)
    assert (early.status_code, early.json()["code"]) == (429, "sent_just_now")
    assert early.json()["sent_at_ms"] == sent.json()["sent_at_ms"]
    assert 50 <= int(early.headers["Retry-After"]) <= 60

    await ann.post(f"/api/orders/{order['order_id']}/payments", {"method": "card", "card_number": CARD})
    monkeypatch.setattr("live.api.after_sales.TELL_AGAIN_AFTER_MS", 0)
    assert (await seller.post(path)).status_code == 200
    await relay(shop)
    buyer_id = order["buyer_id"]
    missed = await shop.wiring.broker.personal_after(shop.room_id, buyer_id, 0)
    told = [data for _, data in (msgpack.unpackb(packed) for _, packed in missed.messages)]
    # Each as the order stands when it is sent on: by then it was paid.
    assert [(data["state"], data.get("again")) for data in told] == [
        ("placed", None),
        ("paid", True),
        ("paid", None),
        ("paid", True),
    ]
    log = await log_of(shop, seller, order["order_id"])
    assert [(line["action"], line["after"]["state"], line["source"]) for line in log] == [
        ("order_resend", "paid", "api"),
        ("order_resend", "placed", "mouse"),
    ]
    assert messages.type_of("order_resent", {}) is None  # no merchant's system hears of it
