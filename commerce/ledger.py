"""The double-entry ledger: append-only, and every transaction sums to zero in its currency.

Accounts (debit positive, credit negative): `receivable` what buyers of placed orders owe, `pending_sales` its counterpart, `sales`,
`refunds`, `refunds_due` money that goes back to buyers, `provider:NAME` money that a payment provider has taken in for us, `fees` and
`fees_due:NAME` what it keeps of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.errors import Quarantined
from commerce.schema import ledger_entry, ledger_transaction

RECEIVABLE: Final = "receivable"
PENDING_SALES: Final = "pending_sales"
SALES: Final = "sales"
REFUNDS: Final = "refunds"
REFUNDS_DUE: Final = "refunds_due"
FEES: Final = "fees"


def provider_account(provider: str) -> str:
    return f"provider:{provider}"


@dataclass(frozen=True, slots=True)
class Postings:
    """One balanced set of postings, not written yet. Its id is made from what it tells of, so it can be written only once."""

    transaction_id: str
    order_id: str
    kind: str
    currency: str
    amounts: dict[str, int]


def placed(order_id: str, total: int, currency: str) -> Postings:
    amounts = {RECEIVABLE: total, PENDING_SALES: -total}
    return Postings(f"placed:{order_id}", order_id, "placed", currency, amounts)


def let_go(order_id: str, total: int, currency: str) -> Postings:
    """An unpaid order ended: what `placed` wrote is taken back."""
    amounts = {RECEIVABLE: -total, PENDING_SALES: total}
    return Postings(f"let_go:{order_id}", order_id, "let_go", currency, amounts)


def paid(attempt_id: str, order_id: str, total: int, currency: str, provider: str, *, late: bool) -> Postings:
    """A captured payment for an order; `late` when the order had been let go, so that nothing was owed any more."""
    amounts = {provider_account(provider): total, SALES: -total}
    if not late:
        amounts |= {RECEIVABLE: -total, PENDING_SALES: total}
    return Postings(f"paid:{attempt_id}", order_id, "paid", currency, amounts)


def captured_in_vain(attempt_id: str, order_id: str, total: int, currency: str, provider: str) -> Postings:
    """Money that came for nothing (no unit left, or paid twice): it is owed back from the first moment."""
    amounts = {provider_account(provider): total, REFUNDS_DUE: -total}
    return Postings(f"paid:{attempt_id}", order_id, "captured_in_vain", currency, amounts)


def fee(attempt_id: str, order_id: str, amount: int, currency: str, provider: str) -> Postings:
    """What a provider keeps of a payment it has captured."""
    amounts = {FEES: amount, f"fees_due:{provider}": -amount}
    return Postings(f"fee:{attempt_id}", order_id, "fee", currency, amounts)


def refund_promised(refund_id: str, order_id: str, amount: int, currency: str) -> Postings:
    """A refund of a paid order was decided."""
    amounts = {REFUNDS: amount, REFUNDS_DUE: -amount}
    return Postings(f"refund_promised:{refund_id}", order_id, "refund_promised", currency, amounts)


def refunded(refund_id: str, order_id: str, amount: int, currency: str, provider: str) -> Postings:
    """The provider has sent the money back."""
    amounts = {REFUNDS_DUE: amount, provider_account(provider): -amount}
    return Postings(f"refunded:{refund_id}", order_id, "refunded", currency, amounts)


async def post(c: AsyncConnection, postings: Postings, at_ms: int) -> None:
    """Write it in this transaction. A second write of the same id fails on the primary key (IntegrityError).

    Raises Quarantined("unbalanced") when it does not sum to zero.
    """
    await post_all(c, [postings], at_ms)


async def post_all(c: AsyncConnection, all_postings: list[Postings], at_ms: int) -> None:
    """Write several, like `post`."""
    for postings in all_postings:
        if sum(postings.amounts.values()) != 0 or not postings.amounts:
            raise Quarantined(
                "unbalanced", "these postings do not sum to zero", transaction_id=postings.transaction_id
            )
    await c.execute(
        insert(ledger_transaction),
        [
            {"transaction_id": one.transaction_id, "order_id": one.order_id, "kind": one.kind, "at_ms": at_ms}
            for one in all_postings
        ],
    )
    await c.execute(
        insert(ledger_entry),
        [
            {
                "transaction_id": one.transaction_id,
                "account": account,
                "currency": one.currency,
                "amount_minor": amount,
            }
            for one in all_postings
            for account, amount in one.amounts.items()
        ],
    )


async def balances(c: AsyncConnection) -> dict[tuple[str, str], int]:
    """The sum of every (account, currency)."""
    query = select(
        ledger_entry.c.account, ledger_entry.c.currency, func.sum(ledger_entry.c.amount_minor).label("total")
    ).group_by(ledger_entry.c.account, ledger_entry.c.currency)
    return {(row.account, row.currency): int(row.total) for row in await c.execute(query)}
