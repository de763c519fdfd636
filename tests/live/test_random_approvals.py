"""Random lives of requests for a second person: whatever is pressed, lapses or dies when, money moves once per approval and never else."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import func, select, update

from commerce import crash_points
from commerce.schema import refund as refund_table
from live.schema import approval as approval_table
from tests.live.api.test_after_sales import log_of, paid_order
from tests.live.api.test_approvals import answer, limited, listed, refund, refunded
from tests.live.conftest import Browser, Shop

STEPS = 40
LIMIT = 10
FINAL = {"done", "declined", "withdrawn", "failed", "expired"}


class Room:
    """Three people at one order, and what has to be true by what was answered."""

    def __init__(self, shop: Shop, people: list[Browser], order: dict[str, Any], luck: random.Random) -> None:
        self.shop, self.people, self.order, self.luck = shop, people, order, luck
        self.asked: dict[str, tuple[Browser, int]] = {}
        self.states: dict[str, str] = {}

    async def ask(self) -> None:
        asker, amount = self.luck.choice(self.people), self.luck.randint(LIMIT + 1, 900)
        said = (await refund(asker, self.order, {"reason": "x", "amount_minor": amount})).json()
        assert said["code"] in ("second_person_needed", "refund_above_paid")
        if "approval_id" in said:
            self.asked.setdefault(said["approval_id"], (asker, amount))

    async def press(self) -> None:
        if not self.asked:
            return
        waiting = [one for one in self.asked if self.states[one] == "asked"]
        approval_id = self.luck.choice(
            (waiting or list(self.asked)) if self.luck.random() < 0.8 else list(self.asked)
        )
        asker, _ = self.asked[approval_id]
        who = self.luck.choice(self.people)
        what = self.luck.choice(("approve", "approve", "approve", "decline", "withdraw"))
        place = self.luck.choice(("approval.marked", "approval.done", "nowhere", "nowhere"))
        with crash_points.armed(place):
            try:
                said = await answer(self.shop, who, approval_id, what)
            except crash_points.Crashed:
                return
        if said.status_code == 200:
            assert (who is asker) is (what == "withdraw")

    async def lapse(self) -> None:
        if self.asked:
            this = approval_table.c.approval_id == self.luck.choice(list(self.asked))
            async with self.shop.wiring.database.begin() as c:
                await c.execute(update(approval_table).where(this).values(ends_at_ms=1))

    async def check(self) -> None:
        shown = {one["approval_id"]: one for one in (await listed(self.shop, self.people[0]))["approvals"]}
        for approval_id, one in shown.items():
            before = self.states.get(approval_id, "asked")
            assert before == one["state"] or before not in FINAL, (before, one["state"])
            self.states[approval_id] = one["state"]
            if one["answerer"] is not None:
                assert one["answerer"] != one["asker"]
        done = [approval_id for approval_id, state in self.states.items() if state == "done"]
        total = sum(self.asked[approval_id][1] for approval_id in done)
        assert await refunded(self.people[0], self.order) == total
        async with self.shop.wiring.database.read() as c:
            promised = select(func.coalesce(func.sum(refund_table.c.amount_minor), 0), func.count())
            mine = refund_table.c.order_id == self.order["order_id"]
            assert tuple((await c.execute(promised.where(mine))).one()) == (total, len(done))
        log = [line["action"] for line in await log_of(self.shop, self.people[0], self.order["order_id"])]
        assert log.count("order_refund") == log.count("approval_approve") == len(done)


@pytest.mark.parametrize("seed", range(4))
async def test_money_moves_once_per_approval_and_never_else(shop: Shop, seed: int) -> None:
    luck = random.Random(seed)
    people = [await shop.staff(role) for role in ("host", "seller", "owner")]
    order = await paid_order(shop, people[0], await shop.guest())
    await limited(shop, LIMIT)
    room = Room(shop, people, order, luck)
    for _ in range(STEPS):
        step = luck.choices((room.ask, room.press, room.lapse), weights=(3, 9, 1))[0]
        await step()
        await room.check()
    last = (await refund(people[0], order, {"reason": "the last", "amount_minor": LIMIT + 1})).json()
    room.asked[last["approval_id"]] = (people[0], LIMIT + 1)
    assert (await answer(shop, people[1], last["approval_id"])).json()["state"] == "done"
    await room.check()
