"""Refunds in whole and in part, units that come back, fulfilment, notes, and the seller's export."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterator

import pytest

from commerce import after_sales, crash_points, ledger
from commerce.after_sales import AfterSales
from commerce.errors import CommerceError, Invalid, NotFound, OutOfState, Refused, Unavailable
from commerce.hold_tokens import sign
from commerce.order_export import COLUMNS, export_csv
from commerce.orders import Order
from commerce.payments.provider import NewRefund, RefundAnswer
from commerce.payments.sandbox import Sandbox
from commerce.sale_rules import Sale
from tests.commerce.world import ADDRESS, TOKEN_KEY, WEBHOOK_KEY, World, new_id


@pytest.fixture
def desk(world: World) -> AfterSales:
    return AfterSales(world.database, world.hot, world.clock, new_id)


async def paid_order(world: World, **terms: int) -> tuple[Sale, Order]:
    sale = await world.open_sale(**terms)
    order, _ = await world.pay(await world.placed_order(sale))
    return sale, order


async def test_a_whole_refund_ends_the_order_and_gives_the_unit_back_to_the_running_sale(
    world: World, desk: AfterSales
) -> None:
    sale, order = await paid_order(world, limit_per_buyer=1)
    done = await desk.refund(order.order_id, "key-1", "broken")
    assert (done.state, done.refunded_minor, done.hold_state) == ("refunded", order.total_minor, "returned")
    after = await world.sale(sale.sale_id)
    assert (after.sold, after.base) == (0, 3)
    await world.assert_sound()
    assert await world.cashier.send_refunds() == 1
    assert await world.rows("SELECT refunded_minor FROM sandbox_payment") == [{"refunded_minor": 9_900}]
    assert (await world.events(order.order_id))[-2:] == ["order_refunded", "refund_succeeded"]
    assert (await world.placed_order(sale, order.buyer_id)).state == "placed"  # the limit is free again
    numbers = await world.hot.numbers(sale.room_id, sale.sale_id)
    assert numbers is not None
    assert (numbers.available, numbers.held, numbers.sold) == (2, 1, 0)
    await world.assert_sound()


async def test_partial_refunds_add_up_to_the_whole_and_never_beyond(world: World, desk: AfterSales) -> None:
    _, order = await paid_order(world)
    first = await desk.refund(order.order_id, "key-1", "late", 4_000)
    assert (first.state, first.refunded_minor, first.hold_state) == ("paid", 4_000, "sold")
    with pytest.raises(Refused) as above:
        await desk.refund(order.order_id, "key-2", "late", 5_901)
    assert above.value.facts["left_minor"] == 5_900
    last = await desk.refund(order.order_id, "key-3", "late")
    assert (last.state, last.refunded_minor) == ("refunded", 9_900)
    with pytest.raises(OutOfState):
        await desk.refund(order.order_id, "key-4", "late", 1)
    assert await world.cashier.send_refunds() == 2
    async with world.database.read() as c:
        balances = await ledger.balances(c)
    assert balances[("provider:sandbox", "CNY")] == 0 == balances[("refunds_due", "CNY")]
    assert balances[("refunds", "CNY")] == 9_900
    await world.assert_sound()


async def test_the_same_key_refunds_once_however_often_and_fast(world: World, desk: AfterSales) -> None:
    _, order = await paid_order(world)
    await asyncio.gather(*(desk.refund(order.order_id, "key-1", "late", 1_000) for _ in range(5)))
    assert (await world.order(order.order_id)).refunded_minor == 1_000
    answers = await asyncio.gather(
        *(desk.refund(order.order_id, f"other-{n}", "late", 5_000) for n in range(4)), return_exceptions=True
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    assert {type(answer) for answer in answers if isinstance(answer, BaseException)} <= {Refused, OutOfState}
    await world.assert_sound()


@pytest.mark.parametrize(("restock", "sold", "on_hand"), [("shelf", 0, 98), ("none", 1, 97), ("sale", 0, 97)])
async def test_units_go_where_the_seller_says(
    world: World, desk: AfterSales, restock: str, sold: int, on_hand: int
) -> None:
    sale, order = await paid_order(world)
    await desk.refund(order.order_id, "key-1", "broken", restock=restock)
    assert ((await world.sale(sale.sale_id)).sold, await world.on_hand()) == (sold, on_hand)
    await world.assert_sound()


async def test_units_of_a_settled_sale_go_to_the_shelf(world: World, desk: AfterSales) -> None:
    sale, order = await paid_order(world)
    await world.desk.end_early(sale.sale_id)
    await world.desk.tick()
    assert await world.on_hand() == 99
    await desk.refund(order.order_id, "key-1", "broken")
    assert ((await world.sale(sale.sale_id)).capacity, await world.on_hand()) == (0, 100)
    await world.assert_sound()


async def test_refunding_races_with_settling_and_no_unit_is_lost(world: World, desk: AfterSales) -> None:
    sale, order = await paid_order(world)
    await world.desk.end_early(sale.sale_id)
    await asyncio.gather(desk.refund(order.order_id, "key-1", "x"), world.desk.tick(), world.desk.tick())
    await world.desk.tick()
    assert await world.on_hand() == 100
    await world.assert_sound()


async def test_a_refund_whose_worker_dies_is_sent_again_under_the_same_id(
    world: World, desk: AfterSales
) -> None:
    _, order = await paid_order(world)
    await desk.refund(order.order_id, "key-1", "late", 100)
    with crash_points.armed("refund.answered"), pytest.raises(crash_points.Crashed):
        await world.cashier.send_refunds()
    assert await world.cashier.send_refunds() == 1
    assert await world.rows("SELECT refunded_minor FROM sandbox_payment") == [{"refunded_minor": 100}]
    await world.assert_sound()


async def test_a_refund_waits_for_a_silent_provider_and_calls_a_person_when_it_is_refused(
    world: World, desk: AfterSales
) -> None:
    class Moody(Sandbox):
        answers: Iterator[CommerceError | RefundAnswer] = iter(
            [Unavailable("provider_down"), RefundAnswer(state="failed", reason="account_closed")]
        )

        async def refund(self, refund: NewRefund) -> RefundAnswer:
            answer = next(self.answers)
            if isinstance(answer, CommerceError):
                raise answer
            return answer

    _, order = await paid_order(world)
    await desk.refund(order.order_id, "key-1", "late", 100)
    world.cashier.providers["sandbox"] = Moody(world.database, WEBHOOK_KEY, world.clock)
    assert await world.cashier.send_refunds() == 0
    assert await world.cashier.send_refunds() == 0  # not at once again
    await world.assert_sound()
    world.clock.pass_ms(1_000)
    assert await world.cashier.send_refunds() == 1
    assert "refund_failed" in await world.events(order.order_id)
    with pytest.raises(AssertionError):
        await world.assert_sound()


async def test_only_paid_orders_are_refunded_and_wrong_input_is_named(world: World, desk: AfterSales) -> None:
    sale, order = await paid_order(world, limit_per_buyer=2)
    unpaid = await world.placed_order(sale)
    with pytest.raises(OutOfState):
        await desk.refund(unpaid.order_id, "key-1", "x")
    with pytest.raises(NotFound):
        await desk.refund("or_none", "key-1", "x")
    for amount in (0, -1, True):
        with pytest.raises(Invalid):
            await desk.refund(order.order_id, "key-1", "x", amount)
    for key, reason, restock in (
        ("", "x", "sale"),
        ("k" * 256, "x", "sale"),
        ("k", " ", "sale"),
        ("k", "x", "bin"),
    ):
        with pytest.raises(Invalid):
            await desk.refund(order.order_id, key, reason, restock=restock)
    assert await world.rows("SELECT * FROM refund") == []


async def test_an_order_is_fulfilled_once_with_carrier_and_number_and_may_still_be_refunded(
    world: World, desk: AfterSales
) -> None:
    _, order = await paid_order(world)
    for _ in range(2):
        sent = await desk.fulfil(order.order_id, "SF Express", "SF123")
    assert (sent.state, sent.carrier, sent.tracking_number) == ("fulfilled", "SF Express", "SF123")
    with pytest.raises(OutOfState):
        await desk.fulfil(order.order_id, "SF Express", "SF124")
    assert (await world.events(order.order_id)).count("order_fulfilled") == 1
    assert (await desk.refund(order.order_id, "key-1", "returned", restock="none")).state == "refunded"
    await world.assert_sound()


async def test_an_unpaid_order_is_not_fulfilled(world: World, desk: AfterSales) -> None:
    order = await world.placed_order(await world.open_sale())
    with pytest.raises(OutOfState):
        await desk.fulfil(order.order_id, "SF", "1")
    with pytest.raises(Invalid):
        await desk.fulfil(order.order_id, "", "1")


async def test_notes_stay_with_the_order_in_the_order_they_were_written(
    world: World, desk: AfterSales, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = await world.placed_order(await world.open_sale())
    for text in ("gift promised on air", "blue ribbon"):
        await desk.add_note(order.order_id, "us_host", text)
        world.clock.pass_ms(1)
    async with world.database.read() as c:
        notes = await after_sales.list_notes(c, order.order_id)
    assert [note.text for note in notes] == ["gift promised on air", "blue ribbon"]
    for wrong in ("", "x" * 501, "a\x07b"):
        with pytest.raises(Invalid):
            await desk.add_note(order.order_id, "us_host", wrong)
    with pytest.raises(NotFound):
        await desk.add_note("or_none", "us_host", "x")
    monkeypatch.setattr(after_sales, "MAX_NOTES", 2)
    with pytest.raises(Refused):
        await desk.add_note(order.order_id, "us_host", "one too many")


async def test_the_export_has_every_order_once_and_no_cell_is_a_formula(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("commerce.order_export.MAX_PAGE", 2)
    sale = await world.open_sale(quota=9, limit_per_buyer=9)
    made = [(await world.placed_order(sale)).order_id for _ in range(4)]
    evil = await world.checkout.bind(
        sign(TOKEN_KEY, world.hold(sale, "gu_ana")), "gu_ana", '=HYPERLINK("x"),\n'.strip(), ADDRESS
    )
    text = "".join([part async for part in export_csv(world.database, world.room_id)])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sorted(row["order_id"] for row in rows) == sorted([*made, evil.order_id])
    assert set(rows[0]) == set(COLUMNS)
    found = next(row for row in rows if row["order_id"] == evil.order_id)
    assert found["name"].startswith("'=")
    assert (found["total"], found["currency"], found["city"]) == ("99.00", "CNY", "Shanghai")
    only_paid = "".join([part async for part in export_csv(world.database, world.room_id, state="paid")])
    assert only_paid.count("\r\n") == 1


async def test_a_returned_unit_opens_a_sold_out_round_again_while_its_time_lasts(
    world: World, desk: AfterSales
) -> None:
    sale = await world.open_sale(quota=1, duration_ms=600_000)
    _, attempt = await world.pay(await world.placed_order(sale))
    await world.desk.tick()
    assert (await world.sale(sale.sale_id)).state_reason == "sold_out"
    await desk.refund(attempt.order_id, "key-1", "changed their mind", restock="sale")
    again = await world.sale(sale.sale_id)
    assert (again.state, again.state_reason, again.base) == ("open", None, 1)
    assert "sale_changed" in await world.events(sale.sale_id)
    assert (await world.granted_hold(sale, "gu_bob")).buyer_id == "gu_bob"
    await world.assert_sound(but=())
