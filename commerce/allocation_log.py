"""The allocation log: every attempt of a sale in one order, chained by SHA-256, so that anyone can check who got which unit and why.

The hot ledger writes an entry with each decision; the worker moves them into SQL here. A line's hash covers the line before it, so
changing any byte breaks every later hash. Buyers appear under a name of this sale that says nothing of who they are (`lots`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.database import Database
from commerce.hot_ledger import GRACE_MS, HotLedger, LogEntry, Place, SoftHold
from commerce.lots import public_buyer, salt_of
from commerce.sale_rules import Sale
from commerce.schema import allocation_entry, hold
from commerce.schema import sale as sale_table

GENESIS: Final = "flashroom allocation log 1"
MAX_ENDED: Final = 20_000


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
    await hot_ledger.trim_log(room_id, sale_id, record_ids, entries[-1].seq)
    return added


async def _append(c: AsyncConnection, sale_id: str, entries: Sequence[LogEntry]) -> int:
    known = await _known(c, sale_id, entries)
    salt = salt_of(
        (await c.execute(select(sale_table.c.seed).where(sale_table.c.sale_id == sale_id))).scalar_one()
    )
    position, chain = await head(c, sale_id)
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
                expires_at_ms=row.expires_at_ms,
                **common,
            )
            if row.bound_id is not None or row.expires_at_ms + GRACE_MS <= now_ms:
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
