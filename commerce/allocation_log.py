"""The allocation log: every attempt of a sale in one order, chained by SHA-256, so that anyone can check who got which unit and why.

The hot ledger writes an entry with each decision; the worker moves them into SQL here. A line's hash covers the line before it, so
changing any byte breaks every later hash. Buyers appear under a name that only they can recompute.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import and_, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.database import Database
from commerce.hot_ledger import GRACE_MS, HotLedger, LogEntry, SoftHold
from commerce.sale_rules import Sale
from commerce.schema import allocation_entry, hold

GENESIS: Final = "flashroom allocation log 1"


def public_buyer(sale_id: str, buyer_id: str) -> str:
    """The buyer's name in a sale's public log: buyer ids are random, so it can be checked but not guessed."""
    return hashlib.sha256(f"{sale_id} {buyer_id}".encode()).hexdigest()[:32]


def public_line(sale_id: str, position: int, entry: LogEntry) -> str:
    """One line of the public log as canonical JSON."""
    line: dict[str, Any] = {
        "n": position,
        "epoch": entry.epoch,
        "seq": entry.seq,
        "at_ms": entry.at_ms,
        "hold": entry.hold_id,
        "buyer": public_buyer(sale_id, entry.buyer_id),
        "quantity": entry.quantity,
        "decision": entry.decision,
        "reason": entry.reason,
        "available": entry.available,
        "held": entry.held,
        "sold": entry.sold,
    }
    if entry.ghost:
        line["ghost"] = True
    return json.dumps(line, sort_keys=True, separators=(",", ":"))


def first_hash(sale_id: str) -> str:
    return hashlib.sha256(f"{GENESIS}\n{sale_id}\n".encode()).hexdigest()


def next_hash(previous: str, line: str) -> str:
    """The chain: SHA-256 over the previous hash, a line feed, and the line."""
    return hashlib.sha256(f"{previous}\n{line}".encode()).hexdigest()


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
    await hot_ledger.trim_log(room_id, sale_id, record_ids)
    return added


async def _append(c: AsyncConnection, sale_id: str, entries: Sequence[LogEntry]) -> int:
    known = {(row.hold_id, row.epoch) for row in await c.execute(_known(sale_id, entries))}
    position, chain = await head(c, sale_id)
    rows = []
    for entry in entries:
        if (entry.hold_id, entry.epoch) in known:
            continue
        known.add((entry.hold_id, entry.epoch))
        position += 1
        line = public_line(sale_id, position, entry)
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


def _known(sale_id: str, entries: Sequence[LogEntry]) -> Any:
    # From the oldest of these on: an older line can't be one of them.
    oldest_ms = min(entry.at_ms for entry in entries)
    return select(allocation_entry.c.hold_id, allocation_entry.c.epoch).where(
        allocation_entry.c.sale_id == sale_id, allocation_entry.c.at_ms >= oldest_ms
    )


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


async def living_holds(c: AsyncConnection, sale: Sale, now_ms: int) -> list[SoftHold]:
    """Granted holds that may still be bound and are not: what a rebuilt hot ledger must carry over.

    A hold that its buyer let go comes back with them and ends at its expiry: units wait a little, none is sold twice.
    """
    query = (
        select(allocation_entry)
        .outerjoin(hold, hold.c.hold_id == allocation_entry.c.hold_id)
        .where(
            and_(
                allocation_entry.c.sale_id == sale.sale_id,
                allocation_entry.c.decision == "granted",
                allocation_entry.c.expires_at_ms + GRACE_MS > now_ms,
                hold.c.hold_id.is_(None),
            )
        )
        .order_by(allocation_entry.c.seq)
    )
    living: dict[str, SoftHold] = {}
    for row in await c.execute(query):
        line = json.loads(row.entry)
        living[row.hold_id] = SoftHold(
            hold_id=row.hold_id,
            buyer_id=row.buyer_id,
            quantity=row.quantity,
            price_minor=sale.price_minor,
            currency=sale.currency,
            granted_at_ms=row.at_ms,
            expires_at_ms=row.expires_at_ms,
            epoch=row.epoch,
            seq=line["seq"],
            ghost=line.get("ghost", False),
        )
    return list(living.values())


async def count(c: AsyncConnection, sale_id: str) -> int:
    """How many lines of a sale are in SQL."""
    query = select(func.count()).where(allocation_entry.c.sale_id == sale_id)
    return int((await c.execute(query)).scalar_one())
