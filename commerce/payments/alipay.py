"""Alipay through python-alipay-sdk: the buyer pays on Alipay's page or in its app, and we hear of it by notification or by asking.

https://opendocs.alipay.com/open/270/105898 (page and phone pay), alipay.trade.query, .close, .refund. Requests and answers are signed
with RSA2. A trade exists at Alipay only once the buyer has opened the page, so "does not exist" means that nobody has paid.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import parse_qsl

from alipay import AliPay
from alipay.exceptions import AliPayException, AliPayValidationError
from alipay.utils import AliPayConfig

from commerce.clock import wall_clock_ms
from commerce.errors import Invalid, Refused, Unavailable
from commerce.payments.provider import (
    PING,
    NewPayment,
    NewRefund,
    PaymentAnswer,
    Provider,
    RefundAnswer,
    WebhookEvent,
)

TIMEOUT_S: Final = 15
MAX_BODY_BYTES: Final = 65_536
BEIJING: Final = timezone(timedelta(hours=8))
OK: Final = "10000"
NOT_THERE: Final = "ACQ.TRADE_NOT_EXIST"
ASK_AGAIN: Final = frozenset({"ACQ.SYSTEM_ERROR", "aop.ACQ.SYSTEM_ERROR", "isp.unknow-error"})
_OUTCOMES: Final = {
    "WAIT_BUYER_PAY": "pending",
    "TRADE_SUCCESS": "succeeded",
    "TRADE_FINISHED": "succeeded",
    "TRADE_CLOSED": "closed",
}


class Alipay(Provider):
    """A Provider for CNY. `gateway_url` is another server for tests."""

    def __init__(
        self,
        app_id: str,
        private_key_pem: str,
        alipay_public_key_pem: str,
        *,
        notify_url: str,
        return_url: str,
        gateway_url: str | None = None,
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._api = AliPay(
            appid=app_id,
            app_notify_url=notify_url,
            app_private_key_string=private_key_pem,
            alipay_public_key_string=alipay_public_key_pem,
            sign_type="RSA2",
            config=AliPayConfig(timeout=TIMEOUT_S),
        )
        if gateway_url is not None:
            assert hasattr(self._api, "_gateway"), "python-alipay-sdk keeps its address elsewhere now"
            self._api._gateway = gateway_url
        self._app_id = app_id
        self._clock_ms = clock_ms
        self._return_url = return_url

    @property
    def name(self) -> str:
        return "alipay"

    @property
    def webhook_reply(self) -> str | None:
        return "success"

    def check_method(self, method: Mapping[str, Any], currency: str) -> str | None:
        """Alipay's own page asks for everything else."""
        if currency != "CNY":
            raise Invalid("currency_not_supported", "Alipay takes CNY", field="provider")
        return None

    async def create(self, payment: NewPayment) -> PaymentAnswer:
        """A signed address to send the buyer to. Nothing is sent to Alipay, so this can't fail half way."""
        on_phone = payment.method.get("device") == "phone"
        expires = datetime.fromtimestamp(payment.expires_at_ms / 1000, BEIJING)
        query = self._api.client_api(
            "alipay.trade.wap.pay" if on_phone else "alipay.trade.page.pay",
            {
                "subject": payment.description,
                "out_trade_no": payment.attempt_id,
                "total_amount": yuan(payment.amount_minor),
                "product_code": "QUICK_WAP_WAY" if on_phone else "FAST_INSTANT_TRADE_PAY",
                "time_expire": expires.strftime("%Y-%m-%d %H:%M:%S"),
            },
            return_url=self._return_url,
            timestamp=_timestamp(self._clock_ms()),
        )
        url = f"{self._api._gateway}?{query}"
        return PaymentAnswer(outcome="pending", next_action={"type": "redirect", "url": url})

    async def ping(self) -> None:
        await self.query(PING, None)

    async def query(self, attempt_id: str, provider_ref: str | None) -> PaymentAnswer:
        answer = await self._ask("alipay.trade.query", {"out_trade_no": attempt_id})
        if answer.get("code") != OK:
            if answer.get("sub_code") == NOT_THERE:
                return PaymentAnswer(outcome="pending")  # the buyer has not opened the page yet
            raise _unavailable(answer)
        return _outcome(answer)

    async def cancel(self, attempt_id: str, provider_ref: str | None) -> PaymentAnswer:
        answer = await self._ask("alipay.trade.close", {"out_trade_no": attempt_id})
        if answer.get("code") == OK or answer.get("sub_code") == NOT_THERE:
            # Without a trade there is nothing to close, and the page's own `time_expire` has passed.
            return PaymentAnswer(outcome="closed")
        if answer.get("sub_code") in ASK_AGAIN:
            raise _unavailable(answer)
        found = await self.query(attempt_id, provider_ref)  # paid, most likely
        if found.outcome == "pending":
            raise _unavailable(answer)
        return found

    async def refund(self, refund: NewRefund) -> RefundAnswer:
        answer = await self._ask(
            "alipay.trade.refund",
            {
                "out_trade_no": refund.attempt_id,
                "refund_amount": yuan(refund.amount_minor),
                "out_request_no": refund.refund_id,
            },
        )
        if answer.get("code") != OK:
            if answer.get("sub_code") in ASK_AGAIN:
                raise _unavailable(answer)
            return RefundAnswer(state="failed", reason=str(answer.get("sub_code"))[:80])
        if answer.get("fund_change") == "Y":
            return RefundAnswer(state="succeeded", provider_ref=refund.refund_id)
        asked = {"out_trade_no": refund.attempt_id, "out_request_no": refund.refund_id}
        known = await self._ask("alipay.trade.fastpay.refund.query", asked)
        done = known.get("code") == OK and known.get("refund_status") == "REFUND_SUCCESS"
        return RefundAnswer(state="succeeded" if done else "pending", provider_ref=refund.refund_id)

    async def _ask(self, method: str, content: dict[str, str]) -> dict[str, Any]:
        """Alipay's answer, its signature checked; raises Unavailable when there is none to believe."""
        try:
            answer = await asyncio.to_thread(
                self._api.server_api, method, content, timestamp=_timestamp(self._clock_ms())
            )
        except (OSError, HTTPException, ValueError, AliPayException, AliPayValidationError) as error:
            raise Unavailable("provider_unavailable", f"Alipay: {type(error).__name__}") from None
        return dict(answer)

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> WebhookEvent:
        fields = _fields(body)
        signature = fields.pop("sign", "")
        try:
            good = self._api.verify(dict(fields), signature)
        except (AliPayException, ValueError):
            good = False
        if not good or fields.get("app_id") != self._app_id:
            raise Refused("bad_signature", "the signature does not match")
        return self.read_webhook(body)

    def read_webhook(self, body: bytes) -> WebhookEvent:
        fields = _fields(body)
        try:
            return WebhookEvent(
                event_id=fields["notify_id"],
                type=fields.get("notify_type", "trade_status_sync"),
                attempt_id=fields["out_trade_no"],
                answer=_outcome(fields),
            )
        except KeyError as error:
            raise Invalid("bad_webhook", "the message cannot be read") from error


def yuan(amount_minor: int) -> str:
    """`1234` as `"12.34"`."""
    return f"{amount_minor // 100}.{amount_minor % 100:02d}"


def minor(amount: str) -> int:
    """`"12.34"` as `1234`; raises Invalid("bad_amount") for anything that is not whole cents."""
    try:
        cents = Decimal(amount) * 100
    except InvalidOperation:
        raise Invalid("bad_amount", "this is not an amount") from None
    if cents != cents.to_integral_value():
        raise Invalid("bad_amount", "this is not an amount in whole cents")
    return int(cents)


def _outcome(answer: Mapping[str, Any]) -> PaymentAnswer:
    outcome = _OUTCOMES.get(str(answer["trade_status"]), "unknown")
    captured = outcome == "succeeded"
    return PaymentAnswer(
        outcome=outcome,
        provider_ref=answer.get("trade_no"),
        amount_minor=minor(str(answer["total_amount"])) if captured else None,
        currency="CNY" if captured else None,
    )


def _timestamp(now_ms: int) -> str:
    """Alipay's clock is Beijing's; the library would send this machine's."""
    return datetime.fromtimestamp(now_ms / 1000, BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def _unavailable(answer: Mapping[str, Any]) -> Unavailable:
    code = answer.get("sub_code") or answer.get("code")
    return Unavailable("provider_unavailable", f"Alipay answered {code}")


def _fields(body: bytes) -> dict[str, str]:
    if len(body) > MAX_BODY_BYTES:
        raise Invalid("bad_webhook", f"a message has at most {MAX_BODY_BYTES} bytes")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))
    except ValueError as error:
        raise Invalid("bad_webhook", "the message cannot be read") from error
