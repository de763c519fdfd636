"""Refusals as RFC 9457 problems."""

from __future__ import annotations

import json
from typing import Any

import pytest

from commerce import errors
from commerce.errors import CommerceError, NotFound, OutOfState, Refused, Unavailable
from live import problems
from live.limits import TooMany
from live.problems import HttpProblem
from realtime.protocol import CommandError


def body(response: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(response.body)
    return read


def test_every_kind_of_refusal_of_commerce_has_a_status() -> None:
    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, CommerceError)]
    for kind in kinds:
        if kind is CommerceError:
            continue
        response = problems.of_error(kind("some_code", "Some words."))
        assert 400 <= response.status_code <= 503, kind
        shown = body(response)
        assert (shown["status"], shown["code"], shown["detail"]) == (
            response.status_code,
            "some_code",
            "Some words.",
        )
        assert shown["type"] == "urn:flashroom:problem:some_code"
        assert shown["title"]


def test_the_facts_behind_a_refusal_are_told_and_never_overwrite_the_problem() -> None:
    shown = body(problems.of_error(Refused("stock_short", "Too few.", withdrawable=3, status="open")))
    assert (shown["withdrawable"], shown["status"], shown["fact_status"]) == (3, 409, "open")


@pytest.mark.parametrize(
    "error",
    [TooMany(1500), Unavailable("redis_unavailable"), CommandError("unavailable", "Chat is paused."),
     OutOfState("idempotency_in_progress")],
)  # fmt: skip
def test_what_may_work_later_says_when_to_try_again(error: CommerceError | CommandError) -> None:
    assert int(problems.of_error(error).headers["retry-after"]) >= 1


def test_a_problem_can_always_be_sent() -> None:
    response = problems.of_error(
        HttpProblem(422, "bad_fields", "Not right: \ud800", errors=[{"field": "\udfff"}])
    )
    assert body(response)["code"] == "bad_fields"


def test_a_refusal_without_words_of_its_own_still_says_something() -> None:
    assert body(problems.of_error(NotFound("unknown_order")))["detail"] == "unknown order"
