"""Accounts: a buyer is one buyer on all their devices, and is told what is wrong with what they typed."""

from __future__ import annotations

import pytest

from tests.live.api.test_orders import place, tap
from tests.live.conftest import Shop

ANN = {"email": "Ann@Example.com", "name": "Ann", "password": "correct horse"}


async def test_the_limit_counts_an_accounts_orders_on_all_its_devices(shop: Shop) -> None:
    host, phone, desktop = await shop.staff("host"), shop.browser(), shop.browser()
    sale = await shop.open_sale(host, limit_per_buyer=1)
    made = await phone.post("/api/accounts", ANN)
    assert made.status_code == 201, made.text
    assert made.json()["user"] | {"user_id": ""} == {
        "user_id": "",
        "email": "ann@example.com",
        "name": "Ann",
        "roles": {},
    }
    signed_in = await desktop.post("/api/sessions", {"email": "ann@example.com", "password": ANN["password"]})
    assert signed_in.json() == made.json()
    placed = await place(phone, (await tap(shop, phone, sale["sale_id"]))["token"])
    assert placed.status_code == 201, placed.text
    refused = await tap(shop, desktop, sale["sale_id"], "request-2")
    assert (refused["decision"], refused["reason"]) == ("refused", "limit_reached")
    for device in (phone, desktop):
        mine = (await device.get(f"/api/rooms/{shop.room_id}/mine")).json()
        assert [order["order_id"] for order in mine["orders"]] == [placed.json()["order_id"]]


async def test_an_account_opens_no_door_of_a_show(shop: Shop) -> None:
    ann = shop.browser()
    await ann.post("/api/accounts", ANN)
    answer = await ann.post(f"/api/rooms/{shop.room_id}/announcements", {"text": "hello"})
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_role")


async def test_an_address_has_one_account(shop: Shop) -> None:
    await shop.browser().post("/api/accounts", ANN)
    again = await shop.browser().post("/api/accounts", ANN | {"email": "ann@example.COM "})
    assert (again.status_code, again.json()["code"]) == (409, "email_taken")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "ann"),
        ("email", "a b@example.com"),
        ("email", "a" * 300 + "@example.com"),
        ("password", "short"),
        ("password", "x" * 201),
        ("name", ""),
        ("name", "x" * 25),
    ],
)
async def test_what_cannot_be_an_account_is_named(shop: Shop, field: str, value: str) -> None:
    answer = await shop.browser().post("/api/accounts", ANN | {field: value})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_fields")
    assert [one["field"] for one in answer.json()["errors"]] == [field]
