"""The sale's table and timers, without a clock, a socket or a database."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from commerce import orders, sale_rules
from commerce.errors import Invalid, OutOfState, Refused
from commerce.sale_rules import (
    LIMITS,
    STATES,
    TRANSITIONS,
    NewSale,
    Sale,
    due_action,
    hash_terms,
    lengthened,
    preflight,
)

NOW = 1_000_000
TERMS = NewSale(variant_id="va_1", price_minor=9_900, quota=10)


def a_sale(**changes: object) -> Sale:
    values: dict[str, object] = {field.name: None for field in fields(Sale)}
    values |= {field.name: getattr(TERMS, field.name) for field in fields(NewSale)}
    values |= {"sale_id": "sl_1", "room_id": "rm_1", "product_id": "pr_1", "round": 1, "state": "draft"}
    values |= {
        "list_price_minor": 19_900,
        "currency": "CNY",
        "extended": False,
        "seed_hash": "00",
        "created_at_ms": 0,
    }
    values |= {"capacity": 10, "reserved": 0, "sold": 0, "version": 1, "epoch": 1}
    return Sale(**{**values, **changes})  # type: ignore[arg-type]


def test_every_state_is_reached_and_every_transition_leads_to_a_state() -> None:
    assert set(TRANSITIONS.values()) | {"draft"} == set(STATES)
    assert {state for state, _ in TRANSITIONS} <= set(STATES)


def test_a_price_never_changes_after_arming_because_only_edit_changes_terms() -> None:
    assert {state for state, action in TRANSITIONS if action == "edit"} == {"draft", "ready"}


def test_what_is_not_in_the_table_is_refused_with_the_states_where_it_is() -> None:
    with pytest.raises(OutOfState) as refused:
        sale_rules.next_state("settled", "fire")
    assert refused.value.facts == {"state": "settled", "action": "fire", "allowed_in": ["armed"]}
    with pytest.raises(OutOfState):
        orders.next_state("refunded", "pay")


@pytest.mark.parametrize("name", sorted(LIMITS))
@pytest.mark.parametrize("step", [-1, 0])
def test_every_number_of_the_terms_is_bounded(name: str, step: int) -> None:
    lowest, highest = LIMITS[name]
    for value, fine in ((lowest + step, step == 0), (highest - step, step == 0), ("7", False), (True, False)):
        terms = replace(TERMS, **{name: value})  # type: ignore[arg-type]
        if fine:
            terms.check()
        else:
            with pytest.raises(Invalid) as refused:
                terms.check()
            assert refused.value.facts["field"] == name


@pytest.mark.parametrize("price", [0, -1, 10**12 + 1, 1.5, True, None])
def test_a_price_is_a_positive_integer(price: object) -> None:
    with pytest.raises(Invalid):
        replace(TERMS, price_minor=price).check()  # type: ignore[arg-type]


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(Invalid):
        replace(TERMS, rule="friends_first").check()


@pytest.mark.parametrize(
    ("terms", "facts", "codes"),
    [
        ({}, {}, []),
        ({}, {"on_hand": 0}, ["stock_empty"]),
        ({"quota": 11}, {"on_hand": 10}, ["quota_above_stock"]),
        ({}, {"list_price_minor": 9_900}, ["price_not_below_list"]),
        ({}, {"floor_minor": 9_901}, ["price_below_floor"]),
        ({}, {"floor_minor": 9_900}, []),
        ({"quota": 1, "limit_per_buyer": 2}, {}, ["limit_above_quota"]),
        ({}, {"overlapping": True}, ["overlapping_sale"]),
    ],
)
def test_each_red_light_has_its_code(terms: dict[str, int], facts: dict[str, int], codes: list[str]) -> None:
    given = {"on_hand": 100, "list_price_minor": 19_900, "floor_minor": None, "overlapping": False, **facts}
    found = preflight(replace(TERMS, **terms), **given)  # type: ignore[arg-type]
    assert [problem.code for problem in found] == codes


def test_a_hold_gains_each_outage_that_it_lived_to_see_and_no_other() -> None:
    outages = [(1_000, 500), (10_000, 7_000), (90_000, 1)]
    assert lengthened(500, 5_000, outages) == 5_500  # the first only: it was over before the second
    assert lengthened(500, 9_501, outages) == 17_001  # the first brought it into the second
    assert lengthened(1_500, 9_501, outages) == 9_501  # granted when the first was over
    assert lengthened(1_499, 9_501, outages) == 17_001
    assert lengthened(0, 1_000, outages) == 1_000


@pytest.mark.parametrize(
    "name", ["price_minor", "quota", "limit_per_buyer", "hold_ms", "rule", "seed_hash", "round"]
)
def test_the_hash_covers_every_published_term(name: str) -> None:
    changed = {"rule": "draw", "seed_hash": "01"}.get(name, 77)
    assert hash_terms(a_sale()) != hash_terms(a_sale(**{name: changed}))


def test_the_hash_does_not_depend_on_what_happens_in_the_sale() -> None:
    assert hash_terms(a_sale()) == hash_terms(a_sale(state="open", sold=3, opens_at_ms=5, version=9))


@pytest.mark.parametrize(
    ("sale", "soft_holds", "action"),
    [
        (a_sale(state="armed"), None, None),
        (a_sale(state="countdown", opens_at_ms=NOW + 1), None, None),
        (a_sale(state="countdown", opens_at_ms=NOW), None, "begin"),
        (a_sale(state="open", closes_at_ms=NOW + 1), None, None),
        (a_sale(state="open", closes_at_ms=NOW), None, "time_up"),
        (a_sale(state="open", closes_at_ms=NOW + 1, reserved=10), None, None),  # all held is not sold out
        (a_sale(state="open", closes_at_ms=NOW + 1, sold=10), None, "sold_out"),
        (a_sale(state="paused", closes_at_ms=NOW - 1), None, None),
        (a_sale(state="draining", closed_at_ms=NOW), False, "settle"),
        (a_sale(state="draining", closed_at_ms=NOW), True, None),
        (a_sale(state="draining", closed_at_ms=NOW), None, None),
        (a_sale(state="draining", closed_at_ms=NOW - 125_000), None, "settle"),
        (a_sale(state="draining", closed_at_ms=NOW - 124_999), True, None),
        (a_sale(state="draining", closed_at_ms=0, reserved=1), False, None),
        (a_sale(state="settled"), None, "publish"),
        (a_sale(state="published"), None, None),
    ],
)
def test_timers_act_when_due_and_never_before(
    sale: Sale, soft_holds: bool | None, action: str | None
) -> None:
    assert due_action(sale, NOW, soft_holds) == action


def test_a_sold_out_sale_lingers_so_that_stock_can_be_added_but_not_beyond_its_closing() -> None:
    sold_out = a_sale(
        state="draining", state_reason="sold_out", sold=10, closed_at_ms=NOW, closes_at_ms=NOW + 60_000
    )
    assert due_action(sold_out, NOW + 29_999, False) is None
    assert due_action(sold_out, NOW + 30_000, False) == "settle"
    assert due_action(replace(sold_out, closes_at_ms=NOW + 5), NOW + 5, False) == "settle"


def test_an_abort_is_possible_until_three_seconds_before_the_opening() -> None:
    sale = a_sale(state="countdown", opens_at_ms=NOW)
    sale_rules.require_abortable(sale, NOW - 3_000)
    with pytest.raises(Refused):
        sale_rules.require_abortable(sale, NOW - 2_999)
    with pytest.raises(OutOfState):
        sale_rules.require_abortable(replace(sale, opened_at_ms=1), NOW - 9_000)
