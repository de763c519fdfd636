"""Who got which unit and why: one's own attempts with their receipts, and the rush as everybody may see it."""

from __future__ import annotations

from typing import Any, Final, Literal

from commerce import allocation_log
from commerce.errors import NotFound
from commerce.log_verification import receipt_object
from live.api.endpoint import Call, Endpoint, Query
from live.api.models import Model
from live.api.sales import visible_sale

BUCKET: Final = Query(
    "bucket_ms", "Length of a bucket in ms: 50, 100, 250 or 1000.", r"^(50|100|250|1000)$", is_integer=True
)
DEFAULT_BUCKET_MS: Final = 100


class ReceiptFile(Model):
    """What `flashroom verify` checks alone."""

    format: str
    sale_id: str
    root: str
    position: int
    first_position: int
    before: str
    lines: list[str]
    path: list[list[str]]


class MyAttempt(Model):
    """`place`: how many attempts after the last unit went this one was; `receipt` once the log is published."""

    position: int
    hold_id: str
    at_ms: int
    decision: str
    reason: str
    quantity: int
    place: int | None
    after_last_unit_ms: int | None
    receipt: ReceiptFile | None


class Receipts(Model):
    sale_id: str
    state: str
    published: bool
    root: str | None
    attempts: list[MyAttempt]


class Bucket(Model):
    """Attempts in [t_ms, t_ms + bucket_ms) after the opening."""

    t_ms: int
    granted: int
    refused: int
    other: int


class Dot(Model):
    t_ms: int
    decision: str
    reason: str


class RushShown(Model):
    sale_id: str
    bucket_ms: int
    opened_at_ms: int | None
    """None before the opening: there is nothing to show yet."""
    last_unit_t_ms: int | None
    granted: int
    refused: int
    buckets: list[Bucket]
    mine: list[Dot]
    complete: bool
    """Whether the sale is over, so that nothing more will come."""


async def _receipts(call: Call) -> Receipts:
    sale = await visible_sale(call)
    published = sale.state == "published" and sale.log_root is not None
    async with call.wiring.database.read() as c:
        attempts = await allocation_log.attempts_of(c, sale.sale_id, call.buyer_id)
        proofs: dict[str, ReceiptFile] = {}
        for hold_id in {attempt.hold_id for attempt in attempts} if published else ():
            try:
                receipt = await allocation_log.receipt(c, sale.sale_id, hold_id)
            except NotFound:
                continue
            proofs[hold_id] = ReceiptFile(**receipt_object(receipt, sale.log_root or ""))
    return Receipts(
        sale_id=sale.sale_id,
        state=sale.state,
        published=published,
        root=sale.log_root,
        attempts=[MyAttempt(**_plain(attempt), receipt=proofs.get(attempt.hold_id)) for attempt in attempts],
    )


def _plain(attempt: allocation_log.AttemptSeen) -> dict[str, Any]:
    return {name: getattr(attempt, name) for name in MyAttempt.model_fields if name != "receipt"}


async def _rush(call: Call) -> RushShown:
    sale = await visible_sale(call)
    bucket_ms = int(call.query("bucket_ms") or DEFAULT_BUCKET_MS)
    buyer_id = call.caller.buyer_id
    if sale.opened_at_ms is None:
        return RushShown(
            sale_id=sale.sale_id,
            bucket_ms=bucket_ms,
            opened_at_ms=None,
            last_unit_t_ms=None,
            granted=0,
            refused=0,
            buckets=[],
            mine=[],
            complete=False,
        )
    async with call.wiring.database.read() as c:
        found = await allocation_log.rush(c, sale.sale_id, sale.opened_at_ms, bucket_ms)
        mine = [] if buyer_id is None else await allocation_log.attempts_of(c, sale.sale_id, buyer_id)
    counts: dict[int, dict[str, int]] = {}
    kind: dict[str, Literal["granted", "refused"]] = {"granted": "granted", "refused": "refused"}
    for number, decision, many in found.counts:
        bucket = counts.setdefault(number, {"granted": 0, "refused": 0, "other": 0})
        bucket[kind.get(decision, "other")] += many
    buckets = [Bucket(t_ms=number * bucket_ms, **bucket) for number, bucket in sorted(counts.items())]
    last_ms = found.last_unit_ms
    return RushShown(
        sale_id=sale.sale_id,
        bucket_ms=bucket_ms,
        opened_at_ms=found.opened_at_ms,
        last_unit_t_ms=None if last_ms is None else last_ms - found.opened_at_ms,
        granted=sum(bucket.granted for bucket in buckets),
        refused=sum(bucket.refused for bucket in buckets),
        buckets=buckets,
        mine=[
            Dot(t_ms=one.at_ms - found.opened_at_ms, decision=one.decision, reason=one.reason) for one in mine
        ],
        complete=sale.state in ("settled", "published"),
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/sales/{sale_id}/receipts",
        summary="My attempts in a sale with their reasons, and their receipts once the log is published",
        tag="fairness",
        handler=_receipts,
        roles="viewer",
        answer=Receipts,
    ),
    Endpoint(
        method="GET",
        path="/api/sales/{sale_id}/rush",
        summary="How many tapped when, who got something, when the last unit went; and my own taps",
        tag="fairness",
        handler=_rush,
        answer=RushShown,
        queries=(BUCKET,),
    ),
)
