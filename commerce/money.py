"""Money is integer minor units with an ISO 4217 currency. No float ever touches an amount."""

from __future__ import annotations

from typing import Final

from commerce.errors import Invalid

MINOR_DIGITS: Final = {
    "CNY": 2,
    "USD": 2,
    "EUR": 2,
    "GBP": 2,
    "HKD": 2,
    "SGD": 2,
    "TWD": 2,
    "JPY": 0,
    "KRW": 0,
}
"""Currencies a catalogue may use, with the digits after the point (ISO 4217)."""

MAX_AMOUNT_MINOR: Final = 10**12
"""Above any honest order, far below what BIGINT and JavaScript's integers hold."""


def require_currency(currency: str) -> str:
    """The currency itself, if it is one we know; raises Invalid("unknown_currency")."""
    if currency not in MINOR_DIGITS:
        raise Invalid("unknown_currency", f"{currency!r} is not one of {', '.join(MINOR_DIGITS)}")
    return currency


def require_amount(amount_minor: object, name: str = "amount_minor") -> int:
    """The amount itself, if it is an integer from 1 to MAX_AMOUNT_MINOR; raises Invalid("bad_amount")."""
    if type(amount_minor) is not int or not 0 < amount_minor <= MAX_AMOUNT_MINOR:
        raise Invalid("bad_amount", f"{name} must be an integer from 1 to {MAX_AMOUNT_MINOR}", field=name)
    return amount_minor


def total_minor(unit_price_minor: int, quantity: int) -> int:
    """Price times units; raises Invalid("bad_amount") above the bound."""
    return require_amount(unit_price_minor * quantity, "total_minor")


def format_money(amount_minor: int, currency: str) -> str:
    """`"CNY 12.34"`, for logs, exports and messages; pages format by locale themselves."""
    digits = MINOR_DIGITS[currency]
    sign, amount = ("-" if amount_minor < 0 else ""), abs(amount_minor)
    if not digits:
        return f"{currency} {sign}{amount}"
    whole, part = divmod(amount, 10**digits)
    return f"{currency} {sign}{whole}.{part:0{digits}d}"
