"""The same web process on PostgreSQL: claims that were proved on SQLite and lean on SQL are proved here again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from live import migrations
from live.settings import Settings
from tests.commerce.databases import PostgresServer, postgres_server
from tests.live import test_answers, test_console, test_identity, test_schema
from tests.live.api import (
    test_after_sales,
    test_approvals,
    test_charts,
    test_cool_down,
    test_desk,
    test_endpoint,
    test_followers,
    test_orders,
    test_people,
    test_reminders,
    test_replay,
    test_replay_edits,
    test_rooms,
    test_run_of_show,
    test_sales,
)
from tests.live.conftest import Shop, opened

CLAIMS: tuple[Callable[[Shop], Awaitable[None]], ...] = (
    test_identity.test_a_session_ends_with_its_time_or_when_closed,
    test_identity.test_an_address_has_one_account,
    test_endpoint.test_every_endpoint_lets_in_exactly_the_roles_it_names,
    test_endpoint.test_unknown_ids_paths_methods_and_queries_are_problems,
    test_endpoint.test_one_key_is_one_call_and_not_another,
    test_orders.test_a_tap_becomes_a_paid_order_and_every_number_follows,
    test_orders.test_the_same_hold_placed_twice_at_once_is_one_order,
    test_orders.test_a_cancelled_order_gives_its_unit_back,
    test_sales.test_a_sale_runs_from_draft_to_draining_and_each_step_is_audited,
    test_sales.test_adding_stock_twice_with_one_key_adds_it_once,
    test_rooms.test_a_pin_is_an_event_a_value_and_a_line_in_the_log,
    test_rooms.test_chat_rules_are_stored_shown_and_applied,
    test_after_sales.test_a_refund_is_promised_once_per_key_and_gives_the_unit_back,
    test_after_sales.test_the_list_of_orders_is_a_file_and_taking_it_is_logged,
    test_approvals.test_a_refund_above_the_value_waits_for_a_second_person_and_is_then_done_once,
    test_approvals.test_splitting_a_refund_does_not_get_round_the_value,
    test_approvals.test_two_who_approve_at_once_have_it_done_once,
    test_approvals.test_approve_and_withdraw_at_once_end_one_way,
    test_approvals.test_a_process_that_dies_while_approving_neither_loses_it_nor_does_it_twice,
    test_approvals.test_arming_counts_all_units_and_an_edit_ends_the_request,
    test_approvals.test_the_value_is_lowered_alone_and_loosened_by_two,
    test_cool_down.test_of_two_calls_at_once_one_cools_down,
    test_console.test_a_call_that_is_repeated_after_a_crash_tells_of_itself_once,
    test_console.test_the_log_is_read_in_pages_from_the_newest,
    test_desk.test_a_take_over_is_told_to_all_and_locks_the_one_who_had_it,
    test_desk.test_of_two_who_ask_at_once_one_is_told_of_the_other,
    test_people.test_the_last_owner_stays,
    test_people.test_an_invitation_makes_an_account_that_works_in_the_room,
    test_people.test_a_withdrawn_or_replaced_invitation_opens_nothing,
    test_reminders.test_what_is_not_there_on_sale_already_or_too_much_is_refused,
    test_reminders.test_taken_back_and_asked_for_again_while_it_was_told_is_a_new_reminder,
    test_reminders.test_an_item_taken_out_of_the_run_takes_its_reminders_along,
    test_followers.test_a_viewer_follows_once_and_takes_back_and_staff_see_how_many,
    test_run_of_show.test_a_csv_adds_items_and_read_again_changes_prices_not_stock,
    test_charts.test_stock_is_drawn_from_samples_that_the_worker_took,
    test_charts.test_watching_is_drawn_with_what_was_done_when,
    test_charts.test_the_funnel_and_the_money_tell_placed_paid_and_refunded_apart,
    test_charts.test_the_summary_counts_the_same_and_comes_as_csv,
    test_charts.test_a_show_is_compared_with_the_hosts_last_one,
    test_charts.test_the_log_comes_whole_as_csv_and_as_json_lines,
    test_replay.test_a_replay_gets_the_stock_of_its_sales_from_moment_to_moment,
    test_replay.test_a_long_sale_is_thinned_and_keeps_its_end,
    test_replay_edits.test_the_owner_makes_chapters_and_cuts_and_every_viewer_gets_them,
    test_replay_edits.test_of_two_who_edit_at_once_one_is_told_of_the_other,
    test_replay_edits.test_what_was_made_of_a_recording_goes_with_it,
    test_answers.test_calls_that_come_together_each_get_their_own_answer,
    test_schema.test_migrations_lead_to_exactly_the_tables_of_the_code,
    test_answers.test_one_key_asked_for_many_times_at_once_is_claimed_once,
)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.fixture
async def shop(postgres: PostgresServer, tmp_path: Path, redis_url: str) -> AsyncIterator[Shop]:
    name = postgres.take_database()
    url = postgres.url(name)
    migrations.upgrade(url)
    environment = {
        "FLASHROOM_DATA_DIR": str(tmp_path),
        "FLASHROOM_REDIS_URL": redis_url,
        "FLASHROOM_DATABASE_URL": url,
        "FLASHROOM_COOL_DOWN_S": "0",
    }
    async with opened(Settings.read(environment)) as made:
        yield made
    postgres.give_back(name, altered=True)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__.removeprefix("test_"))
async def test_on_postgresql(shop: Shop, claim: Callable[[Shop], Awaitable[None]]) -> None:
    await claim(shop)
