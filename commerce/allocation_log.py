"""The allocation log: every attempt of a sale in one order, chained by SHA-256, so that anyone can check who got which unit and why.

The hot ledger writes an entry with each decision; the worker moves them into SQL here. A line's hash covers the line before it, so
changing any byte breaks every later hash. Buyers appear under a name of this sale that says nothing of who they are (`lots`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, insert, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.database import Database
from commerce.errors import NotFound, OutOfState
from commerce.hot_ledger import GRACE_MS, HotLedger, LogEntry, Place, SoftHold
from commerce.log_chain import SEGMENT, Receipt, first_hash, merkle_path, merkle_root, next_hash
from commerce.log_verification import FORMAT, canonical, footer_sum
from commerce.lots import public_buyer, salt_of, seed_of
from commerce.sale_rules import Sale, lengthened, published_terms
from commerce.schema import allocation_entry, hold
from commerce.schema import sale as sale_table

MAX_ENDED: Final = 20_000
EXPORT_PAGE: Final = 5_000


def public_line(salt: str, position: int, entry: LogEntry) -> str:
    """One line of the public log as canonical JSON."""
    line: dict[str, Any] = {
        "n": position,
        "epoch": entry.epoch,
        "seq": entry.seq,
        "at_ms": entry.at_ms,
        "hold": entry.hold_id,
        "buyer": public_buyer(salt, entry.buyer_id),
        "quantity": entry.quantity,
        "decision": entry.decision,
        "reason": entry.reason,
        "available": entry.available,
        "held": entry.held,
        "sold": entry.sold,
    }
    if entry.arrived_at_ms:
        line["arrived_at_ms"] = entry.arrived_at_ms
    if entry.ghost:
        line["ghost"] = True
    return canonical(line)


async def head(c: AsyncConnection, sale_id: str) -> tuple[int, str]:
    """Position and hash of the last persisted line; (0, first hash) of an empty log."""
    query = (
        select(allocation_entry.c.seq, allocation_entry.c.hash)
        .where(allocation_entry.c.sale_id == sale_id)
        .order_by(allocation_entry.c.seq.desc())
        .limit(1)
    )
    row = (await c.execute(query)).first()
    return (row.seq, row.hash) if row is not None else (0, first_hash(sale_id))


async def persist(database: Database, hot_ledger: HotLedger, room_id: str, sale_id: str) -> int:
    """Move what the hot ledger has logged into SQL, in order; gives the number of new lines. Safe to run twice, also at once.

    An entry that is in SQL already is skipped. One whose number is taken by another (Redis had lost its tail and counted on from there)
    is kept all the same, at the next position.
    """
    entries, record_ids = await hot_ledger.read_log(room_id, sale_id)
    if not entries:
        return 0
    try:
        async with database.begin() as c:
            added = await _append(c, sale_id, entries)
    except IntegrityError:
        return 0  # another worker wrote the same entries first; ours are found there next time
    await hot_ledger.trim_log(room_id, sale_id, record_ids, entries[-1].seq)
    return added


async def _append(c: AsyncConnection, sale_id: str, entries: Sequence[LogEntry]) -> int:
    # The head before what is known: lines that another worker commits in between are then known, or meet ours at the same position.
    position, chain = await head(c, sale_id)
    known = await _known(c, sale_id, entries)
    salt = salt_of(
        (await c.execute(select(sale_table.c.seed).where(sale_table.c.sale_id == sale_id))).scalar_one()
    )
    rows = []
    for entry in entries:
        name = (entry.epoch, entry.seq, entry.hold_id)
        if name in known:
            continue
        known.add(name)
        position += 1
        line = public_line(salt, position, entry)
        chain = next_hash(chain, line)
        rows.append(
            {
                "sale_id": sale_id,
                "seq": position,
                "epoch": entry.epoch,
                "at_ms": entry.at_ms,
                "hold_id": entry.hold_id,
                "buyer_id": entry.buyer_id,
                "quantity": entry.quantity,
                "decision": entry.decision,
                "expires_at_ms": entry.expires_at_ms,
                "entry": line,
                "hash": chain,
            }
        )
    if rows:
        await c.execute(insert(allocation_entry), rows)
    return len(rows)


async def _known(c: AsyncConnection, sale_id: str, entries: Sequence[LogEntry]) -> set[tuple[int, int, str]]:
    """(epoch, seq, hold id) of lines that these entries may repeat: a line older than the oldest of them can't be one."""
    oldest_ms = min(entry.at_ms for entry in entries)
    query = select(allocation_entry.c.epoch, allocation_entry.c.entry, allocation_entry.c.hold_id).where(
        allocation_entry.c.sale_id == sale_id, allocation_entry.c.at_ms >= oldest_ms
    )
    return {(row.epoch, json.loads(row.entry)["seq"], row.hold_id) for row in await c.execute(query)}


async def last_decided(c: AsyncConnection, sale_id: str, epoch: int) -> int:
    """The highest sequence number of an epoch that reached SQL; 0 when none did."""
    query = (
        select(allocation_entry.c.entry)
        .where(allocation_entry.c.sale_id == sale_id, allocation_entry.c.epoch == epoch)
        .order_by(allocation_entry.c.seq.desc())
        .limit(1)
    )
    line = (await c.execute(query)).scalar()
    return 0 if line is None else int(json.loads(line)["seq"])


@dataclass(frozen=True, slots=True)
class Living:
    """What the log says still lives at some moment, for a hot ledger that is built anew."""

    soft_holds: list[SoftHold]
    """Granted, not let go, not over, and not an order yet."""
    ended_holds: list[SoftHold]
    """The newest of the other granted ones: their answers are kept, so that no retry of an old request revives one."""
    waiting: list[Place]
    """The wait list, its head first."""


async def living(c: AsyncConnection, sale: Sale, now_ms: int) -> Living:
    """Replay the persisted log. A hold or place that Redis logged but lost before it was persisted is gone; its token still binds."""
    columns = allocation_entry.c
    query = (
        select(allocation_entry, hold.c.hold_id.label("bound_id"))
        .outerjoin(hold, hold.c.hold_id == columns.hold_id)
        .where(
            columns.sale_id == sale.sale_id,
            columns.decision.in_(("granted", "waiting", "released", "left")),
        )
        .order_by(columns.seq)
    )
    granted: dict[str, SoftHold] = {}
    over: set[str] = set()
    waiting: dict[str, Place] = {}
    for row in await c.execute(query):
        line = json.loads(row.entry)
        common = {
            "hold_id": row.hold_id,
            "buyer_id": row.buyer_id,
            "quantity": row.quantity,
            "epoch": row.epoch,
            "seq": line["seq"],
            "ghost": line.get("ghost", False),
        }
        if row.decision == "waiting":
            waiting[row.hold_id] = Place(**common)
            continue
        waiting.pop(row.hold_id, None)
        if row.decision == "released":
            over.add(row.hold_id)
        elif row.decision == "granted":
            granted[row.hold_id] = SoftHold(
                price_minor=sale.price_minor,
                currency=sale.currency,
                granted_at_ms=row.at_ms,
                expires_at_ms=(ends_at_ms := lengthened(row.at_ms, row.expires_at_ms, sale.outages)),
                **common,
            )
            if row.bound_id is not None or ends_at_ms + GRACE_MS <= now_ms:
                over.add(row.hold_id)
    return Living(
        soft_holds=[one for one in granted.values() if one.hold_id not in over],
        ended_holds=[one for one in granted.values() if one.hold_id in over][-MAX_ENDED:],
        waiting=list(waiting.values()),
    )


async def count(c: AsyncConnection, sale_id: str) -> int:
    """How many lines of a sale are in SQL."""
    query = select(func.count()).where(allocation_entry.c.sale_id == sale_id)
    return int((await c.execute(query)).scalar_one())


async def root(c: AsyncConnection, sale_id: str) -> str | None:
    """What is published of a log that is complete; None of an empty one."""
    leaves = await _checkpoints(c, sale_id)
    return merkle_root(leaves) if leaves else None


async def _checkpoints(c: AsyncConnection, sale_id: str) -> list[str]:
    last, _ = await head(c, sale_id)
    columns = allocation_entry.c
    chosen = or_(columns.seq % SEGMENT == 0, columns.seq == last)
    query = select(columns.hash).where(columns.sale_id == sale_id, chosen).order_by(columns.seq)
    return list((await c.execute(query)).scalars())


async def export(database: Database, sale: Sale) -> AsyncIterator[str]:
    """The lines of a published sale's log, as `log_verification` reads them; its entries are read in pages.

    Raises OutOfState("not_published"): before, the seed is nobody's business.
    """
    if sale.state != "published":
        raise OutOfState("not_published", "the log is exported once the sale is published", state=sale.state)
    header = canonical(
        {
            "format": FORMAT,
            "terms": published_terms(sale),
            "terms_hash": sale.terms_hash,
            "opened_at_ms": sale.opened_at_ms,
        }
    )
    yield header
    count = 0
    columns = allocation_entry.c
    while True:
        query = select(columns.hash, columns.entry).where(
            columns.sale_id == sale.sale_id, columns.seq > count
        )
        async with database.read() as c:
            page = (await c.execute(query.order_by(columns.seq).limit(EXPORT_PAGE))).all()
        for row in page:
            yield f"{row.hash} {row.entry}"
        count += len(page)
        if len(page) < EXPORT_PAGE:
            break
    seed = seed_of(sale.seed)
    total = footer_sum(header, sale.log_root, count, seed)
    yield canonical({"entries": count, "root": sale.log_root, "seed": seed, "sum": total})


async def receipt(c: AsyncConnection, sale_id: str, hold_id: str) -> Receipt:
    """The proof of the newest line about a hold of a published sale. Raises NotFound("unknown_entry")."""
    columns = allocation_entry.c
    mine = select(func.max(columns.seq)).where(columns.sale_id == sale_id, columns.hold_id == hold_id)
    position = (await c.execute(mine)).scalar()
    if position is None:
        raise NotFound("unknown_entry", "the log has no entry of this hold", hold_id=hold_id)
    index = (position - 1) // SEGMENT
    first = index * SEGMENT + 1
    segment = select(columns.seq, columns.entry, columns.hash).where(
        columns.sale_id == sale_id, columns.seq >= first - 1, columns.seq < first + SEGMENT
    )
    rows = (await c.execute(segment.order_by(columns.seq))).all()
    before = first_hash(sale_id) if first == 1 else rows[0].hash
    return Receipt(
        sale_id=sale_id,
        position=position,
        first_position=first,
        before=before,
        lines=tuple(row.entry for row in rows if row.seq >= first),
        path=tuple(merkle_path(await _checkpoints(c, sale_id), index)),
    )


MAX_ATTEMPTS: Final = 50
MAX_BUCKETS: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSeen:
    """One line about a buyer's own attempt. `place` and `after_last_unit_ms` tell one who was refused how close it was."""

    position: int
    hold_id: str
    at_ms: int
    decision: str
    reason: str
    quantity: int
    place: int | None
    after_last_unit_ms: int | None


async def attempts_of(c: AsyncConnection, sale_id: str, buyer_id: str) -> list[AttemptSeen]:
    """The newest 50 lines about a buyer, oldest first."""
    columns = allocation_entry.c
    mine = select(allocation_entry).where(columns.sale_id == sale_id, columns.buyer_id == buyer_id)
    rows = (await c.execute(mine.order_by(columns.seq.desc()).limit(MAX_ATTEMPTS))).all()
    found = []
    for row in reversed(rows):
        last = None
        if row.decision == "refused":
            granted = (columns.sale_id == sale_id, columns.decision == "granted", columns.seq < row.seq)
            query = select(columns.seq, columns.at_ms).where(*granted).order_by(columns.seq.desc()).limit(1)
            last = (await c.execute(query)).first()
        found.append(
            AttemptSeen(
                position=row.seq,
                hold_id=row.hold_id,
                at_ms=row.at_ms,
                decision=row.decision,
                reason=json.loads(row.entry)["reason"],
                quantity=row.quantity,
                place=None if last is None else row.seq - last.seq,
                after_last_unit_ms=None if last is None else max(0, row.at_ms - last.at_ms),
            )
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Rush:
    """Attempts per bucket since the opening: (bucket's number, decision, how many). `last_unit_ms` is when the last unit went."""

    bucket_ms: int
    opened_at_ms: int
    last_unit_ms: int | None
    counts: list[tuple[int, str, int]]


async def rush(c: AsyncConnection, sale_id: str, opened_at_ms: int, bucket_ms: int) -> Rush:
    """What happened in the first 2,000 buckets after the opening, as far as the log is persisted."""
    columns = allocation_entry.c
    number = (columns.at_ms - opened_at_ms) // bucket_ms
    until_ms = opened_at_ms + bucket_ms * MAX_BUCKETS
    within = (columns.sale_id == sale_id, columns.at_ms >= opened_at_ms, columns.at_ms < until_ms)
    query = select(number.label("number"), columns.decision, func.count().label("many")).where(*within)
    rows = await c.execute(query.group_by("number", columns.decision).order_by("number", columns.decision))
    last = select(func.max(columns.at_ms)).where(columns.sale_id == sale_id, columns.decision == "granted")
    return Rush(
        bucket_ms=bucket_ms,
        opened_at_ms=opened_at_ms,
        last_unit_ms=(await c.execute(last)).scalar(),
        counts=[(int(row.number), row.decision, row.many) for row in rows],
    )


async def was_released(c: AsyncConnection, hold_ids: Sequence[str]) -> set[str]:
    """Those of these holds that their buyers have let go."""
    columns = allocation_entry.c
    query = select(columns.hold_id).where(columns.hold_id.in_(hold_ids), columns.decision == "released")
    return set((await c.execute(query)).scalars())
