"""Real processes under shopping load while they are killed, frozen and restarted: `python -m loadtests.chaos [--seconds 60] [--seed N]`.

Buyers and a seller repeat each call under its own key until it has a final answer. Meanwhile web, hubs, worker and Redis are killed,
stopped for a while, and started again, Redis also with everything forgotten; cards decline, time out and succeed late, notify twice
and out of order. Then all is left to settle, and the last line says what was found (`loadtests/chaos_verdict.py`): oversold,
double_sold, lost_paid, leaked, unanswered and unbalanced must be 0. The faults follow the seed; what the processes make of them is up
to the machine, so a seed finds the same mischief again, not the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from commerce.database import Database, create_database
from loadtests import chaos_verdict
from loadtests.chaos_verdict import Verdict
from loadtests.shop import (
    DECLINED_CARD,
    DISORDERLY_CARD,
    GOOD_CARD,
    SILENT_CARD,
    TWICE_CARD,
    Buyer,
    Refused,
    Seller,
    Unanswered,
)
from loadtests.show import Show
from realtime.protocol import CommandError

BUYERS: Final = 16
SALES_AT_ONCE: Final = 3
SETTLE_TIMEOUT_S: Final = 150.0
HUBS: Final = 2
CARDS: Final = (
    [GOOD_CARD],
    [GOOD_CARD],
    [GOOD_CARD],
    [DECLINED_CARD, GOOD_CARD],
    [DECLINED_CARD],
    [SILENT_CARD],
    [TWICE_CARD],
    [DISORDERLY_CARD],
)


@dataclass
class Told:
    """What people were told, to be held against the record afterwards."""

    attempts: int = 0
    granted: set[str] = field(default_factory=set)
    orders: dict[str, str] = field(default_factory=dict)
    """Order id by hold id; one hold that became two orders is a double sale by itself."""
    two_orders: int = 0
    paid: set[str] = field(default_factory=set)
    unanswered: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)


class Shopper:
    """One buyer: taps, waits in line, pays in all the ways cards can fail, lets go, cancels."""

    def __init__(self, buyer: Buyer, told: Told, luck: random.Random) -> None:
        self.buyer, self.told, self.luck = buyer, told, luck
        self._orders: list[str] = []
        self._promoted: asyncio.Queue[dict[str, Any]] = asyncio.Queue(100)

    async def shop(self, stop: asyncio.Event) -> None:
        """Until `stop`; then what is under way is brought to its end."""
        self.buyer.room.on_personal = self._hear
        while not stop.is_set():
            with contextlib.suppress(asyncio.QueueEmpty):
                while True:
                    await self._checkout(self._promoted.get_nowait())
            shown = self.buyer.room.values.items()
            sales = [value for key, (_, value) in shown if key.startswith("sale:") and value is not None]
            # Mostly what is open; now and then something that has to be refused.
            states = (
                ("open",) if self.luck.random() < 0.9 else ("countdown", "paused", "draining", "published")
            )
            wanted = [sale["sale_id"] for sale in sales if sale["state"] in states]
            if wanted:
                await self._try(self.luck.choice(wanted))
            await asyncio.sleep(self.luck.uniform(0.05, 0.4))

    def _hear(self, type_: str, data: dict[str, Any]) -> None:
        if type_ in ("hold_promoted", "hold_granted") and not self._promoted.full():
            self._promoted.put_nowait(data)

    async def _try(self, sale_id: str) -> None:
        self.told.attempts += 1
        try:
            decision = await self.buyer.tap(sale_id, self.luck.choice((1, 1, 1, 2)))
            if decision["reason"] in ("all_held", "sold_out") and self.luck.random() < 0.5:
                request_id = f"wait-{self.luck.getrandbits(64):x}"
                decision = await self.buyer.command(
                    "waitlist_join", request_id=request_id, sale_id=sale_id, quantity=1
                )
            self.told.answers[f"{decision['decision']}:{decision.get('reason')}"] += 1
            await self._checkout(decision)
        except Unanswered as silence:
            self.told.unanswered.append(str(silence))
        except CommandError as error:
            self.told.answers[f"error:{error.code}"] += 1

    async def _checkout(self, decision: dict[str, Any]) -> None:
        if decision.get("decision") != "granted":
            return
        hold_id, sale_id = decision["hold_id"], decision["sale_id"]
        self.told.granted.add(hold_id)
        mood = self.luck.random()
        try:
            if mood < 0.06:
                await self.buyer.command("release", sale_id=sale_id, hold_id=hold_id)
            elif mood > 0.1:  # between: abandoned
                await self._buy(hold_id, decision["token"])
        except Refused as refused:
            self.told.answers[f"refused:{refused.code}"] += 1
        except CommandError as error:
            self.told.answers[f"error:{error.code}"] += 1
        except Unanswered as silence:
            self.told.unanswered.append(str(silence))

    async def _buy(self, hold_id: str, token: str) -> None:
        orders = [await self.buyer.order(token)]
        if self.luck.random() < 0.2:  # the double tap
            orders += await asyncio.gather(self.buyer.order(token), self.buyer.order(token))
        for order in orders:
            first = self.told.orders.setdefault(hold_id, order["order_id"])
            self.told.two_orders += first != order["order_id"]
        order_id = orders[0]["order_id"]
        self._orders.append(order_id)
        for card in self.luck.choice(CARDS):
            answer = await self.buyer.pay(order_id, card)
            if answer["payment"]["state"] == "succeeded":
                self.told.paid.add(order_id)
            self.told.answers[f"payment:{answer['payment']['state']}"] += 1
        if self.luck.random() < 0.15:
            with contextlib.suppress(Refused):
                await self.buyer.post(f"/api/orders/{order_id}/cancel")

    async def cancel_unpaid(self) -> None:
        """Let go of what is not paid, so that nobody has to wait for deadlines."""
        for order_id in self._orders:
            with contextlib.suppress(Refused, Unanswered):
                if (await self.buyer.get(f"/api/orders/{order_id}"))["state"] == "placed":
                    await self.buyer.post(f"/api/orders/{order_id}/cancel")


class Host:
    """Keeps some sales running and turns every knob of the desk."""

    def __init__(self, seller: Seller, told: Told, luck: random.Random) -> None:
        self.seller, self.told, self.luck = seller, told, luck
        self.sale_ids: list[str] = []

    async def sell(self, stop: asyncio.Event) -> None:
        """Until `stop`."""
        while not stop.is_set():
            try:
                await self._turn_a_knob()
            except Refused as refused:
                self.told.answers[f"desk:{refused.code}"] += 1
            except Unanswered as silence:
                self.told.unanswered.append(str(silence))
            await asyncio.sleep(self.luck.uniform(0.1, 0.6))

    async def _running(self) -> list[dict[str, Any]]:
        sales = [await self.seller.get(f"/api/sales/{sale_id}") for sale_id in self.sale_ids]
        return [sale for sale in sales if sale["state"] not in ("settled", "published", "draft", "ready")]

    async def _turn_a_knob(self) -> None:
        running = await self._running()
        self.sale_ids = [sale["sale_id"] for sale in running]
        if len(running) < SALES_AT_ONCE:
            await self._open()
            return
        sale, luck = self.luck.choice(running), self.luck
        path = f"/api/sales/{sale['sale_id']}"
        if sale["state"] == "paused":
            await self.seller.post(f"{path}/resume")
            return
        action = luck.choice(("pause", "stock", "stock", "withdraw", "extend", "end", "refund", "reconcile"))
        if action == "stock":
            await self.seller.post(f"{path}/stock", {"delta": luck.randint(1, 3)})
        elif action == "withdraw":
            await self.seller.post(f"{path}/stock", {"delta": -1})
        elif action == "pause":
            await self.seller.post(f"{path}/pause", {"reason": luck.choice(("host", "payment_outage"))})
        elif action in ("extend", "reconcile"):
            await self.seller.post(f"{path}/{action}")
        elif action == "end" and luck.random() < 0.3:
            await self.seller.post(f"{path}/end", {"reason": "host"})
        elif action == "refund" and self.told.paid:
            order_id = luck.choice(sorted(self.told.paid))
            body = {"reason": "chaos", "restock": luck.choice(("sale", "shelf", "none"))}
            await self.seller.post(f"/api/orders/{order_id}/refunds", body)

    async def _open(self) -> None:
        luck = self.luck
        variant = luck.choice((await self.seller.variants())[:12])
        if variant["stock"] < 5:
            return
        terms = {
            "variant_id": variant["variant_id"],
            "price_minor": luck.choice((100, 1990, 9900)),
            "quota": luck.randint(1, 12),
            "limit_per_buyer": luck.randint(1, 2),
            "hold_ms": luck.choice((2_000, 5_000, 20_000)),
            "duration_ms": luck.choice((4_000, 8_000, 15_000)),
            "countdown_ms": luck.choice((0, 500)),
            "rule": luck.choice(("first_come", "first_come", "fair_window", "draw")),
            "window_ms": 300,
            "extendable_ms": luck.choice((0, 3_000)),
        }
        self.sale_ids.append(await self.seller.open_sale(terms))

    async def end_all(self) -> None:
        """Every sale of the room on its way to `settled`."""
        for sale in (await self.seller.get("/api/rooms/rm_demo/sales?limit=100"))["sales"]:
            path = f"/api/sales/{sale['sale_id']}"
            for action, body in (("end", {"reason": "host"}), ("abort", {"reason": "host"}), ("disarm", {})):
                with contextlib.suppress(Refused):
                    await self.seller.post(f"{path}/{action}", body)


class Mischief:
    """Kills, freezes and starts again, by the seed."""

    def __init__(self, show: Show, luck: random.Random) -> None:
        self.show, self.luck = show, luck
        self.done: Counter[str] = Counter()
        self._names = ["web", "worker", "redis", *(f"hub.{number}" for number in range(HUBS))]

    async def make(self, stop: asyncio.Event) -> None:
        """One fault after another until `stop`; everything runs again at the end."""
        while not stop.is_set():
            await asyncio.sleep(self.luck.uniform(0.3, 2.0))
            name = self.luck.choice(self._names)
            fault = self.luck.choice(
                ("kill", "kill", "freeze", "stop", "empty" if name == "redis" else "kill")
            )
            self.done[f"{fault} {name.split('.')[0]}"] += 1
            if fault == "freeze":
                self.show.signal(name, signal.SIGSTOP)
                await asyncio.sleep(self.luck.uniform(0.2, 2.5))
                self.show.signal(name, signal.SIGCONT)
                continue
            if fault == "stop":
                self.show.signal(name, signal.SIGTERM)
                await asyncio.to_thread(self.show.processes[name].wait, 20)
            else:
                await asyncio.to_thread(self.show.kill, name)
            await asyncio.sleep(self.luck.uniform(0.0, 1.0))
            if fault == "empty":
                shutil.rmtree(self.show.folder / "redis", ignore_errors=True)
            await asyncio.to_thread(self.show.start, name)
        await asyncio.to_thread(self.show.wait_until_ready)


async def campaign(
    show: Show, database: Database, seconds: float, seed: int, buyers: int
) -> tuple[Told, Counter[str], Verdict]:
    """The whole run: load and faults, then peace, then the verdict."""
    luck = random.Random(seed)
    told = Told()
    seller = Seller(show.web_url)
    await seller.sign_in(*show.host_sign_in())
    host = Host(seller, told, random.Random(luck.random()))
    people = [Buyer(show.web_url) for _ in range(buyers)]
    units_before = await chaos_verdict.units(database)
    for buyer in people:
        await buyer.enter()
    shoppers = [Shopper(buyer, told, random.Random(luck.random())) for buyer in people]
    mischief = Mischief(show, random.Random(luck.random()))
    no_more_faults, no_more_shopping = asyncio.Event(), asyncio.Event()
    tasks = [
        asyncio.create_task(host.sell(no_more_shopping)),
        *(asyncio.create_task(shopper.shop(no_more_shopping)) for shopper in shoppers),
    ]
    faults = asyncio.create_task(mischief.make(no_more_faults))
    try:
        await _for(seconds, faults, *tasks)
        no_more_faults.set()
        await faults
        await _for(min(3.0, seconds / 4), *tasks)
        no_more_shopping.set()
        await asyncio.gather(*tasks)
        _say("people have stopped; ending sales and waiting until all is settled")
        await host.end_all()
        await asyncio.gather(*(shopper.cancel_unpaid() for shopper in shoppers))
        still_open = await _until(lambda: chaos_verdict.what_is_open(database), SETTLE_TIMEOUT_S)
        verdict = await chaos_verdict.judge(database, told, units_before, still_open)
    finally:
        for task in (faults, *tasks):
            task.cancel()
        await asyncio.gather(faults, *tasks, return_exceptions=True)
        await asyncio.gather(*(person.aclose() for person in (*people, seller)))
    return told, mischief.done, verdict


async def _for(seconds: float, *tasks: asyncio.Task[None]) -> None:
    """Wait; a task that ends before its time has failed, and says why."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _until(what_is_open: Callable[[], Awaitable[list[str]]], timeout_s: float) -> list[str]:
    """Wait until nothing is open; gives what still is when the time is up."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        found = await what_is_open()
        if not found or time.monotonic() > deadline_s:
            return found
        await asyncio.sleep(0.5)


def _say(text: str) -> None:
    print(f"chaos: {text}", file=sys.stderr, flush=True)


async def _campaign(show: Show, seconds: float, seed: int, buyers: int) -> tuple[Told, Counter[str], Verdict]:
    database = create_database(f"sqlite+aiosqlite:///{show.folder / 'flashroom.db'}")
    try:
        return await campaign(show, database, seconds, seed, buyers)
    finally:
        await database.aclose()


def run(seconds: float, seed: int, folder: Path, buyers: int = BUYERS) -> tuple[dict[str, Any], bool]:
    """One campaign in a folder: the line to print, and whether all is well."""
    with Show(folder, hub_processes=HUBS, environment={"FLASHROOM_COOL_DOWN_S": "0"}) as show:
        told, faults, verdict = asyncio.run(_campaign(show, seconds, seed, buyers))
        log_tails = "" if verdict.is_sound else show.tails()
    line = {
        "attempts": told.attempts,
        "granted": len(told.granted),
        "paid": len(told.paid),
        **verdict.counts(),
        "seed": seed,
        "seconds": seconds,
        "faults": sum(faults.values()),
    }
    _say(f"faults: {dict(sorted(faults.items()))}")
    _say(f"answers: {dict(sorted(told.answers.items()))}")
    for finding in verdict.findings:
        _say(f"FOUND {finding}")
    if log_tails:
        _say(log_tails)
    return line, verdict.is_sound


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60.0, help="of faults")
    parser.add_argument("--seed", type=int, default=None, help="of the faults; by default a new one")
    parser.add_argument("--buyers", type=int, default=BUYERS)
    parser.add_argument("--keep", action="store_true", help="keep the folder with data and logs")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4))
    folder = Path(tempfile.mkdtemp(prefix="flashroom-chaos-"))
    _say(f"seed {seed}, data and logs in {folder}")
    line, is_sound = run(options.seconds, seed, folder, options.buyers)
    if is_sound and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(line), flush=True)
    return 0 if is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
