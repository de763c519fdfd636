"""The same key and body is the same call; another body is an error; a dead first call may be done by a retry."""

from __future__ import annotations

import asyncio

import pytest

from commerce import idempotency
from commerce.database import Database
from commerce.errors import Invalid, OutOfState
from commerce.idempotency import Begun, Replay, fingerprint

PRINT = fingerprint("POST", "/api/orders", b"{}")


async def begin(
    database: Database, now_ms: int = 0, call: str = PRINT, who: str = "gu_ana"
) -> Begun | Replay:
    async with database.begin() as c:
        return await idempotency.begin(c, who, "key-12345", call, now_ms)


async def finish(database: Database, body: bytes = b"done") -> None:
    async with database.begin() as c:
        await idempotency.finish(c, "gu_ana", "key-12345", 201, body)


async def test_the_stored_answer_is_given_again_and_never_changes(database: Database) -> None:
    assert await begin(database) == Begun()
    await finish(database)
    await finish(database, b"other")
    assert await begin(database, now_ms=10**9) == Replay(201, b"done")


async def test_another_body_with_the_same_key_is_an_error(database: Database) -> None:
    await begin(database)
    with pytest.raises(Invalid) as reused:
        await begin(database, call=fingerprint("POST", "/api/orders", b"{ }"))
    assert reused.value.code == "idempotency_key_reused"


async def test_keys_of_different_people_are_different_keys(database: Database) -> None:
    assert await begin(database) == Begun()
    assert await begin(database, who="gu_bo") == Begun()


async def test_of_many_first_calls_at_once_one_begins(database: Database) -> None:
    answers = await asyncio.gather(*(begin(database) for _ in range(8)), return_exceptions=True)
    assert answers.count(Begun()) == 1
    assert {answer.code for answer in answers if isinstance(answer, OutOfState)} == {
        "idempotency_in_progress"
    }


async def test_a_call_that_died_is_taken_over_once_after_five_seconds(database: Database) -> None:
    await begin(database)
    with pytest.raises(OutOfState):
        await begin(database, now_ms=4_999)
    answers = await asyncio.gather(*(begin(database, now_ms=5_000) for _ in range(4)), return_exceptions=True)
    assert answers.count(Begun()) == 1


async def test_an_answer_that_decided_nothing_gives_the_key_free(database: Database) -> None:
    await begin(database)
    async with database.begin() as c:
        await idempotency.abandon(c, "gu_ana", "key-12345")
    assert await begin(database) == Begun()


async def test_answers_are_kept_for_thirty_days(database: Database) -> None:
    await begin(database)
    await finish(database)
    async with database.begin() as c:
        assert await idempotency.forget_old(c, idempotency.KEEP_MS) == 0
        assert await idempotency.forget_old(c, idempotency.KEEP_MS + 1) == 1
