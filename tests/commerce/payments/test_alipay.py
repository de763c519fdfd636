"""Alipay by its library against a server of ours, with keys of our own: what we send is signed, what we believe is signed."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from commerce.errors import Invalid, Refused, Unavailable
from commerce.payments.alipay import Alipay, minor, yuan
from commerce.payments.provider import NewPayment, NewRefund
from tests.commerce.payments.provider_server import Answer, Asked, KeyPair, ProviderServer
from tests.commerce.world import World

OURS, THEIRS, STRANGERS = KeyPair.make(), KeyPair.make(), KeyPair.make()
NOW_MS = time.time_ns() // 1_000_000
PAYMENT = NewPayment(
    attempt_id="pa_1",
    order_id="or_1",
    amount_minor=9_905,
    currency="CNY",
    method={"device": "phone"},
    expires_at_ms=1_795_600_000_000,
)
REFUND = NewRefund(
    refund_id="rf_1",
    attempt_id="pa_1",
    provider_ref=None,
    amount_minor=500,
    total_minor=9_905,
    currency="CNY",
)


@pytest.fixture
def provider(server: ProviderServer) -> Alipay:
    return Alipay(
        "2021000000000000",
        OURS.private_pem,
        THEIRS.public_pem,
        notify_url="https://shop.example/api/webhooks/alipay",
        return_url="https://shop.example",
        gateway_url=f"{server.url}/gateway.do",
    )


def says(signer: KeyPair = THEIRS, **content: Any) -> Any:
    """An answer as Alipay signs it: the signature is over the content's own text."""

    def answer(asked: Asked) -> Answer:
        text = json.dumps(content, ensure_ascii=False)
        signature = base64.b64encode(signer.sign(text.encode())).decode()
        name = asked.query["method"].replace(".", "_") + "_response"
        return 200, {}, f'{{"{name}":{text},"sign":"{signature}"}}'.encode()

    return answer


def check_signature(fields: dict[str, str]) -> None:
    unsigned = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name != "sign")
    OURS.verify(unsigned.encode(), base64.b64decode(fields["sign"]))


async def test_the_buyer_is_sent_to_a_signed_address_that_ends_with_the_hold(provider: Alipay) -> None:
    answer = await provider.create(PAYMENT)
    assert answer.outcome == "pending"
    assert answer.next_action is not None
    fields = dict(parse_qsl(urlsplit(answer.next_action["url"]).query))
    check_signature(fields)
    assert (fields["method"], fields["notify_url"]) == (
        "alipay.trade.wap.pay",
        "https://shop.example/api/webhooks/alipay",
    )
    content = json.loads(fields["biz_content"])
    assert (content["out_trade_no"], content["total_amount"]) == ("pa_1", "99.05")
    assert content["time_expire"] == "2026-11-25 17:46:40"  # Beijing's time
    desktop = await provider.create(replace(PAYMENT, method={}))
    assert desktop.next_action is not None
    assert "alipay.trade.page.pay" in desktop.next_action["url"]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("WAIT_BUYER_PAY", "pending"),
        ("TRADE_SUCCESS", "succeeded"),
        ("TRADE_FINISHED", "succeeded"),
        ("TRADE_CLOSED", "closed"),
    ],
)
async def test_asking(server: ProviderServer, provider: Alipay, status: str, outcome: str) -> None:
    server.answer = says(code="10000", trade_status=status, total_amount="99.05", trade_no="2026")
    answer = await provider.query("pa_1", None)
    assert (answer.outcome, answer.provider_ref) == (outcome, "2026")
    assert answer.amount_minor == (9_905 if outcome == "succeeded" else None)
    check_signature(server.asked[0].query)


async def test_what_is_not_signed_by_alipay_is_not_believed(server: ProviderServer, provider: Alipay) -> None:
    server.answer = says(STRANGERS, code="10000", trade_status="TRADE_SUCCESS", total_amount="99.05")
    with pytest.raises(Unavailable):
        await provider.query("pa_1", None)
    server.answer = lambda asked: (200, {}, b"<html>busy</html>")
    with pytest.raises(Unavailable):
        await provider.query("pa_1", None)
    server.answer = lambda asked: (0, {}, b"")
    with pytest.raises(Unavailable):
        await provider.query("pa_1", None)


async def test_a_ping_is_answered_or_tells_that_nobody_takes_our_key(
    server: ProviderServer, provider: Alipay
) -> None:
    server.answer = says(code="40004", sub_code="ACQ.TRADE_NOT_EXIST")
    await provider.ping()
    server.answer = says(code="40002", sub_code="isv.invalid-signature")
    with pytest.raises(Unavailable):
        await provider.ping()


async def test_a_trade_that_does_not_exist_is_one_nobody_has_opened(
    server: ProviderServer, provider: Alipay
) -> None:
    server.answer = says(code="40004", sub_code="ACQ.TRADE_NOT_EXIST")
    assert (await provider.query("pa_1", None)).outcome == "pending"
    assert (await provider.cancel("pa_1", None)).outcome == "closed"


async def test_closing_a_paid_trade_tells_that_it_was_paid(server: ProviderServer, provider: Alipay) -> None:
    close = says(code="40004", sub_code="ACQ.REASON_TRADE_STATUS_INVALID")
    query = says(code="10000", trade_status="TRADE_SUCCESS", total_amount="99.05", trade_no="2026")
    server.answer = lambda asked: (close if asked.query["method"] == "alipay.trade.close" else query)(asked)
    assert (await provider.cancel("pa_1", None)).outcome == "succeeded"
    server.answer = says(code="40004", sub_code="ACQ.SYSTEM_ERROR")
    with pytest.raises(Unavailable):
        await provider.cancel("pa_1", None)


async def test_a_refund_is_done_once_and_a_repeat_asks_how_it_stands(
    server: ProviderServer, provider: Alipay
) -> None:
    server.answer = says(code="10000", fund_change="Y")
    assert (await provider.refund(REFUND)).state == "succeeded"
    content = json.loads(server.asked[-1].query["biz_content"])
    assert content == {"out_trade_no": "pa_1", "refund_amount": "5.00", "out_request_no": "rf_1"}
    repeat = says(code="10000", fund_change="N")
    known = says(code="10000", refund_status="REFUND_SUCCESS")
    server.answer = lambda asked: (repeat if asked.query["method"].endswith("trade.refund") else known)(asked)
    assert (await provider.refund(REFUND)).state == "succeeded"
    server.answer = says(code="40004", sub_code="ACQ.SELLER_BALANCE_NOT_ENOUGH")
    failed = await provider.refund(REFUND)
    assert (failed.state, failed.reason) == ("failed", "ACQ.SELLER_BALANCE_NOT_ENOUGH")
    server.answer = says(code="40004", sub_code="ACQ.SYSTEM_ERROR")
    with pytest.raises(Unavailable):
        await provider.refund(REFUND)


def notification(signer: KeyPair = THEIRS, **changes: str) -> bytes:
    fields = {
        "notify_id": "n1",
        "notify_type": "trade_status_sync",
        "app_id": "2021000000000000",
        "out_trade_no": "pa_1",
        "trade_no": "2026",
        "trade_status": "TRADE_SUCCESS",
        "total_amount": "99.05",
    } | changes
    unsigned = "&".join(f"{name}={fields[name]}" for name in sorted(fields))
    signature = base64.b64encode(signer.sign(unsigned.encode())).decode()
    return urlencode(fields | {"sign": signature, "sign_type": "RSA2"}).encode()


def test_a_signed_notification_tells_of_an_attempt(provider: Alipay) -> None:
    event = provider.verify_webhook({}, notification(), NOW_MS)
    assert (event.event_id, event.attempt_id, event.answer.outcome, event.answer.amount_minor) == (
        "n1",
        "pa_1",
        "succeeded",
        9_905,
    )
    assert provider.webhook_reply == "success"


@pytest.mark.parametrize(
    "body",
    [
        notification(STRANGERS),
        notification().replace(b"99.05", b"0.01"),
        notification(app_id="2021000000000001"),
        b"out_trade_no=pa_1&trade_status=TRADE_SUCCESS",
        notification().replace(b"RSA2", b"RSA"),
        b"",
    ],
)
def test_a_forged_notification_is_refused(provider: Alipay, body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        provider.verify_webhook({}, body, NOW_MS)
    assert refused.value.code == "bad_signature"


def test_amounts_are_whole_cents_or_refused(provider: Alipay) -> None:
    assert [yuan(minor(text)) for text in ("0.01", "99.05", "1234567.80")] == ["0.01", "99.05", "1234567.80"]
    for wrong in ("0.001", "x", "", "NaN"):
        with pytest.raises(Invalid):
            minor(wrong)
    with pytest.raises(Invalid):
        provider.check_method({}, "EUR")


async def test_an_order_is_paid_through_alipay_and_a_wrong_amount_waits_for_a_person(
    world: World, provider: Alipay
) -> None:
    world.cashier.providers["alipay"] = provider
    sale = await world.open_sale(quota=3, limit_per_buyer=3)
    first, second = [await world.placed_order(sale) for _ in range(2)]
    attempts = [
        (await world.cashier.pay(order.order_id, order.buyer_id, "alipay", {}, "key-1"))[1]
        for order in (first, second)
    ]
    good = notification(out_trade_no=attempts[0].attempt_id, total_amount="99.00")
    wrong = notification(notify_id="n2", out_trade_no=attempts[1].attempt_id, total_amount="0.01")
    for body in (good, wrong):
        assert await world.cashier.receive_webhook("alipay", {}, body)
    assert await world.cashier.process_inbox() == 2
    assert [(await world.order(order.order_id)).state for order in (first, second)] == ["paid", "placed"]
    await world.assert_sound(but=("nothing_is_quarantined",))
