"""The payment providers of this installation, by the settings."""

from __future__ import annotations

from commerce.payments.alipay import Alipay
from commerce.payments.provider import Provider
from commerce.payments.sandbox import Sandbox
from commerce.payments.stripe import Stripe
from commerce.payments.wechat_pay import WeChatPay
from live.processes import CannotStart
from live.settings import Settings


def build(settings: Settings, sandbox: Sandbox) -> dict[str, Provider]:
    """Those that are set up, by name, the real ones first. Raises CannotStart for keys that can't be used."""
    found: dict[str, Provider] = {}
    payments = settings.payments
    notify_url = f"{settings.web_url}/api/webhooks"
    try:
        if payments.stripe is not None:
            secret_key, webhook_secret = payments.stripe
            found["stripe"] = Stripe(
                secret_key, webhook_secret, settings.web_url, api_url=payments.stripe_api_url
            )
        if payments.alipay is not None:
            found["alipay"] = Alipay(
                *payments.alipay,
                notify_url=f"{notify_url}/alipay",
                return_url=settings.web_url,
                gateway_url=payments.alipay_gateway_url,
            )
        if payments.wechat_pay is not None:
            found["wechat_pay"] = WeChatPay(
                *payments.wechat_pay,
                notify_url=f"{notify_url}/wechat_pay",
                gateway_url=payments.wechat_gateway_url,
            )
    except Exception as error:  # noqa: BLE001 - their libraries raise bare Exceptions for a key that is none
        raise CannotStart(
            f"A payment provider's key can't be used ({type(error).__name__}): check the files that FLASHROOM_ALIPAY_* and "
            "FLASHROOM_WECHAT_* name."
        ) from None
    if settings.sandbox_payments:
        found["sandbox"] = sandbox
    return found
