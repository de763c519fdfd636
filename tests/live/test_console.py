"""The audit log of the sale desk: a change and its line stand or fall together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from commerce.errors import OutOfState
from commerce.sale_rules import NewSale, Sale
from commerce.sales import SaleDesk
from live import audit
from live.audit import Entry
from live.console import Action, audited_desk
from live.identity import Caller, User
from tests.live.conftest import Shop

HOST = Caller(None, User("us_host", "host@example.com", "Host", {}), "1.1.1.1")


async def lines(shop: Shop) -> list[Entry]:
    async with shop.wiring.database.read() as c:
        found, _ = await audit.entries(c, shop.room_id, 50, None)
    return found


def desk(shop: Shop, action: str, call_id: str, sale_id: str | None = None) -> SaleDesk:
    return audited_desk(shop.wiring.sale_desk, Action(HOST, action, call_id, 1_000), sale_id)


async def draft(shop: Shop) -> Sale:
    new = NewSale(variant_id=shop.variant_id, price_minor=5000, quota=5)
    return await desk(shop, "sale_create", "call-1").create(shop.room_id, new)


async def test_a_line_says_who_did_what_to_what_and_how_it_was_before(shop: Shop) -> None:
    sale = await draft(shop)
    await desk(shop, "sale_edit", "call-2", sale.sale_id).edit(sale.sale_id, {"price_minor": 4000})
    edited, created = await lines(shop)
    assert (created.action, created.target, created.before) == ("sale_create", sale.sale_id, None)
    assert created.after["price_minor"] == 5000
    assert (edited.actor_id, edited.actor_name, edited.at_ms) == ("us_host", "Host", 1_000)
    assert (edited.before["price_minor"], edited.after["price_minor"]) == (5000, 4000)


async def test_a_change_whose_line_cannot_be_written_does_not_happen(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    sale = await draft(shop)

    async def full_disk(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(audit, "record", full_disk)
    with pytest.raises(OSError, match="no space"):
        await desk(shop, "sale_arm", "call-2", sale.sale_id).arm(sale.sale_id)
    assert (await shop.wiring.sale_desk.get(sale.sale_id)).state == "draft"


async def test_a_refused_action_leaves_no_line(shop: Shop) -> None:
    sale = await draft(shop)
    with pytest.raises(OutOfState):
        await desk(shop, "sale_fire", "call-2", sale.sale_id).fire(sale.sale_id)
    assert [line.action for line in await lines(shop)] == ["sale_create"]


async def test_a_call_that_is_repeated_after_a_crash_tells_of_itself_once(shop: Shop) -> None:
    for call_id in ("same", "same", "other"):
        async with shop.wiring.database.begin() as c:
            await audit.record(c, HOST, shop.room_id, "mute", "gu_x", at_ms=1, call_id=call_id)
    assert len(await lines(shop)) == 2


async def test_adding_stock_again_with_its_movement_id_changes_and_tells_nothing(shop: Shop) -> None:
    sale = await shop.open_sale(await shop.staff("host"))
    sale_id = sale["sale_id"]
    before = len(await lines(shop))
    for _ in range(2):
        changed = await desk(shop, "sale_stock", "call-9", sale_id).add_stock(sale_id, 3, "movement-1")
    assert changed.capacity == 5
    assert len(await lines(shop)) == before + 1


async def test_the_log_is_read_in_pages_from_the_newest(shop: Shop) -> None:
    async with shop.wiring.database.begin() as c:
        for number in range(5):
            call_id = f"{shop.room_id}-{number}"
            await audit.record(c, HOST, shop.room_id, f"a{number}", "x", at_ms=number, call_id=call_id)
    seen: list[str] = []
    cursor: str | None = None
    for size in (2, 2, 1):
        async with shop.wiring.database.read() as c:
            page, cursor = await audit.entries(c, shop.room_id, 2, cursor)
        assert len(page) == size
        seen += [line.action for line in page]
    assert (seen, cursor) == (["a4", "a3", "a2", "a1", "a0"], None)


ACTIONS: dict[str, Callable[[SaleDesk, str], Any]] = {
    "sale_pause": lambda desk, sale_id: desk.pause(sale_id, "host"),
    "sale_stock": lambda desk, sale_id: desk.withdraw_stock(sale_id, 1, "movement-2"),
    "sale_end": lambda desk, sale_id: desk.end_early(sale_id, "done"),
}


@pytest.mark.parametrize("action", ACTIONS)
async def test_an_open_sales_controls_leave_one_line_each(shop: Shop, action: str) -> None:
    sale_id = (await shop.open_sale(await shop.staff("host")))["sale_id"]
    await ACTIONS[action](desk(shop, action, "call-3", sale_id), sale_id)
    newest, *older = await lines(shop)
    assert newest.action == action
    assert newest.before["state"] == "open"
    assert action not in [line.action for line in older]
