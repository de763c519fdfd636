"""WeChat Pay v3 by its library against a server of ours, with keys of our own: answers and messages count only when WeChat signed them."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from commerce.errors import Invalid, Refused, Unavailable
from commerce.payments.provider import NewPayment, NewRefund
from commerce.payments.wechat_pay import WeChatPay
from tests.commerce.payments.provider_server import Answer, Asked, KeyPair, ProviderServer
from tests.commerce.world import World

OURS, THEIRS, STRANGERS = KeyPair.make(), KeyPair.make(), KeyPair.make()
API_KEY = "0123456789abcdef0123456789abcdef"
KEY_ID = "PUB_KEY_ID_0114232134912410000000000000"
NOW_MS = time.time_ns() // 1_000_000
PAYMENT = NewPayment(
    attempt_id="pa_1",
    order_id="or_1",
    amount_minor=9_900,
    currency="CNY",
    method={},
    expires_at_ms=NOW_MS + 600_000,
)
REFUND = NewRefund(
    refund_id="rf_1",
    attempt_id="pa_1",
    provider_ref=None,
    amount_minor=500,
    total_minor=9_900,
    currency="CNY",
)
PAID: dict[str, Any] = {
    "mchid": "1900000001",
    "out_trade_no": "pa_1",
    "transaction_id": "4200001",
    "trade_state": "SUCCESS",
    "amount": {"total": 9_900, "currency": "CNY"},
}


@pytest.fixture
def provider(server: ProviderServer) -> WeChatPay:
    return WeChatPay(
        "1900000001",
        "wx0000000000000001",
        OURS.private_pem,
        "444F4864EA9B34415000000000000000000000AA",
        API_KEY,
        THEIRS.public_pem,
        KEY_ID,
        notify_url="https://shop.example/api/webhooks/wechat_pay",
        gateway_url=server.url,
    )


def signature(body: bytes, signer: KeyPair = THEIRS, at_s: int = NOW_MS // 1000) -> dict[str, str]:
    text = f"{at_s}\nnonce\n".encode() + body + b"\n"
    return {
        "Wechatpay-Signature": base64.b64encode(signer.sign(text)).decode(),
        "Wechatpay-Timestamp": str(at_s),
        "Wechatpay-Nonce": "nonce",
        "Wechatpay-Serial": KEY_ID,
        "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
    }


def says(status: int, body: dict[str, Any] | None = None, signer: KeyPair = THEIRS) -> Any:
    def answer(asked: Asked) -> Answer:
        text = b"" if body is None else json.dumps(body).encode()
        return status, {"Content-Type": "application/json", **signature(text, signer)}, text

    return answer


async def test_a_desktop_gets_a_code_to_scan_and_a_phone_a_page(
    server: ProviderServer, provider: WeChatPay
) -> None:
    server.answer = says(200, {"code_url": "weixin://wxpay/bizpayurl?pr=1"})
    answer = await provider.create(PAYMENT)
    assert answer.next_action == {"type": "qr", "url": "weixin://wxpay/bizpayurl?pr=1"}
    asked = server.asked[0]
    assert asked.path == "/v3/pay/transactions/native"
    assert (asked.json["out_trade_no"], asked.json["amount"]) == ("pa_1", {"total": 9_900, "currency": "CNY"})
    fields = dict(part.split("=", 1) for part in asked.headers["authorization"].split(" ", 1)[1].split(","))
    signed = f"POST\n{asked.path}\n{fields['timestamp'][1:-1]}\n{fields['nonce_str'][1:-1]}\n".encode()
    OURS.verify(signed + asked.body + b"\n", base64.b64decode(fields["signature"][1:-1]))
    server.answer = says(200, {"h5_url": "https://wx.tenpay.com/pay"})
    phone = await provider.create(replace(PAYMENT, method={"device": "phone", "address": "203.0.113.9"}))
    assert phone.next_action == {"type": "redirect", "url": "https://wx.tenpay.com/pay"}
    assert server.asked[1].json["scene_info"]["payer_client_ip"] == "203.0.113.9"


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ("SUCCESS", "succeeded"),
        ("REFUND", "succeeded"),
        ("NOTPAY", "pending"),
        ("USERPAYING", "pending"),
        ("CLOSED", "closed"),
        ("PAYERROR", "declined"),
    ],
)
async def test_asking(server: ProviderServer, provider: WeChatPay, state: str, outcome: str) -> None:
    server.answer = says(200, PAID | {"trade_state": state})
    answer = await provider.query("pa_1", None)
    assert (answer.outcome, answer.amount_minor) == (outcome, 9_900 if outcome == "succeeded" else None)
    server.answer = says(404, {"code": "ORDER_NOT_EXIST"})
    assert (await provider.query("pa_1", None)).outcome == "not_found"


async def test_what_is_not_signed_by_wechat_is_not_believed(
    server: ProviderServer, provider: WeChatPay
) -> None:
    for answer in (says(200, PAID, STRANGERS), says(500), says(429), lambda asked: (0, {}, b"")):
        server.answer = answer
        with pytest.raises(Unavailable):
            await provider.query("pa_1", None)


async def test_a_ping_is_answered_or_tells_that_nobody_takes_our_key(
    server: ProviderServer, provider: WeChatPay
) -> None:
    server.answer = says(404, {"code": "ORDER_NOT_EXIST"})
    await provider.ping()
    server.answer = says(401, {"code": "SIGN_ERROR"})
    with pytest.raises(Unavailable):
        await provider.ping()


async def test_closing(server: ProviderServer, provider: WeChatPay) -> None:
    server.answer = says(204)
    assert (await provider.cancel("pa_1", None)).outcome == "closed"
    assert server.asked[0].path == "/v3/pay/transactions/out-trade-no/pa_1/close"
    close, query = says(400, {"code": "ORDERPAID"}), says(200, PAID)
    server.answer = lambda asked: (close if asked.path.endswith("/close") else query)(asked)
    assert (await provider.cancel("pa_1", None)).outcome == "succeeded"


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (says(200, {"status": "SUCCESS", "refund_id": "50"}), "succeeded"),
        (says(200, {"status": "PROCESSING", "refund_id": "50"}), "pending"),
        (says(200, {"status": "CLOSED", "refund_id": "50"}), "failed"),
        (says(400, {"code": "NOT_ENOUGH"}), "failed"),
    ],
)
async def test_refunds(server: ProviderServer, provider: WeChatPay, answer: Any, state: str) -> None:
    server.answer = answer
    assert (await provider.refund(REFUND)).state == state
    asked = server.asked[0].json
    assert (asked["out_refund_no"], asked["amount"]) == (
        "rf_1",
        {"refund": 500, "total": 9_900, "currency": "CNY"},
    )


def message(key: str = API_KEY, event_type: str = "TRANSACTION.SUCCESS", **changes: Any) -> bytes:
    sealed = AESGCM(key.encode()).encrypt(
        b"nonce1234567", json.dumps(PAID | changes).encode(), b"transaction"
    )
    resource = {
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": base64.b64encode(sealed).decode(),
        "nonce": "nonce1234567",
        "associated_data": "transaction",
    }
    return json.dumps(
        {"id": "ev1", "event_type": event_type, "resource_type": "encrypt-resource", "resource": resource}
    ).encode()


def headers(body: bytes, **changes: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in signature(body, **changes).items()}


def test_a_signed_message_is_opened_and_read_again_later(provider: WeChatPay) -> None:
    body = message()
    for event in (provider.verify_webhook(headers(body), body, NOW_MS), provider.read_webhook(body)):
        assert (event.event_id, event.attempt_id, event.answer.outcome, event.answer.amount_minor) == (
            "ev1",
            "pa_1",
            "succeeded",
            9_900,
        )


def test_a_message_that_is_forged_old_or_anothers_is_refused(
    server: ProviderServer, provider: WeChatPay
) -> None:
    body = message()
    old = headers(body, at_s=NOW_MS // 1000 - 301)
    foreign = headers(body) | {"wechatpay-serial": "5F0000"}
    for wrong in ({}, headers(body, signer=STRANGERS), headers(body + b" "), old, foreign):
        with pytest.raises(Refused) as refused:
            provider.verify_webhook(wrong, body, NOW_MS)
        assert refused.value.code == "bad_signature"
    assert not server.asked  # nobody outside can make us ask WeChat for certificates
    for strange in (
        message("x" * 32),
        message(mchid="1"),
        message(event_type="REFUND.SUCCESS"),
        b"{}",
        b"\xff",
    ):
        with pytest.raises(Invalid):
            provider.read_webhook(strange)


async def test_an_order_is_paid_through_wechat(
    world: World, server: ProviderServer, provider: WeChatPay
) -> None:
    world.cashier.providers["wechat_pay"] = provider
    order = await world.placed_order(await world.open_sale())
    server.answer = says(200, {"code_url": "weixin://wxpay/bizpayurl?pr=1"})
    _, attempt = await world.cashier.pay(order.order_id, order.buyer_id, "wechat_pay", {}, "key-1")
    assert attempt.next_action == {"type": "qr", "url": "weixin://wxpay/bizpayurl?pr=1"}
    body = message(out_trade_no=attempt.attempt_id)
    assert await world.cashier.receive_webhook("wechat_pay", headers(body, at_s=world.clock() // 1000), body)
    assert await world.cashier.process_inbox() == 1
    assert (await world.order(order.order_id)).state == "paid"
    await world.assert_sound()
