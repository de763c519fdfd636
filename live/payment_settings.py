"""Who can be paid: each provider's settings, all of them or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

STRIPE: Final = ("FLASHROOM_STRIPE_SECRET_KEY", "FLASHROOM_STRIPE_WEBHOOK_SECRET")
ALIPAY: Final = (
    "FLASHROOM_ALIPAY_APP_ID",
    "FLASHROOM_ALIPAY_PRIVATE_KEY_FILE",
    "FLASHROOM_ALIPAY_PUBLIC_KEY_FILE",
)
WECHAT_PAY: Final = (
    "FLASHROOM_WECHAT_MERCHANT_ID",
    "FLASHROOM_WECHAT_APP_ID",
    "FLASHROOM_WECHAT_PRIVATE_KEY_FILE",
    "FLASHROOM_WECHAT_CERTIFICATE_SERIAL",
    "FLASHROOM_WECHAT_API_V3_KEY",
    "FLASHROOM_WECHAT_PUBLIC_KEY_FILE",
    "FLASHROOM_WECHAT_PUBLIC_KEY_ID",
)
ADDRESSES: Final = (
    "FLASHROOM_STRIPE_API_URL",
    "FLASHROOM_ALIPAY_GATEWAY_URL",
    "FLASHROOM_WECHAT_GATEWAY_URL",
)
"""Other servers than the real ones: a provider's own test gateway, or a test."""
MAX_KEY_FILE_BYTES: Final = 20_000


@dataclass(frozen=True, slots=True)
class PaymentSettings:
    """Each tuple holds the values in the order of the names above, files read; None where a provider is not set up."""

    stripe: tuple[str, ...] | None = field(default=None, repr=False)
    alipay: tuple[str, ...] | None = field(default=None, repr=False)
    wechat_pay: tuple[str, ...] | None = field(default=None, repr=False)
    stripe_api_url: str | None = None
    alipay_gateway_url: str | None = None
    wechat_gateway_url: str | None = None


def read(environment: Mapping[str, str], mistakes: list[str]) -> PaymentSettings:
    """Adds one line to `mistakes` for each thing to change; no value is ever repeated in one."""
    addresses = [environment.get(name, "").strip().rstrip("/") or None for name in ADDRESSES]
    for name, address in zip(ADDRESSES, addresses, strict=True):
        if address is not None and not address.startswith(("https://", "http://127.0.0.1")):
            mistakes.append(f"{name} must start with https://.")
    return PaymentSettings(
        _values("Stripe", STRIPE, environment, mistakes),
        _values("Alipay", ALIPAY, environment, mistakes),
        _values("WeChat Pay", WECHAT_PAY, environment, mistakes),
        *addresses,
    )


def _values(
    provider: str, names: tuple[str, ...], environment: Mapping[str, str], mistakes: list[str]
) -> tuple[str, ...] | None:
    given = {name: environment.get(name, "").strip() for name in names}
    if not any(given.values()):
        return None
    missing = [name for name, value in given.items() if not value]
    if missing:
        mistakes.append(f"{', '.join(missing)}: missing; {provider} needs all of {', '.join(names)}.")
        return None
    found = tuple(
        _text(name, value, mistakes) if name.endswith("_FILE") else value for name, value in given.items()
    )
    return None if "" in found else found


def _text(name: str, path: str, mistakes: list[str]) -> str:
    try:
        with Path(path).open(encoding="ascii") as file:
            return file.read(MAX_KEY_FILE_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(
            f"{name} can't be read: {error.strerror if isinstance(error, OSError) else 'not a PEM file'}."
        )
        return ""
