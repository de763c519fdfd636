"""Double entry: nothing is posted that does not sum to zero, and nothing twice."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from commerce import ledger
from commerce.errors import Quarantined
from tests.commerce.world import World


@pytest.mark.parametrize(
    "postings",
    [
        ledger.placed("or_1", 100, "CNY"),
        ledger.let_go("or_1", 100, "CNY"),
        ledger.paid("pa_1", "or_1", 100, "CNY", "sandbox", late=False),
        ledger.paid("pa_1", "or_1", 100, "CNY", "sandbox", late=True),
        ledger.captured_in_vain("pa_1", "or_1", 100, "CNY", "sandbox"),
        ledger.refund_promised("rf_1", "or_1", 100, "CNY"),
        ledger.refunded("rf_1", "or_1", 100, "CNY", "sandbox"),
    ],
    ids=lambda postings: postings.kind,
)
def test_every_kind_of_posting_balances(postings: ledger.Postings) -> None:
    assert sum(postings.amounts.values()) == 0


async def test_an_unbalanced_or_repeated_posting_is_refused(world: World) -> None:
    async with world.database.begin() as c:
        await ledger.post(c, ledger.placed("or_1", 100, "CNY"), 1)
    with pytest.raises(IntegrityError):
        async with world.database.begin() as c:
            await ledger.post(c, ledger.placed("or_1", 100, "CNY"), 1)
    for amounts in ({"sales": 1}, {}):
        with pytest.raises(Quarantined):
            async with world.database.begin() as c:
                await ledger.post(c, ledger.Postings("t", "or_1", "test", "CNY", amounts), 1)


async def test_the_balances_tell_what_is_owed_held_and_earned(world: World) -> None:
    sale = await world.open_sale(limit_per_buyer=2)
    await world.placed_order(sale)
    await world.pay(await world.placed_order(sale))
    async with world.database.read() as c:
        balances = await ledger.balances(c)
    assert balances == {
        ("receivable", "CNY"): 9_900,
        ("pending_sales", "CNY"): -9_900,
        ("provider:sandbox", "CNY"): 9_900,
        ("sales", "CNY"): -9_900,
    }
