"""Binds that arrive together share a commit, and each has its own answer, as if it had come alone."""

from __future__ import annotations

import asyncio
import random

import pytest

from commerce import bind_group, crash_points
from commerce.errors import CommerceError, Refused, Unavailable
from commerce.group_commit import GroupCommit
from commerce.orders import Order
from tests.commerce.world import World


async def test_what_arrives_during_a_commit_is_committed_together_as_the_next() -> None:
    groups: list[list[int]] = []
    gate = asyncio.Event()

    async def commit(jobs: list[int]) -> list[int | BaseException]:
        groups.append(jobs)
        await gate.wait()
        return [job * 10 for job in jobs]

    commits = GroupCommit(commit, max_group=4)
    calls = [asyncio.create_task(commits.run(number)) for number in range(8)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    late = asyncio.create_task(commits.run(8))
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*calls, late) == [number * 10 for number in range(9)]
    assert [len(group) for group in groups] == [4, 4, 1]
    await commits.aclose()


async def test_each_call_has_its_own_answer_and_a_failed_group_does_not_stop_the_next() -> None:
    async def commit(jobs: list[str]) -> list[str | BaseException]:
        if "all" in jobs:
            raise ValueError("all")
        return [Refused(job) if job == "no" else job for job in jobs]

    commits: GroupCommit[str, str] = GroupCommit(commit)
    answers = await asyncio.gather(commits.run("yes"), commits.run("no"), return_exceptions=True)
    assert answers[0] == "yes"
    assert isinstance(answers[1], Refused)
    with pytest.raises(ValueError, match="all"):
        await commits.run("all")
    assert await commits.run("yes") == "yes"


async def test_a_caller_that_goes_away_does_not_stop_the_group_and_too_many_are_turned_away() -> None:
    gate = asyncio.Event()

    async def commit(jobs: list[int]) -> list[int | BaseException]:
        await gate.wait()
        return list(jobs)

    commits = GroupCommit(commit, max_group=2, max_waiting=3)
    calls = [asyncio.create_task(commits.run(number)) for number in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    calls += [asyncio.create_task(commits.run(number)) for number in range(2, 5)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await commits.run(9)
    calls[0].cancel()
    gate.set()
    assert await asyncio.gather(*calls[1:]) == [1, 2, 3, 4]


async def test_a_stop_answers_everyone_who_waits() -> None:
    async def commit(jobs: list[int]) -> list[int | BaseException]:
        await asyncio.Event().wait()
        return []

    commits = GroupCommit(commit, max_group=1)
    calls = [asyncio.create_task(commits.run(number)) for number in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert commits._runner is not None
    commits._runner.cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(answer) for answer in answers} == {Unavailable}


def outcome(answer: Order | BaseException) -> str:
    return answer.code if isinstance(answer, CommerceError) else "bound"


async def test_a_mixed_group_is_answered_as_if_each_had_come_alone(world: World) -> None:
    sale = await world.open_sale(quota=4, limit_per_buyer=2)
    ana = world.hold(sale, "gu_ana")
    before = await world.bind(world.hold(sale, "gu_old"))
    holds = [
        ana,
        ana,  # a double tap
        world.hold(sale, "gu_ana"),
        world.hold(sale, "gu_ana"),  # above the limit
        world.hold(sale, "gu_bo", expires_at_ms=world.clock.now_ms),
        world.hold(sale, "gu_cy", room_id="rm_other"),
        world.hold(sale, "gu_di", 2),  # only one is left
        world.hold(sale, "gu_eve"),
        world.hold(sale, "gu_fay"),
        world.hold(sale, "gu_old", hold_id=before.hold_id),
    ]
    answers = await asyncio.gather(*(world.bind(hold) for hold in holds), return_exceptions=True)
    assert [outcome(answer) for answer in answers] == [
        "bound",
        "bound",
        "bound",
        "limit_reached",
        "hold_expired",
        "sale_closed",
        "sold_out_late",
        "bound",
        "sold_out_late",
        "bound",
    ]
    assert isinstance(answers[0], Order)
    assert answers[0] == answers[1] == await world.order(answers[0].order_id)
    assert answers[9] == before
    after = await world.sale(sale.sale_id)
    assert (after.reserved, after.base) == (4, 0)
    await world.assert_sound()


async def test_a_group_is_one_stock_update_and_one_commit(world: World) -> None:
    sale = await world.open_sale(quota=60)
    await asyncio.gather(*(world.bind(world.hold(sale, f"gu_{n}")) for n in range(60)))
    after = await world.sale(sale.sale_id)
    assert after.reserved == 60
    assert after.version - sale.version <= 2
    await world.assert_sound()


@pytest.mark.parametrize("processes", [2, 4])
async def test_groups_of_several_processes_race_and_nothing_is_oversold(world: World, processes: int) -> None:
    sale = await world.open_sale(quota=25, limit_per_buyer=2)
    others = [World(world.database, world.hot) for _ in range(processes)]
    for other in others:
        other.clock = world.clock
        other.checkout.clock_ms = world.clock
    holds = [world.hold(sale, f"gu_{n % 20}") for n in range(60)]
    chance = random.Random(processes)
    calls = [chance.choice(others).bind(hold) for hold in holds for _ in range(2)]
    chance.shuffle(calls)
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert {outcome(answer) for answer in answers} <= {"bound", "limit_reached", "sold_out_late"}
    assert len({answer.order_id for answer in answers if isinstance(answer, Order)}) == 25
    assert (await world.sale(sale.sale_id)).reserved == 25
    await world.assert_sound()


async def test_a_group_whose_reading_went_stale_binds_one_by_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale = await world.open_sale(quota=3)
    read = bind_group._read

    async def read_too_much(c: object, jobs: object) -> object:
        seen = await read(c, jobs)  # type: ignore[arg-type]
        seen.free = dict.fromkeys(seen.free, 100)  # as if others had bound since
        return seen

    monkeypatch.setattr(bind_group, "_read", read_too_much)
    answers = await asyncio.gather(
        *(world.bind(world.hold(sale, f"gu_{n}")) for n in range(8)), return_exceptions=True
    )
    assert [outcome(answer) for answer in answers] == ["bound"] * 3 + ["sold_out_late"] * 5
    await world.assert_sound()


async def test_a_crash_before_the_groups_commit_leaves_nothing(world: World) -> None:
    sale = await world.open_sale(quota=5)
    holds = [world.hold(sale, f"gu_{n}") for n in range(5)]
    with crash_points.armed("bind_group.before_commit") as reached:
        answers = await asyncio.gather(*(world.bind(hold) for hold in holds), return_exceptions=True)
    assert reached == ["bind_group.before_commit"]
    assert any(isinstance(answer, crash_points.Crashed) for answer in answers)
    await world.assert_sound()
    assert {outcome(order) for order in await asyncio.gather(*(world.bind(hold) for hold in holds))} == {
        "bound"
    }
    assert (await world.sale(sale.sale_id)).reserved == 5


async def test_redis_is_told_of_the_whole_group(world: World) -> None:
    sale = await world.open_sale(quota=6)
    holds = [await world.granted_hold(sale, f"gu_{n}") for n in range(5)]
    await asyncio.gather(*(world.bind(hold) for hold in holds))
    numbers = await world.hot.numbers(sale.room_id, sale.sale_id)
    assert numbers is not None
    assert (numbers.available, numbers.held, numbers.soft) == (1, 5, 0)
