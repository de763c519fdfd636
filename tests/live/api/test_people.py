"""Roles are given and taken by those above them; an invitation makes one account, once."""

from __future__ import annotations

from typing import Any

import pytest

from commerce.clock import wall_clock_ms
from live import open_consoles, people
from tests.live.api.test_rooms import actions
from tests.live.conftest import Browser, Shop


async def roles_of(shop: Shop, who: Browser) -> dict[str, str]:
    seen = (await who.get(f"/api/rooms/{shop.room_id}/people")).json()
    return {person["user_id"]: person["role"] for person in seen["people"]}


async def test_an_owner_changes_a_role_and_it_counts_from_the_next_call(shop: Shop) -> None:
    owner, seller = await shop.staff("owner"), await shop.staff("seller")
    await seller.call("PUT", f"/api/rooms/{shop.room_id}/desk", {})
    path = f"/api/rooms/{shop.room_id}/people/us_seller"
    assert (await owner.call("PUT", path, {"role": "analyst"})).json()["role"] == "analyst"
    pinning = await seller.call("PUT", f"/api/rooms/{shop.room_id}/pin", {"product_id": None})
    assert (pinning.status_code, pinning.json()["code"]) == (403, "wrong_role")
    assert (await owner.get(f"/api/rooms/{shop.room_id}/desk")).json() == {"holder": None, "request": None}
    assert (await owner.call("DELETE", path)).status_code == 204
    assert "us_seller" not in await roles_of(shop, owner)
    assert (await owner.call("DELETE", path)).json()["code"] == "unknown_person"
    assert [name for name in await actions(shop) if name.startswith("person_")] == [
        "person_role",
        "person_remove",
    ]


@pytest.mark.parametrize(
    ("user_id", "role"),
    [("us_owner", "moderator"), ("us_host", "seller"), ("us_seller", "host"), ("us_seller", "owner")],
)
async def test_a_host_gives_and_takes_only_the_roles_below(shop: Shop, user_id: str, role: str) -> None:
    host = await shop.staff("host")
    before = await roles_of(shop, host)
    path = f"/api/rooms/{shop.room_id}/people/{user_id}"
    answer = await host.call("PUT", path, {"role": role})
    assert (answer.status_code, answer.json()["code"]) == (403, "role_above_yours")
    assert await roles_of(shop, host) == before


async def test_the_last_owner_stays(shop: Shop) -> None:
    owner = await shop.staff("owner")
    path = f"/api/rooms/{shop.room_id}/people"
    for answer in (
        await owner.call("DELETE", f"{path}/us_owner"),
        await owner.call("PUT", f"{path}/us_owner", {"role": "host"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")
    assert (await owner.call("PUT", f"{path}/us_host", {"role": "owner"})).status_code == 200
    assert (await owner.call("PUT", f"{path}/us_owner", {"role": "host"})).status_code == 200


async def test_an_invitation_makes_an_account_that_works_in_the_room(shop: Shop) -> None:
    owner = await shop.staff("owner")
    path = f"/api/rooms/{shop.room_id}/people"
    made = (await owner.post(path, {"email": "New@Example.com", "role": "moderator"})).json()
    token = made["link"].partition("invite=")[2]
    seen = (await owner.get(path)).json()
    assert [one["email"] for one in seen["invites"]] == ["new@example.com"]
    assert token not in str(seen)
    new = shop.browser()
    assert (await new.post("/api/invites/look", {"token": token})).json()["role"] == "moderator"
    body = {"token": token, "name": "Nia", "password": "a long password"}
    welcome = await new.post("/api/invites/accept", body)
    assert (welcome.status_code, welcome.json()["room_id"]) == (201, shop.room_id)
    assert (await new.get("/api/me")).json()["user"]["roles"] == {shop.room_id: "moderator"}
    assert (await new.post(f"/api/rooms/{shop.room_id}/announcements", {"text": "hi"})).status_code == 204
    again = await shop.browser().post("/api/invites/accept", body)
    assert (again.status_code, again.json()["code"]) == (404, "invite_over")
    assert (await roles_of(shop, owner))[welcome.json()["user"]["user_id"]] == "moderator"
    signed_in = await shop.browser().post(
        "/api/sessions", {"email": "new@example.com", "password": "a long password"}
    )
    assert signed_in.status_code == 201


async def test_a_withdrawn_or_replaced_invitation_opens_nothing(shop: Shop) -> None:
    owner, stranger = await shop.staff("owner"), shop.browser()
    path = f"/api/rooms/{shop.room_id}/people"
    links = [
        (await owner.post(path, {"email": "new@example.com", "role": "seller"})).json() for _ in range(2)
    ]
    first, second = (made["link"].partition("invite=")[2] for made in links)
    assert (await stranger.post("/api/invites/look", {"token": first})).status_code == 404
    assert (await stranger.post("/api/invites/look", {"token": second})).status_code == 200
    invite_id = links[1]["invite"]["invite_id"]
    assert (await owner.call("DELETE", f"/api/rooms/{shop.room_id}/invites/{invite_id}")).status_code == 204
    assert (await stranger.post("/api/invites/look", {"token": second})).status_code == 404


async def test_an_invitation_ends_with_its_week(shop: Shop) -> None:
    async with shop.wiring.database.begin() as c:
        _, token = await people.make_invite(
            c, "owner", shop.room_id, "new@example.com", "seller", invite_id="in_x", now_ms=1
        )
    async with shop.wiring.database.read() as c:
        assert (await people.find_invite(c, token, people.INVITE_TTL_MS)).role == "seller"
    late = await shop.browser().post("/api/invites/look", {"token": token})
    assert (late.status_code, late.json()["code"]) == (404, "invite_over")


async def test_somebody_with_an_account_is_added_without_an_invitation(shop: Shop) -> None:
    owner = await shop.staff("owner")
    path = f"/api/rooms/{shop.room_id}/people"
    assert (await owner.call("DELETE", f"{path}/us_analyst")).status_code == 204
    added = (await owner.post(path, {"email": "analyst@example.com", "role": "seller"})).json()
    assert (added["person"]["role"], added["invite"], added["link"]) == ("seller", None, None)
    twice = await owner.post(path, {"email": "analyst@example.com", "role": "host"})
    assert (twice.status_code, twice.json()["code"]) == (409, "already_here")


async def test_who_has_the_console_open_is_said_and_who_is_silent_is_away(shop: Shop) -> None:
    owner, seller = await shop.staff("owner"), await shop.staff("seller")
    path = f"/api/rooms/{shop.room_id}"

    async def here() -> Any:
        return (await owner.get(f"{path}/people")).json()["here"]

    assert await here() == []
    await seller.get(f"{path}/stats")
    assert await here() == ["us_seller"]
    await owner.get(f"{path}/stats")
    assert await here() == ["us_owner", "us_seller"]
    assert (await seller.get(f"{path}/stats")).json()["moderators"] == []
    await (await shop.staff("moderator")).get(f"{path}/stats")
    assert (await seller.get(f"{path}/stats")).json()["moderators"] == ["Moderator"]
    later = wall_clock_ms() + open_consoles.AWAY_AFTER_MS
    await open_consoles.saw(shop.wiring.redis, shop.room_id, "us_owner", later)
    assert await open_consoles.who(shop.wiring.redis, shop.room_id, later) == {"us_owner"}
