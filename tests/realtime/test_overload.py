"""The order in which things are left out under overload, and that what matters never is."""

from __future__ import annotations

import itertools
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.hub_room import pause_after
from realtime.overload import CALM_S, ENTER, NOTHING, ONE_IN_MAX, Overload, Thinning
from realtime.protocol import pack
from realtime.room import SKIPPED, Room
from realtime.settings import HubSettings
from tests.realtime.hubs import running_hub, watching
from tests.services import wait_until

TICK_MAX_S = 0.25


def under(load: float, seconds: float = 5.0, start: Overload | None = None, now_s: float = 0.0) -> Overload:
    """After so long under a load, in passes a tick apart."""
    overload = start or Overload(TICK_MAX_S)
    for step in range(int(seconds / TICK_MAX_S)):
        overload.observe(load * TICK_MAX_S, now_s + step * TICK_MAX_S)
    return overload


def test_hearts_go_first_then_presence_then_chat() -> None:
    stages = [under(load).thinning for load in (0.4, 0.6, 1.1, 1.6, 3.5, 100.0)]
    assert [one.stage for one in stages] == [0, 1, 2, 3, 3, 3]
    assert [one.chat_one_in for one in stages] == [1, 1, 1, 2, 4, ONE_IN_MAX]
    assert stages[1].mode == {"hearts": "reduced", "presence": "full", "chat": "full", "chat_one_in": 1}
    assert stages[2].every_ms.keys() == {"likes", "watching", "requests"}
    assert stages[3].mode["chat"] == "reduced"


def test_a_tick_is_from_pass_to_pass_until_writing_takes_its_share_of_the_core() -> None:
    settings = HubSettings(tick_min_s=0.06, tick_max_s=0.25, busy_share=0.6)
    for pass_s in (0.001, 0.02, 0.036):
        assert pass_s + pause_after(pass_s, settings) == pytest.approx(0.06)
    for pass_s in (0.05, 0.1, 0.3):
        assert pass_s / (pass_s + pause_after(pass_s, settings)) == pytest.approx(0.6)
    assert pause_after(10.0, settings) == 0.25


def test_it_comes_back_stage_by_stage_once_it_has_been_calm() -> None:
    overload = under(2.0)
    seen = [overload.thinning.stage]
    for step in range(80):
        if overload.observe(0.01, 100 + step * TICK_MAX_S):
            seen.append(overload.thinning.stage)
    assert seen == [3, 2, 1, 0]
    assert overload.thinning == NOTHING


def test_a_load_at_the_edge_does_not_flap() -> None:
    overload = under(ENTER[1] * 1.05)
    changes = 0
    for step in range(400):
        load = ENTER[1] * (0.8 if step % 2 else 1.1)
        changes += overload.observe(load * TICK_MAX_S, 100 + step * TICK_MAX_S)
    assert (overload.thinning.stage, changes) == (1, 0)


@given(st.lists(st.floats(0, 50), max_size=200))
def test_whatever_the_load_the_stages_keep_their_order_and_bounds(loads: list[float]) -> None:
    overload = Overload(TICK_MAX_S)
    before = overload.thinning
    for step, load in enumerate(loads):
        changed = overload.observe(load * TICK_MAX_S, step * TICK_MAX_S)
        now = overload.thinning
        assert changed == (now != before)
        assert 0 <= now.stage <= 3
        assert 1 <= now.chat_one_in <= ONE_IN_MAX
        assert (now.chat_one_in > 1) == (now.stage == 3)
        assert now.stage >= before.stage - 1
        before = now


def test_one_calm_moment_is_not_calm() -> None:
    overload = under(0.6)
    overload.observe(0.0, 50.0)
    assert overload.thinning.stage == 1
    assert CALM_S > TICK_MAX_S


def event(type_: str, text: str, role: str = "viewer") -> bytes:
    return pack([type_, {"id": f"co_{text}", "role": role, "text": text}])


def test_only_viewers_comments_are_left_out_and_each_keeps_its_number() -> None:
    room = Room("e1", 0)
    room.thinning = Thinning(3, 2)
    said = [event("comment", "a"), event("comment", "b"), event("comment", "c", "host"), event("pin", "d")]
    room.take_events("e1", 1, said)
    message = room.tick(1_000)
    assert message is not None
    assert message.count(SKIPPED) == 1
    assert [one in message for one in said] == [False, True, True, True]
    assert room.skipped == 1
    assert room.sent_offset == 4
    # Who comes back gets all of it.
    assert all(one in room.joined("e1", 0).packed for one in said)


def test_a_text_that_looks_like_a_role_does_not_make_an_event_thin() -> None:
    room = Room("e1", 0)
    room.thinning = Thinning(3, 16)
    tricky = event("comment", "role viewer \u00a4role\u00a6viewer", "host")
    room.take_events("e1", 1, [tricky])
    assert tricky in (room.tick(1_000) or b"")


def test_hearts_wait_and_stock_does_not() -> None:
    room = Room("e1", 0)
    room.thinning = Thinning(1, 1)
    for version, now_ms in ((1, 10_000), (2, 10_500)):
        room.take_value("likes", version, pack({"total": version}))
        told = room.tick(now_ms)
        assert (told is not None) == (version == 1)
    assert room.has_waiting
    assert not room.has_due(11_000)
    room.take_value("stock:sl_1", 1, pack({"available": 3}))
    message = room.tick(11_000)
    assert message is not None
    assert b"stock:sl_1" in message
    assert b"likes" not in message
    later = room.tick(12_001)
    assert later is not None
    assert b"likes" in later
    assert not room.has_waiting


async def test_an_overloaded_hub_says_so_thins_chat_and_delivers_what_matters(redis_url: str) -> None:
    room_id = f"rm_{uuid.uuid4().hex[:12]}"
    settings = HubSettings(tick_min_s=0.001, tick_max_s=1e-7)  # no pass is fast enough
    async with running_hub(redis_url, settings) as hub, watching(hub.url, room_id, "gu_ann") as ann:
        for number in itertools.count():
            await hub.broker.publish(room_id, values={"stock:sl_1": (number + 1, {"available": number})})
            if ann.client.mode.get("chat") == "reduced" and ann.client.mode["chat_one_in"] == ONE_IN_MAX:
                break
            assert number < 500, ann.client.mode
        spoken = [("comment", {"id": f"co_{n}", "role": "viewer", "text": str(n)}) for n in range(64)]
        published = await hub.broker.publish(room_id, events=spoken)
        said = [
            ("comment", {"id": "co_host", "role": "host", "text": "host"}),
            ("pin", {"product_id": "pr_1"}),
        ]
        published = await hub.broker.publish(room_id, events=said)
        await hub.broker.publish_personal(room_id, "gu_ann", "order", {"state": "paid"})
        await wait_until(lambda: ann.client.offset == published.offset, 10, "all numbers")
        await wait_until(lambda: bool(ann.personal), 10, "the personal message")
        assert ann.texts[-1] == "host"
        assert ann.events[-1][1] == "pin"
        assert (len(ann.texts) - 1, ann.client.skipped) == (4, 60)
        assert ann.client.jumps == 0
        async with watching(hub.url, room_id) as bob:
            assert bob.client.mode["chat_one_in"] == ONE_IN_MAX
            assert "63" in bob.texts  # a snapshot is whole
