"""Keeping the answers of calls, many at once."""

from __future__ import annotations

import asyncio

import pytest

from commerce.errors import CommerceError, Invalid, OutOfState
from commerce.idempotency import Begun, Replay
from live.answers import Answers
from tests.live.conftest import Shop


async def test_calls_that_come_together_each_get_their_own_answer(shop: Shop) -> None:
    answers = Answers(shop.wiring.database)
    await answers.begin("gu_a", "key-done", "f", 1)
    await answers.finish("gu_a", "key-done", 201, b"{}", 2)
    await answers.begin("gu_a", "key-running", "f", 1)
    outcomes = await asyncio.gather(
        answers.begin("gu_a", "key-new", "f", 3),
        answers.begin("gu_a", "key-done", "f", 3),
        answers.begin("gu_a", "key-done", "another", 3),
        answers.begin("gu_a", "key-running", "f", 3),
        answers.begin("gu_b", "key-done", "f", 3),
        return_exceptions=True,
    )
    new, done, reused, running, other = outcomes
    assert (new, other) == (Begun(), Begun())
    assert done == Replay(201, b"{}")
    assert isinstance(reused, Invalid)
    assert isinstance(running, OutOfState)


async def test_one_key_asked_for_many_times_at_once_is_claimed_once(shop: Shop) -> None:
    answers = [Answers(shop.wiring.database) for _ in range(3)]  # three processes
    claims = await asyncio.gather(
        *(answers[number % 3].begin("gu_a", "key-1", "f", number) for number in range(30)),
        return_exceptions=True,
    )
    assert claims.count(Begun()) == 1
    codes = {claim.code for claim in claims if isinstance(claim, CommerceError)}
    assert codes == {"idempotency_in_progress"}


async def test_a_hundred_calls_share_a_few_commits(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, groups = Answers(shop.wiring.database), []
    commit = answers._commit

    async def counted(steps: list[object]) -> list[object]:
        groups.append(len(steps))
        return await commit(steps)  # type: ignore[arg-type, return-value]

    monkeypatch.setattr(answers._steps, "_commit", counted)
    await asyncio.gather(*(answers.begin("gu_a", f"key-{number}", "f", 1) for number in range(100)))
    assert sum(groups) == 100
    assert len(groups) <= 3


async def test_an_abandoned_key_is_free_again(shop: Shop) -> None:
    answers = Answers(shop.wiring.database)
    await answers.begin("gu_a", "key-1", "f", 1)
    await answers.abandon("gu_a", "key-1")
    assert await answers.begin("gu_a", "key-1", "another", 2) == Begun()
