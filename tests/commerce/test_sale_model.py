"""A model of the whole sale engine: any order of taps, payments, controls, jobs, crashes and losses, on real Redis and SQL.

`FLASHROOM_MODEL_EXAMPLES=500` looks longer, and at other histories each time; the default always takes the same ones.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from commerce.database import create_database
from commerce.hot_ledger import connect_redis
from tests.commerce.databases import copy_sqlite
from tests.commerce.sale_machine import BUYERS, CRASH_POINTS, SaleMachine
from tests.commerce.world import (
    DECLINED_CARD,
    DISORDERLY_CARD,
    OK_CARD,
    SILENT_CARD,
    TWICE_CARD,
)
from tests.services import running_redis

EXAMPLES = int(os.environ.get("FLASHROOM_MODEL_EXAMPLES", "25"))
SHRINK = "FLASHROOM_MODEL_NO_SHRINK" not in os.environ
NUMBER = st.integers(0, 99)
CARDS = (OK_CARD, OK_CARD, OK_CARD, DECLINED_CARD, SILENT_CARD, TWICE_CARD, DISORDERLY_CARD)
WEIGHTS = {
    "tap": 5,
    "a crowd taps": 3,
    "the same tap again": 2,
    "release": 2,
    "leave the wait list": 1,
    "bind": 4,
    "pay": 3,
    "buy": 4,
    "order": 3,
    "order and cancel": 2,
    "cancel": 2,
    "stock": 2,
    "pause": 1,
    "resume": 2,
    "end early": 1,
    "time passes": 4,
    "a job": 5,
    "all jobs": 3,
    "the next step dies": 4,
    "the next reply is lost": 1,
    "redis is away": 1,
    "redis is copied": 2,
    "redis loses": 2,
}
STEPS = [step for step, weight in WEIGHTS.items() for _ in range(weight)]
JOBS = (*("timers", "sweep", "log", "webhooks", "inbox", "polls", "let go", "refunds", "reconcile", "relay"),)


class SaleModel(RuleBasedStateMachine):
    """Drives a SaleMachine from hypothesis' synchronous steps, on one event loop per history."""

    redis_url: ClassVar[str]
    template: ClassVar[Path]
    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.redis = connect_redis(self.redis_url)
        self.database = create_database(copy_sqlite(self.template, self.folder))
        self.machine = SaleMachine(self.database, self.redis)
        self.do(self.machine.empty_redis())
        self.machine.life = 0

    def do(self, work: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize(
        quota=st.integers(1, 4),
        limit=st.integers(1, 2),
        rule=st.sampled_from(["first_come", "first_come", "fair_window", "draw"]),
        duration_ms=st.sampled_from([20_000, 300_000]),
    )
    def begin(self, quota: int, limit: int, rule: str, duration_ms: int) -> None:
        terms = {"rule": rule, "window_ms": 2_000, "hold_ms": 60_000, "duration_ms": duration_ms}
        self.do(self.machine.begin(quota=max(quota, limit), limit_per_buyer=limit, **terms))

    @rule(step=st.sampled_from(STEPS), number=NUMBER, buyer=st.sampled_from(BUYERS), twice=st.booleans())
    def happens(self, step: str, number: int, buyer: str, twice: bool) -> None:
        """One rule with weighted steps: separate rules are switched off at random, and then hardly anybody ever buys."""
        machine = self.machine
        card = CARDS[number % len(CARDS)]
        if step == "tap":
            self.do(machine.tap(buyer, 1 + twice, wait=number % 2 == 0))
        elif step == "a crowd taps":
            for one in BUYERS:
                self.do(machine.tap(one, 1, wait=twice))
        elif step == "the same tap again":
            self.do(machine.ask(number))
        elif step == "release":
            self.do(machine.release(number))
        elif step == "leave the wait list":
            self.do(machine.leave(buyer))
        elif step == "bind":
            self.do(machine.bind(number))
        elif step == "pay":
            self.do(machine.pay(number, card))
        elif step in ("buy", "order", "order and cancel"):
            self.do(machine.tap(buyer, 1, wait=False))
            self.do(machine.bind(1))
            if step == "buy":
                self.do(machine.pay(1, card))
            elif step == "order and cancel":
                self.do(machine.cancel(1))
        elif step == "cancel":
            self.do(machine.cancel(number))
        elif step == "stock":
            self.do(machine.withdraw_stock(1 + number % 2) if twice else machine.add_stock(1 + number % 2))
        elif step == "pause":
            self.do(machine.pause("payment_outage" if twice else "host"))
        elif step == "resume":
            self.do(machine.resume())
            machine.pass_ms(5_500 * twice)
        elif step == "end early":
            self.do(machine.end_early())
        elif step == "time passes":
            machine.pass_ms((300, 2_500, 6_000, 31_000, 66_000)[number % 5])
        elif step == "a job":
            self.do(machine.run_job(JOBS[number % len(JOBS)], twice=twice))
        elif step == "all jobs":
            for name in JOBS:
                self.do(machine.run_job(name, twice=twice))
        elif step == "the next step dies":
            machine.armed = CRASH_POINTS[number % len(CRASH_POINTS)]
        elif step == "the next reply is lost":
            machine.hot.lose_next_reply = not machine.hot.away
        elif step == "redis is away":
            machine.hot.away = twice
        elif step == "redis is copied":
            self.do(machine.copy_redis())
        elif step == "redis loses":
            self.do(machine.restore_redis() if twice else machine.empty_redis())

    @invariant()
    def everything_holds(self) -> None:
        if self.machine.sale_id:
            self.do(self.machine.check())

    def teardown(self) -> None:
        try:
            if self.machine.sale_id:
                self.do(self.machine.drain())
            self.seen.update(self.machine.seen)
        finally:
            self.do(self.database.aclose())
            self.do(self.redis.aclose())
            self.loop.close()
            shutil.rmtree(self.folder)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[str]:
    with running_redis(tmp_path / "redis") as server:
        yield server.url


@pytest.mark.timeout(0 if EXAMPLES > 100 else 600)
def test_whatever_happens_nothing_is_oversold_lost_or_leaked(own_redis: str, sqlite_file: Path) -> None:
    SaleModel.redis_url, SaleModel.template = own_redis, sqlite_file
    run_state_machine_as_test(
        SaleModel,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            report_multiple_bugs=False,
            phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
            if SHRINK
            else (Phase.generate,),
            derandomize="FLASHROOM_MODEL_EXAMPLES" not in os.environ,
            suppress_health_check=list(HealthCheck),
        ),
    )
    # Histories in which nothing happens would pass too.
    expected = (
        "granted",
        "all_held",
        "limit_reached",
        "joined",
        "window",
        "not_loaded",
        "rebuilt",
        "crashed",
    )
    told = ("told expired", "told promoted", "told granted")
    orders = ("paid", "expired", "cancelled")
    assert {name for name in (*expected, *told, *orders) if not SaleModel.seen[name]} == set()
