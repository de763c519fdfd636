"""Buying over HTTP, end to end with a real Redis and SQL."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from commerce.clock import wall_clock_ms
from commerce.hold_desk import HoldDesk
from commerce.hot_ledger import HoldRequest, StockNumbers
from commerce.payments.provider import NewPayment, PaymentAnswer
from commerce.payments.sandbox import Sandbox
from tests.live.conftest import ADDRESS, CARD, DECLINED_CARD, Browser, Shop
from tests.services import wait_until


async def tap(shop: Shop, browser: Browser, sale_id: str, request_id: str = "request-1") -> dict[str, Any]:
    """What the hub does for a tap on Buy."""

    async def nobody_listens(_: str, __: StockNumbers) -> None:
        return None

    me = (await browser.get("/api/me")).json()
    buyer_id = (me["user"] or {}).get("user_id") or me["viewer"]["viewer_id"]
    desk = HoldDesk(shop.wiring.hot_ledger, shop.wiring.settings.key("hold token"), nobody_listens)
    decision = await desk.hold(shop.room_id, sale_id, HoldRequest(request_id, buyer_id, 1))
    await desk.aclose()
    return decision


async def place(browser: Browser, token: str) -> httpx.Response:
    return await browser.post(
        "/api/orders",
        {
            "hold_token": token,
            "name": "Ann Li",
            "address": {**ADDRESS, "contact": f"{id(browser)}@example.com"},
        },
    )


async def test_a_tap_becomes_a_paid_order_and_every_number_follows(shop: Shop) -> None:
    host, ann = await shop.staff("host"), await shop.guest()
    sale = await shop.open_sale(host)
    decision = await tap(shop, ann, sale["sale_id"])
    assert decision["decision"] == "granted"
    mine = (await ann.get(f"/api/rooms/{shop.room_id}/mine")).json()
    assert [hold["token"] for hold in mine["holds"]] == [decision["token"]]

    order = (await place(ann, decision["token"])).json()
    assert (order["state"], order["total_minor"], order["buyer_name"]) == ("placed", 5000, "Ann")
    mine = (await ann.get(f"/api/rooms/{shop.room_id}/mine")).json()
    assert mine["holds"] == []
    assert [one["order_id"] for one in mine["orders"]] == [order["order_id"]]

    path = f"/api/orders/{order['order_id']}/payments"
    declined = (await ann.post(path, {"method": "card", "card_number": DECLINED_CARD})).json()
    assert declined["payment"]["state"] == "declined"
    assert declined["order"]["state"] == "placed"
    paid = (await ann.post(path, {"method": "card", "card_number": CARD})).json()
    assert paid["payment"]["state"] == "succeeded"
    assert paid["order"]["state"] == "paid"

    stock = (await host.get(f"/api/sales/{sale['sale_id']}")).json()["stock"]
    assert (stock["quota"], stock["available"], stock["held"], stock["sold"]) == (2, 1, 0, 1)
    values = await shop.wiring.broker.values(shop.room_id)
    assert values["orders"][1] == {"placed": 1, "paid": 1}
    assert values[f"stock:{sale['sale_id']}"][1]["sold"] == 1
    stats = (await host.get(f"/api/rooms/{shop.room_id}/stats")).json()
    assert (stats["orders"]["placed"], stats["orders"]["paid"], stats["orders"]["paid_minor"]) == (1, 1, 5000)
    listed = (await host.get(f"/api/rooms/{shop.room_id}/orders?state=paid&q=Ann")).json()["orders"]
    assert [one["order_id"] for one in listed] == [order["order_id"]]


async def test_the_same_hold_placed_twice_at_once_is_one_order(shop: Shop) -> None:
    host, ann = await shop.staff("host"), await shop.guest()
    sale = await shop.open_sale(host)
    token = (await tap(shop, ann, sale["sale_id"]))["token"]
    answers = await asyncio.gather(*(place(ann, token) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["order_id"] for answer in answers}) == 1


async def test_a_hold_is_good_only_for_its_own_buyer(shop: Shop) -> None:
    host, ann, bob = await shop.staff("host"), await shop.guest("Ann"), await shop.guest("Bob")
    sale = await shop.open_sale(host)
    token = (await tap(shop, ann, sale["sale_id"]))["token"]
    answer = await place(bob, token)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_your_hold")
    order = (await place(ann, token)).json()
    foreign = await bob.get(f"/api/orders/{order['order_id']}")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "unknown_order")


async def test_forged_tokens_and_bad_cards_change_nothing(shop: Shop) -> None:
    host, ann = await shop.staff("host"), await shop.guest()
    sale = await shop.open_sale(host)
    token = (await tap(shop, ann, sale["sale_id"]))["token"]
    forged = await place(ann, token[:-4] + "AAAA")
    assert (forged.status_code, forged.json()["code"]) == (409, "bad_token")
    order = (await place(ann, token)).json()
    for number in ("4242", "4242 4242 4242 4242", "x" * 16, "4" * 30):
        answer = await ann.post(
            f"/api/orders/{order['order_id']}/payments", {"method": "card", "card_number": number}
        )
        assert answer.status_code == 422
    unchanged = (await ann.get(f"/api/orders/{order['order_id']}")).json()
    assert unchanged["state"] == "placed"


async def test_a_late_provider_is_heard_through_its_signed_webhook(shop: Shop) -> None:
    host, ann = await shop.staff("host"), await shop.guest()
    sale = await shop.open_sale(host)
    order = (await place(ann, (await tap(shop, ann, sale["sale_id"]))["token"])).json()
    answer = (
        await ann.post(
            f"/api/orders/{order['order_id']}/payments",
            {"method": "card", "card_number": "4000000000000341"},
        )
    ).json()
    assert answer["payment"]["state"] == "pending"
    provider = shop.browser()
    posted: list[int] = []

    async def post(headers: dict[str, str], body: bytes) -> int:
        sent = await provider.http.post("/api/webhooks/sandbox", content=body, headers=headers)
        posted.append(sent.status_code)
        return sent.status_code

    async def paid() -> bool:
        await shop.wiring.sandbox.deliver_due(post, 10)
        await shop.wiring.cashier.process_inbox()
        return bool((await ann.get(f"/api/orders/{order['order_id']}")).json()["state"] == "paid")

    await wait_until(paid, timeout_s=20, what="the late payment arrived")
    assert posted
    assert set(posted) == {204}


async def test_a_webhook_with_a_wrong_signature_is_refused(shop: Shop) -> None:
    provider = shop.browser()
    answer = await provider.http.post(
        "/api/webhooks/sandbox", content=b"{}", headers={"sandbox-signature": "t=1,v1=00"}
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_signature")
    unknown = await provider.http.post("/api/webhooks/nobody", content=b"{}")
    assert unknown.status_code == 404


async def test_a_cancelled_order_gives_its_unit_back(shop: Shop) -> None:
    host, ann = await shop.staff("host"), await shop.guest()
    sale = await shop.open_sale(host)
    order = (await place(ann, (await tap(shop, ann, sale["sale_id"]))["token"])).json()
    cancelled = await ann.post(f"/api/orders/{order['order_id']}/cancel")
    assert cancelled.json()["state"] == "cancelled"
    stock = (await ann.get(f"/api/sales/{sale['sale_id']}")).json()["stock"]
    assert (stock["available"], stock["held"], stock["sold"]) == (2, 0, 0)


async def test_a_new_nickname_keeps_holds_and_orders(shop: Shop) -> None:
    host, ann = await shop.staff("host"), await shop.guest()
    sale = await shop.open_sale(host)
    await tap(shop, ann, sale["sale_id"])
    await ann.post("/api/guests", {"nickname": "Annie"})
    mine = (await ann.get(f"/api/rooms/{shop.room_id}/mine")).json()
    assert len(mine["holds"]) == 1


async def test_a_buyer_who_comes_back_finds_the_code_to_scan(shop: Shop) -> None:
    class Elsewhere(Sandbox):
        """A provider that is paid on the buyer's phone."""

        async def create(self, payment: NewPayment) -> PaymentAnswer:
            return PaymentAnswer(outcome="pending", next_action={"type": "qr", "url": "weixin://wxpay/1"})

    wiring = shop.wiring
    wiring.cashier.providers["sandbox"] = Elsewhere(wiring.database, b"k" * 32, wall_clock_ms)
    sale = await shop.open_sale(await shop.staff("host"))
    ann = await shop.guest("Ann")
    order = (await place(ann, (await tap(shop, ann, sale["sale_id"]))["token"])).json()
    page = {"method": "page", "device": "desktop", "card_number": CARD}
    paid = (await ann.post(f"/api/orders/{order['order_id']}/payments", page)).json()["payment"]
    assert (paid["state"], paid["next_action"]["url"]) == ("pending", "weixin://wxpay/1")
    assert paid["next_action"]["picture"].startswith("data:image/svg+xml")
    assert (await ann.get(f"/api/orders/{order['order_id']}")).json()["payment"] == paid
    host = await shop.staff("host")
    assert (await host.get(f"/api/orders/{order['order_id']}")).json()["payment"] is None
    providers = (await shop.browser().get("/api/payment-providers")).json()["providers"]
    assert providers == [{"name": "sandbox", "method": "card", "currencies": None}]


async def test_orders_are_found_by_how_their_payment_stands(shop: Shop) -> None:
    host = await shop.staff("host")
    sale = await shop.open_sale(host, quota=5)
    numbers: dict[str, str] = {}
    buyers: dict[str, Browser] = {}
    for name in ("paid", "declined", "retried", "waiting", "untried"):
        buyers[name] = await shop.guest(name)
        decision = await tap(shop, buyers[name], sale["sale_id"], f"request-{name}")
        numbers[name] = (await place(buyers[name], decision["token"])).json()["order_id"]
    late = "4000000000000341"
    for name, card in (
        ("paid", CARD),
        ("declined", DECLINED_CARD),
        ("retried", DECLINED_CARD),
        ("retried", CARD),
        ("waiting", late),
    ):
        path = f"/api/orders/{numbers[name]}/payments"
        await buyers[name].post(path, {"method": "card", "card_number": card})

    async def found(state: str) -> set[str]:
        answer = await host.get(f"/api/rooms/{shop.room_id}/orders?state={state}")
        by_id = {order_id: name for name, order_id in numbers.items()}
        return {by_id[order["order_id"]] for order in answer.json()["orders"]}

    assert await found("failed") == {"declined"}
    assert await found("paying") == {"waiting"}
    assert await found("unpaid") == {"declined", "waiting", "untried"}
    await buyers["declined"].post(f"/api/orders/{numbers['declined']}/cancel")
    assert await found("failed") == {"declined"}, "also when it was let go"
    assert (await host.get(f"/api/rooms/{shop.room_id}/orders?state=nonsense")).status_code == 422
