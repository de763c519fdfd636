"""How fast units are decided, sold and paid, beside plain ways of doing it: `python -m loadtests.bench_sale [--quick] [--only PART]`.

Four parts. `decisions`: taps through a HoldDesk against one Lua call per tap. `taps`: 5,000 connected viewers tap within a second for
100 units, through a real hub process; then taps without pause, for what one hub process sustains. `checkouts`: durable binds by group
commit against one transaction per order and against `SELECT ... FOR UPDATE`, on SQLite and on PostgreSQL that flush each commit.
`paid`: from the tap to the paid order through real hub, web and worker processes. A run fails when a sum does not hold. The last line
of the output is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgpack
import uvloop
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce.bind_rows import BindJob, Bound
from commerce.checkout import Checkout
from commerce.database import create_database
from commerce.hold_desk import HoldDesk
from commerce.hold_tokens import sign
from commerce.hot_ledger import HoldRequest, HotLedger, StockNumbers, connect_redis
from commerce.orders import Order
from commerce.schema import stock as stock_table
from loadtests.bench_crowd import client_frame
from loadtests.bench_hub import crowd_for, holds, running_server
from loadtests.bench_paid import hold_to_paid
from loadtests.bench_tools import (
    allow_many_files,
    cpu_s,
    keep_to_the_last_core,
    quantiles_ms,
    running_redis,
    table,
)
from tests.commerce.databases import copy_sqlite, postgres_server, sqlite_template
from tests.commerce.hot_sale import HotSale
from tests.commerce.world import TOKEN_KEY, World, address_of, new_id

Row = dict[str, Any]
PARTS = ("decisions", "taps", "checkouts", "paid")
UNDER_WAY = 64
"""Calls that baselines and we have under way at the same time."""
WRITERS = 12
"""Checkouts that race on PostgreSQL where each has a transaction of its own: as many as the pool has connections."""


async def at_once(
    calls: Sequence[Callable[[], Awaitable[object]]], under_way: int
) -> tuple[float, list[float]]:
    """Seconds for all calls with so many under way, and seconds of each."""
    taken: list[float] = []
    waiting = iter(calls)

    async def work() -> None:
        for call in waiting:
            started_s = time.perf_counter()
            await call()
            taken.append(time.perf_counter() - started_s)

    started_s = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(under_way)))
    return time.perf_counter() - started_s, taken


def row(part: str, way: str, count: int, seconds: float, taken: list[float], cpu: float) -> Row:
    """One line of the table."""
    p50, p99 = quantiles_ms(taken)
    return {
        "part": part,
        "way": way,
        "count": count,
        "per_s": round(count / seconds),
        "p50_ms": round(p50, 1),
        "p99_ms": round(p99, 1),
        "cpu_us_each": round(cpu / count * 1e6, 1),
    }


# -- decisions: one process, no sockets


async def decisions(count: int) -> list[Row]:
    """Taps of different buyers for 100 units: one call per tap, then gathered by a HoldDesk."""
    rows: list[Row] = []

    async def publish(room_id: str, numbers: StockNumbers) -> None:
        """Numbers go nowhere here."""

    with running_redis() as redis_url:
        redis = connect_redis(redis_url)
        for way, asked in (("one Lua call per tap", count // 10), ("HoldDesk", count)):
            sale = HotSale(redis)
            await sale.open(quota=100)
            desk = HoldDesk(sale.ledger, TOKEN_KEY, publish)

            def tap(
                number: int, sale: HotSale = sale, desk: HoldDesk = desk, way: str = way
            ) -> Awaitable[object]:
                request = HoldRequest("r1", f"gu_{number}", 1)
                return (
                    desk.hold(*sale.key, request)
                    if way == "HoldDesk"
                    else sale.ledger.decide(*sale.key, [request])
                )

            used_s = time.process_time()
            calls = [partial(tap, number) for number in range(asked)]
            seconds, taken = await at_once(calls, 2000 if way == "HoldDesk" else UNDER_WAY)
            rows.append(row("decisions", way, asked, seconds, taken, time.process_time() - used_s))
            numbers = await sale.ledger.numbers(*sale.key)
            assert numbers is not None
            assert numbers.held == min(100, asked), numbers
        await redis.aclose()
    return rows


# -- taps: through a hub process


def sustained(viewers: int, seconds: float) -> Row:
    """Every viewer taps again as soon as the last tap is answered, with a new request id each time."""
    taken: list[float] = []
    tapped_s: dict[int, float] = {}
    stop_s = 0.0

    def tap(index: int) -> bytes:
        params = {"request_id": f"r{len(taken)}-{index}", "sale_id": "sl_bench", "quantity": 1}
        tapped_s[index] = time.perf_counter()
        return client_frame(msgpack.packb([len(taken) + 2, "hold", params]))

    def on_sample(message: bytes, now_s: float) -> None:
        if message[:2] != b"\x94\x02":
            return
        member = crowd.reading
        assert member is not None
        taken.append(time.perf_counter() - tapped_s[member.index])
        if time.perf_counter() < stop_s:
            member.socket.sendall(tap(member.index))

    with running_server("hub") as server:
        crowd = crowd_for("hub", server.port, "rm_bench", on_sample)
        crowd.connect(viewers, sampled=viewers)
        crowd.pump_for(1.0)
        used_s, started_s = cpu_s(*server.pids), time.perf_counter()
        stop_s = started_s + seconds
        asked = list(crowd.members.values())
        for member in asked:
            member.socket.sendall(tap(member.index))
        while time.perf_counter() < stop_s:
            crowd.pump(0.02)
        took_s, cpu = time.perf_counter() - started_s, cpu_s(*server.pids) - used_s
        crowd.close()
    result = row("taps", f"sustained, {viewers} viewers", len(taken), took_s, taken, cpu)
    return {**result, "cpu_share": round(cpu / took_s, 2)}


def taps(viewers: int, rounds: int, seconds: float) -> list[Row]:
    """The stampede, then without pause."""
    found = holds(viewers, rounds)
    if found["answered"] != found["taps"] or found["granted"] != min(100, viewers):
        raise AssertionError(f"taps: {found}")
    stampede = {
        "part": "taps",
        "way": f"{viewers} viewers at once for 100 units",
        "count": found["answered"],
        "per_s": found["decisions_per_core_s"],
        "p50_ms": found["answer_p50_ms"],
        "p99_ms": found["answer_p99_ms"],
        "cpu_us_each": found["cpu_us_per_decision"],
    }
    return [stampede, sustained(min(viewers, 2000), seconds)]


# -- checkouts: durable binds


class ForUpdateCheckout(Checkout):
    """The textbook's way: lock the stock row first, then look, then write."""

    async def _bind(self, c: AsyncConnection, job: BindJob) -> Bound:
        locked = (
            select(stock_table.c.sale_id).where(stock_table.c.sale_id == job.hold.sale_id).with_for_update()
        )
        await c.execute(locked)
        return await super()._bind(c, job)


async def checkouts(way: str, url: str, redis_url: str, count: int) -> Row:
    """Binds of holds of different buyers, all of one sale; every invariant is checked afterwards."""
    database, redis = create_database(url), connect_redis(redis_url)
    world = World(database, HotLedger(redis))
    await world.stock_shelf(on_hand=count)
    sale = await world.open_sale(quota=count)
    kind = ForUpdateCheckout if "FOR UPDATE" in way else Checkout

    def checkout(max_group: int) -> Checkout:
        return kind(database, world.hot, TOKEN_KEY, world.clock, new_id, max_group)

    desks = [checkout(256)] if way == "group commit" else [checkout(1) for _ in range(WRITERS)]

    def bind(number: int) -> Callable[[], Awaitable[Order]]:
        hold = world.hold(sale, f"gu_{number}")
        token = sign(TOKEN_KEY, hold)
        return lambda: desks[number % len(desks)].bind(
            token, hold.buyer_id, "Lin Mei", address_of(hold.buyer_id)
        )

    calls = [bind(number) for number in range(count)]
    used_s = time.process_time()
    seconds, taken = await at_once(calls, 256 if way == "group commit" else UNDER_WAY)
    used_s = time.process_time() - used_s
    await world.assert_sound()
    await redis.aclose()
    await database.aclose()
    return row(f"checkouts, {database.dialect}", way, count, seconds, taken, used_s)


@contextmanager
def databases() -> Iterator[dict[str, Callable[[], str]]]:
    """How to get a fresh database of each kind. Both flush every commit."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        template = sqlite_template(folder)
        server = stack.enter_context(postgres_server(durable=True))

        def sqlite() -> str:
            fresh = folder / uuid.uuid4().hex
            fresh.mkdir()
            return copy_sqlite(template, fresh)

        yield {"sqlite": sqlite, "postgresql": lambda: server.url(server.take_database())}


def all_checkouts(count: int) -> list[Row]:
    """Each way on each database, the fast one with ten times as many orders."""
    rows = []
    with running_redis() as redis_url, databases() as kinds:
        for kind, fresh in kinds.items():
            ways = {"one transaction per order": count // 10}
            if kind == "postgresql":
                ways["one transaction per order, SELECT ... FOR UPDATE"] = count // 10
            ways["group commit"] = count
            for way, orders in ways.items():
                rows.append(uvloop.run(checkouts(way, fresh(), redis_url, orders)))
    return rows


# -- all


def ratios(rows: list[Row]) -> Row:
    """Ours against each baseline of the same part."""
    found = {}
    for ours in rows:
        if ours["way"] in ("HoldDesk", "group commit"):
            for other in rows:
                if other["part"] == ours["part"] and other is not ours:
                    found[f"{ours['part']}: {ours['way']} against {other['way']}"] = round(
                        ours["per_s"] / other["per_s"], 1
                    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="small counts, to see that it works")
    parser.add_argument("--only", choices=PARTS, help="one part")
    options = parser.parse_args()
    allow_many_files()
    parts = [options.only] if options.only else list(PARTS)
    rows: list[Row] = []

    def show(more: list[Row]) -> None:
        rows.extend(more)
        for one in more:
            print(json.dumps(one), flush=True)

    if "decisions" in parts:
        show(uvloop.run(decisions(2_000 if options.quick else 30_000)))
    if "checkouts" in parts:
        show(all_checkouts(200 if options.quick else 5_000))
    if "paid" in parts:
        show(hold_to_paid(buyers=10 if options.quick else 200))
    if "taps" in parts:
        keep_to_the_last_core()
        show(taps(*((300, 1, 1.0) if options.quick else (5_000, 3, 6.0))))
    columns = ("part", "way", "count", "per_s", "p50_ms", "p99_ms", "cpu_us_each")
    print(table([{column: one[column] for column in columns} for one in rows]), flush=True)
    load = [round(one, 1) for one in os.getloadavg()]
    print(json.dumps({"rows": rows, "ratios": ratios(rows), "load_average": load}))


if __name__ == "__main__":
    main()
