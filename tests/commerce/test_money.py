"""Amounts are integers in known currencies."""

from __future__ import annotations

import pytest

from commerce.errors import Invalid
from commerce.money import MAX_AMOUNT_MINOR, format_money, require_amount, require_currency, total_minor


@pytest.mark.parametrize("amount", [0, -1, MAX_AMOUNT_MINOR + 1, 1.0, "1", True, None])
def test_an_amount_that_is_not_a_positive_bounded_integer_is_refused(amount: object) -> None:
    with pytest.raises(Invalid):
        require_amount(amount)


def test_a_total_is_bounded_too() -> None:
    assert total_minor(MAX_AMOUNT_MINOR // 2, 2) == MAX_AMOUNT_MINOR
    with pytest.raises(Invalid):
        total_minor(MAX_AMOUNT_MINOR, 2)


def test_unknown_currencies_are_refused() -> None:
    assert require_currency("CNY") == "CNY"
    with pytest.raises(Invalid):
        require_currency("cny")


def test_amounts_are_written_with_the_digits_of_their_currency() -> None:
    assert format_money(9_905, "CNY") == "CNY 99.05"
    assert format_money(-5, "EUR") == "EUR -0.05"
    assert format_money(1_200, "JPY") == "JPY 1200"
