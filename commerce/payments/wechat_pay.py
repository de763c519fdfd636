"""WeChat Pay v3 through the wechatpayv3 library: a QR code on a desktop (Native), WeChat's page on a phone (H5).

https://pay.weixin.qq.com/doc/v3/merchant/4012791874. Requests are signed with the merchant's key, answers and notifications with WeChat
Pay's, whose public key is configured, so that no certificate has to be fetched while a message waits.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from requests import RequestException
from wechatpayv3 import WeChatPay as Library
from wechatpayv3 import WeChatPayType
from wechatpayv3.utils import aes_decrypt

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

TIMEOUT_S: Final = (5, 15)
TOLERANCE_S: Final = 300
MAX_BODY_BYTES: Final = 65_536
SHORTEST_EXPIRY_S: Final = 90
"""WeChat Pay wants at least a minute."""
_HEADERS: Final = ("Signature", "Timestamp", "Nonce", "Serial", "Signature-Type")
_OUTCOMES: Final = {
    "SUCCESS": "succeeded",
    "REFUND": "succeeded",  # paid, and something of it has gone back since
    "NOTPAY": "pending",
    "USERPAYING": "pending",
    "CLOSED": "closed",
    "REVOKED": "closed",
    "PAYERROR": "declined",
}
_REFUND_STATES: Final = {
    "SUCCESS": "succeeded",
    "PROCESSING": "pending",
    "ABNORMAL": "pending",
    "CLOSED": "failed",
}


class WeChatPay(Provider):
    """A Provider for CNY. `gateway_url` is another server for tests."""

    def __init__(
        self,
        merchant_id: str,
        app_id: str,
        private_key_pem: str,
        certificate_serial: str,
        api_v3_key: str,
        public_key_pem: str,
        public_key_id: str,
        *,
        notify_url: str,
        gateway_url: str | None = None,
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._api = Library(
            wechatpay_type=WeChatPayType.NATIVE,
            mchid=merchant_id,
            private_key=private_key_pem,
            cert_serial_no=certificate_serial,
            appid=app_id,
            apiv3_key=api_v3_key,
            notify_url=notify_url,
            public_key=public_key_pem,
            public_key_id=public_key_id,
            timeout=TIMEOUT_S,
        )
        if gateway_url is not None:
            assert hasattr(self._api._core, "_gate_way"), "wechatpayv3 keeps its address elsewhere now"
            self._api._core._gate_way = gateway_url
        self._api_v3_key = api_v3_key
        self._public_key_id = public_key_id
        self._merchant_id = merchant_id
        self._clock_ms = clock_ms

    @property
    def name(self) -> str:
        return "wechat_pay"

    def check_method(self, method: Mapping[str, Any], currency: str) -> str | None:
        """WeChat asks for everything else."""
        if currency != "CNY":
            raise Invalid("currency_not_supported", "WeChat Pay takes CNY", field="provider")
        return None

    async def create(self, payment: NewPayment) -> PaymentAnswer:
        """A QR code, or a page on a phone. The same attempt gives the same order at WeChat."""
        on_phone = payment.method.get("device") == "phone"
        expires_s = max(payment.expires_at_ms // 1000, self._clock_ms() // 1000 + SHORTEST_EXPIRY_S)
        more: dict[str, Any] = {}
        if on_phone:
            address = str(payment.method.get("address", "127.0.0.1"))
            more["scene_info"] = {"payer_client_ip": address, "h5_info": {"type": "Wap"}}
        status, answer = await self._ask(
            "pay",
            description=payment.description,
            out_trade_no=payment.attempt_id,
            amount={"total": payment.amount_minor, "currency": payment.currency},
            time_expire=datetime.fromtimestamp(expires_s, UTC).isoformat(),
            pay_type=WeChatPayType.H5 if on_phone else WeChatPayType.NATIVE,
            **more,
        )
        if status == 200 and (url := answer.get("h5_url") or answer.get("code_url")):
            kind = "redirect" if on_phone else "qr"
            return PaymentAnswer(outcome="pending", next_action={"type": kind, "url": str(url)})
        if answer.get("code") == "ORDERPAID":
            return await self.query(payment.attempt_id, None)
        return PaymentAnswer(outcome="declined", reason=_code(answer))

    async def ping(self) -> None:
        await self.query(PING, None)

    async def query(self, attempt_id: str, provider_ref: str | None) -> PaymentAnswer:
        status, answer = await self._ask("query", out_trade_no=attempt_id)
        if status == 404:
            return PaymentAnswer(outcome="not_found")
        if status != 200:
            raise _unavailable(status, answer)
        return _outcome(answer)

    async def cancel(self, attempt_id: str, provider_ref: str | None) -> PaymentAnswer:
        """Close it, or tell that it was paid. An order WeChat never heard of has no code that anybody could scan."""
        status, answer = await self._ask("close", out_trade_no=attempt_id)
        if status in (200, 204, 404):
            return PaymentAnswer(outcome="closed")
        found = await self.query(attempt_id, provider_ref)
        if found.outcome == "pending":
            raise _unavailable(status, answer)
        return found

    async def refund(self, refund: NewRefund) -> RefundAnswer:
        """The same refund id asks for the same refund, so that a repeated call is also the way to hear how it stands."""
        amount = {"refund": refund.amount_minor, "total": refund.total_minor, "currency": refund.currency}
        status, answer = await self._ask(
            "refund", out_refund_no=refund.refund_id, out_trade_no=refund.attempt_id, amount=amount
        )
        if status == 200:
            state = _REFUND_STATES.get(str(answer.get("status")), "pending")
            return RefundAnswer(state=state, provider_ref=answer.get("refund_id"))
        if status in (400, 404) and _code(answer) not in ("FREQUENCY_LIMITED", "SYSTEM_ERROR"):
            return RefundAnswer(state="failed", reason=_code(answer))
        raise _unavailable(status, answer)

    async def _ask(self, call: str, **parameters: Any) -> tuple[int, dict[str, Any]]:
        """(HTTP status, answer) with the answer's signature checked; raises Unavailable when there is none to believe."""
        try:
            status, text = await asyncio.to_thread(getattr(self._api, call), **parameters)
        except RequestException as error:
            raise Unavailable("provider_unavailable", f"WeChat Pay: {type(error).__name__}") from None
        except Exception:  # noqa: BLE001 - the library raises bare Exceptions, for a signature that does not match too
            raise Unavailable("provider_unavailable", "WeChat Pay: the answer can't be believed") from None
        if status >= 500 or status in (401, 429):
            raise _unavailable(status, {})
        try:
            answer = json.loads(text) if text else {}
        except ValueError:
            answer = {}
        return int(status), answer if isinstance(answer, dict) else {}

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, now_ms: int) -> WebhookEvent:
        if len(body) > MAX_BODY_BYTES:
            raise Invalid("bad_webhook", f"a message has at most {MAX_BODY_BYTES} bytes")
        signed = {f"Wechatpay-{name}": headers.get(f"wechatpay-{name.lower()}", "") for name in _HEADERS}
        sent_at = signed["Wechatpay-Timestamp"]
        if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) <= 12):
            raise Refused("bad_signature", "the message carries no signature")
        # Another key's id would send the library to fetch certificates, for anybody who asks.
        if signed["Wechatpay-Serial"] != self._public_key_id:
            raise Refused("bad_signature", "the message is signed with a key we do not know")
        try:
            message = self._api.callback(signed, body)
        except Exception:  # noqa: BLE001 - the library raises bare Exceptions
            message = None
        if not message:
            raise Refused("bad_signature", "the signature does not match")
        if abs(now_ms // 1000 - int(sent_at)) > TOLERANCE_S:
            raise Refused("bad_signature", "the signature is too old")
        return self.read_webhook(body)

    def read_webhook(self, body: bytes) -> WebhookEvent:
        try:
            message = json.loads(body)
            sealed = message["resource"]
            opened = aes_decrypt(
                nonce=sealed["nonce"],
                ciphertext=sealed["ciphertext"],
                associated_data=sealed.get("associated_data") or "",
                apiv3_key=self._api_v3_key,
            )
            if opened is None:
                raise Invalid("bad_webhook", "the message cannot be opened")
            payment = json.loads(opened)
            if not str(message["event_type"]).startswith("TRANSACTION."):
                raise Invalid("unknown_event_type", "this kind of message is none of ours")
            if payment["mchid"] != self._merchant_id:
                raise Invalid("bad_webhook", "the message is for another merchant")
            return WebhookEvent(
                event_id=str(message["id"]),
                type=str(message["event_type"]),
                attempt_id=str(payment["out_trade_no"]),
                answer=_outcome(payment),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise Invalid("bad_webhook", "the message cannot be read") from error


def _outcome(payment: Mapping[str, Any]) -> PaymentAnswer:
    outcome = _OUTCOMES.get(str(payment["trade_state"]), "unknown")
    captured = outcome == "succeeded"
    return PaymentAnswer(
        outcome=outcome,
        provider_ref=payment.get("transaction_id"),
        amount_minor=int(payment["amount"]["total"]) if captured else None,
        currency=str(payment["amount"]["currency"]) if captured else None,
        reason=None if captured else payment.get("trade_state_desc"),
    )


def _code(answer: Mapping[str, Any]) -> str:
    return str(answer.get("code", "refused"))[:80]


def _unavailable(status: int, answer: Mapping[str, Any]) -> Unavailable:
    return Unavailable("provider_unavailable", f"WeChat Pay answered {status} {_code(answer)}")
