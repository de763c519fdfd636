"""Roles: an owner gives and takes them, the log says so, and no room is left without an owner."""

from __future__ import annotations

import asyncio

import pytest

from tests.live.api.test_accounts import ANN
from tests.live.conftest import STAFF, Browser, Shop


def emails(answer: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {one["email"]: one["role"] for one in answer["people"]}


async def test_an_owner_gives_changes_and_takes_a_role_and_it_counts_at_once(shop: Shop) -> None:
    owner, ann = await shop.staff("owner"), shop.browser()
    await ann.post("/api/accounts", ANN)
    path = f"/api/rooms/{shop.room_id}/people"
    assert (await ann.get(path)).status_code == 403
    given = await owner.post(path, {"email": "ANN@example.com", "role": "moderator"})
    assert emails(given.json()) == {f"{role}@example.com": role for role in STAFF} | {
        "ann@example.com": "moderator"
    }
    assert (await ann.get(path)).json() == given.json()
    user_id = (await ann.get("/api/me")).json()["user"]["user_id"]
    await owner.post(path, {"email": "ann@example.com", "role": "seller"})
    await owner.post(path, {"email": "ann@example.com", "role": "seller"})
    taken = await owner.call("DELETE", f"{path}/{user_id}")
    assert "ann@example.com" not in emails(taken.json())
    assert (await ann.get(path)).status_code == 403
    log = (await owner.get(f"/api/rooms/{shop.room_id}/audit")).json()["entries"]
    assert [(one["action"], one["before"], one["after"]) for one in log if one["target"] == user_id] == [
        ("role_take", "seller", None),
        ("role_give", "moderator", "seller"),
        ("role_give", None, "moderator"),
    ]


async def test_the_last_owner_stays_also_when_two_go_at_once(shop: Shop) -> None:
    owner, ann = await shop.staff("owner"), shop.browser()
    me = (await owner.get("/api/me")).json()["user"]["user_id"]
    path = f"/api/rooms/{shop.room_id}/people"
    demoted = await owner.post(path, {"email": "owner@example.com", "role": "host"})
    assert (demoted.status_code, demoted.json()["code"]) == (409, "last_owner")
    left = await owner.call("DELETE", f"{path}/{me}")
    assert (left.status_code, left.json()["code"]) == (409, "last_owner")
    await ann.post("/api/accounts", ANN)
    await owner.post(path, {"email": ANN["email"], "role": "owner"})
    ann_id = (await ann.get("/api/me")).json()["user"]["user_id"]

    async def leave(browser: Browser, user_id: str) -> int:
        return (await browser.call("DELETE", f"{path}/{user_id}")).status_code

    assert sorted(await asyncio.gather(leave(owner, me), leave(ann, ann_id))) == [200, 409]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"email": "nobody@example.com", "role": "host"}, 404, "unknown_account"),
        ({"email": "host@example.com", "role": "king"}, 422, "bad_fields"),
        ({"email": "host@example.com"}, 422, "bad_fields"),
    ],
)
async def test_what_cannot_be_a_role_is_said(
    shop: Shop, body: dict[str, str], status: int, code: str
) -> None:
    owner = await shop.staff("owner")
    answer = await owner.post(f"/api/rooms/{shop.room_id}/people", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    gone = await owner.call("DELETE", f"/api/rooms/{shop.room_id}/people/us_nobody")
    assert (gone.status_code, gone.json()["code"]) == (404, "no_role")
