from __future__ import annotations

import asyncio
import random

import pytest

from realtime.broker import Broker, MissedPersonal, StoredRoom, now_ms
from realtime.hub import HubSettings
from realtime.tickets import Viewer, sign_ticket
from tests.realtime.hubs import KEY, running_hub, ticket, watching, wire
from tests.services import wait_until


def comment(text: str) -> tuple[str, dict[str, str]]:
    return ("comment", {"text": text})


async def test_a_new_viewer_gets_the_last_fifty_events_every_value_and_then_what_follows(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    for n in range(60):
        await broker.publish(room_id, events=[comment(str(n))], values={"likes": (n, {"total": n})})
    async with running_hub(redis_url) as hub, wire(hub.url) as viewer:
        joined = await viewer.join(ticket(room_id, "gu_a"))
        assert (joined["recovered"], joined["first_offset"], joined["offset"]) == (False, 11, 60)
        assert [data["text"] for _, data in joined["events"]] == [str(n) for n in range(10, 60)]
        assert joined["values"]["likes"] == [59, {"total": 59}]
        assert (joined["room_id"], joined["viewer_id"], joined["personal_offset"]) == (room_id, "gu_a", 0)
        assert joined["mode"] == {"hearts": "full", "presence": "full", "chat": "full", "chat_one_in": 1}
        assert joined["limits"] == {"comment_characters": 200, "likes": 50}
        assert abs(joined["server_time_ms"] - now_ms()) < 5000
        await broker.publish(room_id, events=[comment("next")])
        while True:
            tick = await viewer.receive()
            if tick[4]:
                break
        assert tick[:1] + tick[2:5] == [1, joined["epoch"], 61, [["comment", {"text": "next"}]]]


async def test_a_returning_viewer_gets_exactly_what_it_missed(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    for n in range(100):
        await broker.publish(room_id, events=[comment(str(n))])
    async with running_hub(redis_url) as hub:
        async with wire(hub.url) as first:
            epoch = (await first.join(ticket(room_id)))["epoch"]
        async with wire(hub.url) as again:
            joined = await again.join(ticket(room_id), epoch=epoch, offset=20)
            assert (joined["recovered"], joined["first_offset"], joined["offset"]) == (True, 21, 100)
            assert [data["text"] for _, data in joined["events"]] == [str(n) for n in range(20, 100)]
        async with wire(hub.url) as nothing_missed:
            joined = await nothing_missed.join(ticket(room_id), epoch=epoch, offset=100)
            assert (joined["recovered"], joined["events"]) == (True, [])


async def test_a_viewer_of_another_epoch_or_of_too_long_ago_is_told_of_the_jump(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    await broker.publish(room_id, events=[comment("a")])
    async with running_hub(redis_url) as hub:
        async with wire(hub.url) as viewer:
            joined = await viewer.join(ticket(room_id), epoch="another", offset=1)
            assert (joined["recovered"], joined["offset"], len(joined["events"])) == (False, 1, 1)
        for start in range(0, 2600, 100):
            await broker.publish(room_id, events=[comment(str(start + n)) for n in range(100)])
        epoch = joined["epoch"]
        async with watching(hub.url, room_id) as live, wire(hub.url) as late:
            await wait_until(lambda: live.client.offset == 2601)
            joined = await late.join(ticket(room_id), epoch=epoch, offset=1)
            assert (joined["recovered"], joined["first_offset"], joined["offset"]) == (False, 2552, 2601)


async def test_a_viewer_who_has_seen_more_than_this_hub_waits_for_it(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    settings = HubSettings(tick_min_s=0.3, tick_max_s=0.3)
    async with running_hub(redis_url, settings) as hub, wire(hub.url) as first, wire(hub.url) as ahead:
        epoch = (await first.join(ticket(room_id)))["epoch"]
        await broker.publish(room_id, events=[comment("0")])
        while not (await first.receive())[4]:
            pass
        # The room's next tick is 0.3 s away; another hub may have been faster.
        await broker.publish(room_id, events=[comment("1"), comment("2")])
        joined = await ahead.join(ticket(room_id), epoch=epoch, offset=3)
        assert (joined["recovered"], joined["offset"], joined["events"]) == (True, 3, [])


async def test_an_offset_that_never_was_ends_in_a_snapshot(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    await broker.publish(room_id, events=[comment("a")])
    settings = HubSettings(ahead_timeout_s=0.1)
    async with running_hub(redis_url, settings) as hub, wire(hub.url) as viewer:
        epoch = (await broker.load(room_id)).epoch
        joined = await viewer.join(ticket(room_id), epoch=epoch, offset=10**9)
        assert (joined["recovered"], joined["offset"]) == (False, 1)


async def test_viewers_who_join_and_leave_during_a_broadcast_miss_nothing_and_see_nothing_twice(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    # RoomClient fails on a gap; offsets show a repeat.
    settings = HubSettings(slice_connections=3, tick_min_s=0.005)
    rng = random.Random(7)
    async with running_hub(redis_url, settings) as one, running_hub(redis_url, settings) as other:
        done = asyncio.Event()

        async def visit(number: int) -> None:
            async with watching(lambda: rng.choice((one, other)).url, room_id) as viewer:
                for _ in range(3):
                    await asyncio.sleep(rng.uniform(0, 0.1))
                    assert viewer.client._socket is not None
                    viewer.client._socket.transport.abort()
                    viewer.client.joined.clear()
                    await wait_until(viewer.client.joined.is_set)
                await done.wait()
                await wait_until(lambda: viewer.client.offset == last.offset)
                assert viewer.offsets == list(range(viewer.offsets[0], last.offset + 1))
                assert viewer.client.jumps == 0

        visits = [asyncio.create_task(visit(n)) for n in range(12)]
        for n in range(200):
            last = await broker.publish(room_id, events=[comment(str(n))])
        done.set()
        await asyncio.gather(*visits)


@pytest.mark.parametrize("already", [0, 3])
async def test_personal_messages_sent_while_a_viewer_joins_come_once_each_and_in_order(
    redis_url: str, broker: Broker, room_id: str, already: int
) -> None:
    async with running_hub(redis_url) as hub, watching(hub.url, room_id):
        for round_ in range(15):
            viewer_id = f"gu_{round_}"
            for n in range(already):
                await broker.publish_personal(room_id, viewer_id, "order", {"n": n})

            async def publish(viewer_id: str) -> None:
                for n in range(already, already + 10):
                    await broker.publish_personal(room_id, viewer_id, "order", {"n": n})

            publishing = asyncio.create_task(publish(viewer_id))
            async with watching(hub.url, room_id, viewer_id) as viewer:
                await publishing
                await wait_until(lambda: len(viewer.personal) >= already + 10)
                assert [data["n"] for _, data in viewer.personal] == list(range(already + 10))


async def test_personal_messages_reach_every_tab_on_every_hub(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    async with running_hub(redis_url) as one, running_hub(redis_url) as other:
        async with (
            watching(one.url, room_id, "gu_a") as a,
            watching(one.url, room_id, "gu_a") as b,
            watching(other.url, room_id, "gu_a") as c,
            watching(other.url, room_id, "gu_b") as stranger,
        ):
            await broker.publish_personal(room_id, "gu_a", "order", {"order_id": "or_1"})
            expected = [("order", {"order_id": "or_1"})]
            await wait_until(lambda: a.personal == b.personal == c.personal == expected)
            assert stranger.personal == []


async def test_a_viewer_who_was_away_gets_its_personal_messages_and_acknowledged_ones_no_more(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    async with running_hub(redis_url) as hub:
        number = await broker.publish_personal(room_id, "gu_a", "order", {"n": 1})
        async with wire(hub.url) as viewer:
            joined = await viewer.join(ticket(room_id, "gu_a"))
            assert joined["personal_offset"] == 0
            assert await viewer.receive() == [3, number, "order", {"n": 1}]
            assert (await viewer.ask(5, "ack", {"personal_offset": number}))[2:] == [True, {}]
            second = await broker.publish_personal(room_id, "gu_a", "order", {"n": 2})
            assert await viewer.receive() == [3, second, "order", {"n": 2}]
        async with wire(hub.url) as later:
            joined = await later.join(ticket(room_id, "gu_a"))
            assert joined["personal_offset"] == number
            assert await later.receive() == [3, second, "order", {"n": 2}]
        async with wire(hub.url) as old_tab:
            joined = await old_tab.join(ticket(room_id, "gu_a"), personal_offset=0)
            assert [(await old_tab.receive())[1] for _ in range(2)] == [number, second]


async def test_an_acknowledgement_of_what_was_never_sent_hides_nothing(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    async with running_hub(redis_url) as hub:
        async with wire(hub.url) as viewer:
            await viewer.join(ticket(room_id, "gu_a"))
            assert (await viewer.ask(2, "ack", {"personal_offset": 2**53 - 1}))[2]
        number = await broker.publish_personal(room_id, "gu_a", "order", {})
        async with wire(hub.url) as viewer:
            await viewer.join(ticket(room_id, "gu_a"))
            assert (await viewer.receive())[1] == number


async def test_joining_a_followed_room_asks_redis_nothing(
    redis_url: str, broker: Broker, room_id: str
) -> None:
    settings = HubSettings(presence_interval_s=1000, likes_interval_s=1000)
    async with running_hub(redis_url, settings) as hub, watching(hub.url, room_id) as first:
        await broker.publish(room_id, events=[comment("a")])
        await wait_until(lambda: first.texts == ["a"])
        before = (await broker.redis.info("commandstats")).get("cmdstat_xrange", {}).get("calls", 0)
        async with watching(hub.url, room_id), watching(hub.url, room_id):
            pass
        after = (await broker.redis.info("commandstats")).get("cmdstat_xrange", {}).get("calls", 0)
        assert after == before


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "bad_params"),
        ({"ticket": 7}, "bad_params"),
        ({"ticket": "x", "offset": 1}, "bad_params"),
        ({"ticket": "x", "epoch": 1, "offset": 1}, "bad_params"),
        ({"ticket": "x", "epoch": "e", "offset": -1}, "bad_params"),
        ({"ticket": "x", "epoch": "e", "offset": 2**60}, "bad_params"),
        ({"ticket": "x", "epoch": "e", "offset": True}, "bad_params"),
        ({"ticket": "x", "personal_offset": 1.5}, "bad_params"),
        ({"ticket": "x.y.z"}, "ticket_refused"),
        ({"ticket": ""}, "ticket_refused"),
        ({"ticket": "\x00"}, "ticket_refused"),
    ],
)
async def test_a_bad_join_is_answered_and_closed(
    redis_url: str, params: dict[str, object], code: str
) -> None:
    async with running_hub(redis_url) as hub, wire(hub.url) as viewer:
        reply = await viewer.ask(1, "join", params)
        assert (reply[2], reply[3]["code"]) == (False, code)
        assert await viewer.close_code() == (4001 if code == "ticket_refused" else 4000)


async def test_an_expired_or_foreign_ticket_is_refused(redis_url: str, room_id: str) -> None:
    viewer_claims = Viewer("gu_a", "A", "viewer", room_id)
    expired = sign_ticket(KEY, viewer_claims, now_ms() - 700_000)
    foreign = sign_ticket(b"another key of thirty-two bytes..", viewer_claims, now_ms())
    async with running_hub(redis_url) as hub:
        for token in (expired, foreign):
            async with wire(hub.url) as viewer:
                assert (await viewer.ask(1, "join", {"ticket": token}))[3]["code"] == "ticket_refused"
                assert await viewer.close_code() == 4001


async def test_a_connection_joins_once(redis_url: str, room_id: str) -> None:
    async with running_hub(redis_url) as hub, wire(hub.url) as viewer:
        await viewer.join(ticket(room_id))
        reply = await viewer.ask(2, "join", {"ticket": ticket(room_id)})
        assert reply[3]["code"] == "already_joined"
        assert (await viewer.ask(3, "ping", {}))[2]


@pytest.mark.parametrize("kept", [5000, 0], ids=["kept meanwhile", "too much to keep"])
async def test_what_is_published_while_a_room_is_read_is_not_lost(
    redis_url: str, broker: Broker, room_id: str, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without presence: its messages would reveal the gap, and heal it.
    async with running_hub(redis_url, HubSettings(early_messages_max=kept, likes_interval_s=1000)) as hub:
        load, in_between = hub.broker.load, [[comment("a"), comment("b")]]

        async def load_and_be_overtaken(room_id: str, known: tuple[str, int] | None) -> StoredRoom:
            stored = await load(room_id, known)
            if in_between:
                values = {"likes": (9, {"total": 9})}
                await broker.publish(room_id, events=in_between.pop(), values=values)
                room = hub.hub._rooms[room_id]
                await wait_until(lambda: room._early or room._early_lost, what="the hub to hear of it")
            return stored

        monkeypatch.setattr(hub.broker, "load", load_and_be_overtaken)
        async with watching(hub.url, room_id) as viewer:
            await wait_until(lambda: viewer.texts == ["a", "b"])
            assert viewer.client.values["likes"] == (9, {"total": 9})


async def test_a_personal_message_that_comes_by_two_ways_is_written_once(
    redis_url: str, broker: Broker, room_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_hub(redis_url) as hub, watching(hub.url, room_id, "gu_b"):
        first = await broker.publish_personal(room_id, "gu_a", "order", {"n": 1})
        personal_after, numbers = hub.broker.personal_after, [first]

        async def publish_then_read(room: str, viewer_id: str, offset: int | None) -> MissedPersonal:
            numbers.append(await broker.publish_personal(room, viewer_id, "order", {"n": 2}))
            head = hub.hub._rooms[room].personal_head
            await wait_until(lambda: head(viewer_id) == numbers[-1], what="the hub to hear of it")
            return await personal_after(room, viewer_id, offset)

        monkeypatch.setattr(hub.broker, "personal_after", publish_then_read)
        async with wire(hub.url) as viewer:
            await viewer.join(ticket(room_id, "gu_a"))
            received = [(await viewer.receive())[1] for _ in range(2)]
            await viewer.send(9, "ping", {})
            assert (await viewer.receive())[:2] == [2, 9], "nothing more came before the answer"
            assert received == numbers
