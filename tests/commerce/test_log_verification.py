"""Verification: a sound export passes offline, and whatever is changed in it fails with the number of the first wrong entry."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from commerce import allocation_log, log_chain
from commerce.errors import NotFound, OutOfState
from commerce.hot_ledger import HoldRequest
from commerce.log_chain import climb, first_hash, merkle_path, merkle_root, next_hash
from commerce.log_verification import FORMAT, VerificationFailed, canonical, footer_sum, verify_export
from commerce.lots import lot
from commerce.sale_rules import Sale
from tests.commerce.world import World

Entry = dict[str, Any]
SEED = "seed"
TERMS: Entry = {
    "sale_id": "sl_1",
    "rule": "first_come",
    "limit_per_buyer": 2,
    "window_ms": 250,
    "seed_hash": sha256(SEED.encode()).hexdigest(),
}


def an_entry(number: int, **changes: Any) -> Entry:
    entry = {
        "n": number,
        "epoch": 1,
        "seq": number,
        "at_ms": 10_000 + number,
        "hold": f"hd_{number}",
        "buyer": f"b{number}",
        "quantity": 1,
        "decision": "refused",
        "reason": "all_held",
        "available": 0,
        "held": 3,
        "sold": 0,
    }
    return entry | changes


def export_of(entries: list[Entry], **terms: Any) -> list[str]:
    """A file whose chain, root and sums are right, whatever its entries say."""
    fitting = TERMS | terms
    header = canonical(
        {
            "format": FORMAT,
            "terms": fitting,
            "terms_hash": sha256(canonical(fitting).encode()).hexdigest(),
            "opened_at_ms": 9_000,
        }
    )
    chain, lines, leaves = first_hash("sl_1"), [], []
    for number, entry in enumerate(entries, start=1):
        line = canonical(entry)
        chain = next_hash(chain, line)
        lines.append(f"{chain} {line}")
        if log_chain.is_checkpoint(number, len(entries)):
            leaves.append(chain)
    root = merkle_root(leaves) if leaves else None
    total = footer_sum(header, root, len(entries), SEED)
    footer = canonical({"entries": len(entries), "root": root, "seed": SEED, "sum": total})
    return [header, *lines, footer]


GRANTED = {"decision": "granted", "reason": "granted"}
PROMOTED = {"decision": "granted", "reason": "promoted"}
WAITING = {"decision": "waiting", "reason": "joined"}


def failing_entry(entries: list[Entry], **terms: Any) -> int | None:
    with pytest.raises(VerificationFailed) as failed:
        verify_export(export_of(entries, **terms))
    return failed.value.entry


def test_a_sound_log_is_reported() -> None:
    entries = [
        an_entry(1, **GRANTED),
        an_entry(2, **WAITING),
        an_entry(3, decision="released", reason="released"),
    ]
    entries += [an_entry(4, **PROMOTED, hold="hd_2", buyer="b2"), an_entry(5)]
    report = verify_export(export_of(entries))
    assert (report.entries, report.granted, report.refused, report.buyers, report.epochs) == (5, 2, 1, 4, 1)
    assert report.root is not None
    assert verify_export(export_of([])).root is None


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_every_flipped_byte_fails_with_its_entry(count: int) -> None:
    lines = export_of([an_entry(n) for n in range(1, count + 1)])
    verify_export(lines)
    for index in {1, count // 2 + 1, count}:
        for place in range(0, len(lines[index]), 7):
            other = "0" if lines[index][place] != "0" else "1"
            changed = [*lines]
            changed[index] = lines[index][:place] + other + lines[index][place + 1 :]
            with pytest.raises(VerificationFailed) as failed:
                verify_export(changed)
            assert failed.value.entry == index


def test_every_flipped_byte_of_header_and_footer_fails() -> None:
    lines = export_of([an_entry(1), an_entry(2)])
    for index in (0, -1):
        for place in range(len(lines[index])):
            other = "0" if lines[index][place] != "0" else "1"
            changed = [*lines]
            changed[index] = lines[index][:place] + other + lines[index][place + 1 :]
            with pytest.raises(VerificationFailed):
                verify_export(changed)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda lines: lines[:2] + lines[3:], id="an entry is missing"),
        pytest.param(lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], id="two are swapped"),
        pytest.param(lambda lines: lines[:-1], id="the footer is missing"),
        pytest.param(lambda lines: lines[:-2] + lines[-1:], id="the last entry is missing"),
        pytest.param(lambda lines: lines[1:], id="the header is missing"),
        pytest.param(lambda _: [], id="nothing at all"),
        pytest.param(lambda _: ["\x00" * 100], id="another kind of file"),
        pytest.param(lambda lines: [lines[0], "x", *lines[1:]], id="a line too many"),
    ],
)
def test_a_file_that_was_cut_or_rearranged_fails(change: Callable[[list[str]], list[str]]) -> None:
    with pytest.raises(VerificationFailed):
        verify_export(change(export_of([an_entry(n) for n in range(1, 6)])))


@pytest.mark.parametrize(
    ("wrong", "terms"),
    [
        pytest.param({"available": 1, "held": 2}, {}, id="refused although a unit was there"),
        pytest.param({"held": -1}, {}, id="a negative number"),
        pytest.param({**GRANTED, "held": 0, "sold": 3}, {}, id="granted without a unit"),
        pytest.param({**GRANTED, "quantity": 3}, {}, id="more than the limit"),
        pytest.param({**GRANTED, "quantity": 0}, {}, id="granted nothing"),
        pytest.param({**PROMOTED}, {}, id="promoted without having waited"),
        pytest.param({"decision": "granted", "reason": "friend"}, {}, id="a reason of its own"),
        pytest.param({"decision": "gifted"}, {}, id="a decision of its own"),
        pytest.param({"seq": 7}, {}, id="a gap in the numbers"),
        pytest.param({"n": 7}, {}, id="a wrong number"),
        pytest.param({"quantity": None}, {}, id="no quantity"),
        pytest.param({**GRANTED, "reason": "drawn", "arrived_at_ms": 9_999}, {}, id="lots where none are"),
        pytest.param({**GRANTED, "at_ms": 9_100}, {"rule": "fair_window"}, id="at once in a window"),
        pytest.param({**GRANTED}, {"rule": "draw"}, id="at once in a draw"),
        pytest.param(
            {**GRANTED, "reason": "drawn", "arrived_at_ms": 99_999},
            {"rule": "draw"},
            id="drawn before it came",
        ),
    ],
)
def test_an_entry_that_breaks_the_rules_fails_though_the_chain_holds(wrong: Entry, terms: Entry) -> None:
    assert failing_entry([an_entry(1), an_entry(2), an_entry(3, **wrong), an_entry(4)], **terms) == 3


def test_nobody_may_be_served_before_the_head_of_the_wait_list() -> None:
    waiting = [an_entry(1, **WAITING), an_entry(2, **WAITING)]
    assert failing_entry([*waiting, an_entry(3, **PROMOTED, hold="hd_2")]) == 3
    assert failing_entry([*waiting, an_entry(3, **GRANTED)]) == 3
    left = an_entry(3, decision="left", reason="left", hold="hd_1")
    verify_export(export_of([*waiting, left, an_entry(4, **PROMOTED, hold="hd_2"), an_entry(5, **GRANTED)]))


def test_drawn_entries_must_be_in_the_order_of_their_lots() -> None:
    buyers = sorted((f"b{n}" for n in range(8)), key=lambda buyer: lot(SEED, buyer))
    drawn = {"reason": "drawn", "decision": "granted", "arrived_at_ms": 9_100, "at_ms": 9_300}
    lost = drawn | {"reason": "window_lost", "decision": "refused"}
    entries = [
        an_entry(n, **(drawn if n <= 3 else lost), buyer=buyer) for n, buyer in enumerate(buyers, start=1)
    ]
    verify_export(export_of(entries, rule="fair_window"))
    entries[1]["buyer"], entries[5]["buyer"] = entries[5]["buyer"], entries[1]["buyer"]
    assert failing_entry(entries, rule="fair_window") in (2, 3)


def test_another_seed_than_the_promised_one_fails() -> None:
    lines = export_of([an_entry(1)], seed_hash=sha256(b"another").hexdigest())
    with pytest.raises(VerificationFailed, match="promised"):
        verify_export(lines)


def test_numbers_that_go_back_are_counted_as_a_lost_tail_and_judged_again_from_the_next_epoch() -> None:
    entries = [an_entry(1, **WAITING), an_entry(2), an_entry(3, seq=1, **GRANTED)]
    entries.append(an_entry(4, epoch=2, seq=4))
    report = verify_export(export_of(entries))
    assert (report.lost_tails, report.epochs) == (1, 2)
    assert failing_entry([*entries, an_entry(5, epoch=2, seq=5, **GRANTED)]) == 5


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 13])
def test_each_leaf_climbs_to_the_root_and_no_other_does(count: int) -> None:
    leaves = [f"leaf {n}" for n in range(count)]
    root = merkle_root(leaves)
    for n, one in enumerate(leaves):
        path = merkle_path(leaves, n)
        assert climb(one, path) == root
        assert climb("another", path) != root
    assert merkle_root([*leaves, "more"]) != root


async def published(world: World, taps: int, **terms: Any) -> Sale:
    sale = await world.open_sale(**terms)
    for start in range(0, taps, 50):
        requests = [HoldRequest("r1", f"gu_{n}", 1) for n in range(start, min(taps, start + 50))]
        await world.hot.decide(sale.room_id, sale.sale_id, requests)
    await world.desk.end_early(sale.sale_id)
    world.clock.pass_ms(sale.hold_ms + 60_000)
    world.hot.clock_offset_ms += sale.hold_ms + 60_000
    await world.hot.sweep(sale.room_id, sale.sale_id)
    while await allocation_log.persist(world.database, world.hot, sale.room_id, sale.sale_id):
        pass
    await world.desk.tick()
    done = await world.sale(sale.sale_id)
    assert done.state == "published"
    return done


async def test_a_published_sales_export_verifies_and_has_its_root(world: World) -> None:
    sale = await published(world, 150, quota=3)
    lines = [line async for line in allocation_log.export(world.database, sale)]
    report = verify_export(lines)
    assert (report.entries, report.granted, report.refused, report.buyers) == (150, 3, 147, 150)
    assert report.root == sale.log_root
    assert json.loads(lines[-1])["seed"] == await world.desk.seed(sale.sale_id)
    assert sale.seed not in "\n".join(lines)
    assert "gu_" not in "\n".join(lines)


async def test_a_receipt_proves_its_line_alone(world: World) -> None:
    sale = await published(world, 150, quota=3)
    assert sale.log_root is not None
    for buyer in (0, 63, 64, 149):
        hold_id = HoldRequest("r1", f"gu_{buyer}", 1).hold_id(sale.sale_id)
        async with world.database.read() as c:
            receipt = await allocation_log.receipt(c, sale.sale_id, hold_id)
        assert receipt.proves(sale.log_root)
        assert json.loads(receipt.line)["hold"] == hold_id
        forged = receipt.line.replace('"quantity":1', '"quantity":2')
        lines = tuple(forged if line == receipt.line else line for line in receipt.lines)
        assert not replace(receipt, lines=lines).proves(sale.log_root)
        assert not replace(receipt, position=receipt.position + 64).proves(sale.log_root)
        assert not receipt.proves("0" * 64)
    async with world.database.read() as c:
        with pytest.raises(NotFound):
            await allocation_log.receipt(c, sale.sale_id, "hd_nobody")


async def test_a_running_sale_is_not_exported(world: World) -> None:
    sale = await world.open_sale()
    with pytest.raises(OutOfState):
        [line async for line in allocation_log.export(world.database, sale)]


async def test_a_draw_is_exported_with_everything_needed_to_draw_again(world: World) -> None:
    sale = await world.open_sale(quota=3, rule="draw", duration_ms=30_000)
    requests = [HoldRequest("r1", f"gu_{n}", 1) for n in range(40)]
    await world.hot.decide(sale.room_id, sale.sale_id, requests)
    world.clock.pass_ms(31_000)
    world.hot.clock_offset_ms += 31_000
    await world.hot.sweep(sale.room_id, sale.sale_id)
    await world.desk.tick()
    world.clock.pass_ms(sale.hold_ms + 60_000)
    world.hot.clock_offset_ms += sale.hold_ms + 60_000
    await world.hot.sweep(sale.room_id, sale.sale_id)
    while await allocation_log.persist(world.database, world.hot, sale.room_id, sale.sale_id):
        pass
    await world.desk.tick()
    lines = [line async for line in allocation_log.export(world.database, await world.sale(sale.sale_id))]
    report = verify_export(lines)
    assert (report.rule, report.granted, report.refused) == ("draw", 3, 37)
