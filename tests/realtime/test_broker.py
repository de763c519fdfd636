from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgpack
import pytest
from redis.exceptions import RedisError

from realtime import broker as broker_module
from realtime import publisher
from realtime.broker import Broker, BrokerUnavailable, ChatRules, channel_of, key_of, now_ms
from realtime.protocol import CommandError, Event, unpack
from tests.services import running_redis, wait_until


def comment(text: str) -> Event:
    return ("comment", {"text": text})


async def texts(broker: Broker, room_id: str) -> list[str]:
    return [data["text"] for _, (_, data) in await broker.history(room_id, 0, 1000)]


async def test_events_are_numbered_from_one_in_the_order_of_publishing(broker: Broker, room_id: str) -> None:
    published = await asyncio.gather(
        *(broker.publish(room_id, events=[comment(str(i)), comment(f"{i}b")]) for i in range(5))
    )
    assert [p.offset for p in published] == [2, 4, 6, 8, 10]
    assert len({p.epoch for p in published}) == 1
    history = await broker.history(room_id, 0, 100)
    assert [number for number, _ in history] == list(range(1, 11))
    assert [event[1]["text"] for _, event in history][:4] == ["0", "0b", "1", "1b"]


async def test_a_repeat_of_the_same_key_changes_nothing_and_is_answered_as_if_done(
    broker: Broker, room_id: str
) -> None:
    first = await broker.publish(room_id, events=[comment("a")], once="outbox:1")
    await broker.publish(room_id, events=[comment("b")])
    repeats = await asyncio.gather(
        broker.publish(room_id, events=[comment("a")], once="outbox:1"),
        broker.publish(room_id, events=[comment("c")], once="outbox:2"),
        broker.publish(room_id, events=[comment("c")], once="outbox:2"),
        broker.publish(room_id, events=[comment("d")]),
    )
    assert await texts(broker, room_id) == ["a", "b", "c", "d"]
    assert [first.offset, *(r.offset for r in repeats)] == [1, 1, 3, 3, 4]


async def test_an_idempotency_key_belongs_to_its_room_and_is_forgotten_in_time(
    broker: Broker, room_id: str
) -> None:
    await broker.publish(room_id, events=[comment("a")], once="k")
    await broker.publish(room_id + "x", events=[comment("a")], once="k")
    assert await texts(broker, room_id + "x") == ["a"]
    remaining_ms = await broker.redis.pttl(f"{{room:{room_id}}}:rt:once:k")
    assert 3_590_000 < remaining_ms <= 3_600_000


async def test_two_brokers_repeat_the_same_key_at_once_and_one_event_appears(
    broker: Broker, redis_url: str, room_id: str
) -> None:
    other = await Broker.connect(redis_url)
    await asyncio.gather(*(b.publish(room_id, events=[comment("a")], once="k") for b in (broker, other) * 5))
    await other.aclose()
    assert await texts(broker, room_id) == ["a"]


async def test_an_older_version_of_a_value_is_dropped(broker: Broker, room_id: str) -> None:
    await broker.publish(room_id, values={"stock:a": (2**41 + 7, {"available": 3})})
    await broker.publish(room_id, values={"stock:a": (2**41 + 6, {"available": 9}), "pin": (1, {})})
    assert await broker.values(room_id) == {"stock:a": (2**41 + 7, {"available": 3}), "pin": (1, {})}


async def test_a_removed_value_is_gone_and_an_older_version_does_not_bring_it_back(
    broker: Broker, room_id: str
) -> None:
    await broker.publish(room_id, values={"sale:a": (1, {"state": "open"})})
    await broker.publish(room_id, values={"sale:a": (3, None)})
    await broker.publish(room_id, values={"sale:a": (2, {"state": "open"})})
    assert await broker.values(room_id) == {}


async def test_what_is_published_is_what_is_kept(broker: Broker, room_id: str) -> None:
    async with broker.redis.pubsub() as pubsub:
        await pubsub.subscribe(channel_of(room_id))
        await pubsub.get_message(timeout=1)
        await broker.publish(room_id, events=[comment("a")], values={"likes": (4, {"total": 4})})
        message = await pubsub.get_message(timeout=1)
        assert message is not None
    kind, epoch, first, events, values = msgpack.unpackb(message["data"], raw=True)
    stored = await broker.load(room_id)
    assert (kind, epoch.decode(), first) == (b"room", stored.epoch, 1)
    assert events == stored.events
    assert stored.values == {"likes": (4, values[2])}


async def test_too_large_an_event_is_refused_before_it_reaches_anyone(broker: Broker, room_id: str) -> None:
    with pytest.raises(ValueError, match="above 32768"):
        await broker.publish(room_id, events=[comment("x" * 40_000)])
    assert await texts(broker, room_id) == []


async def test_too_much_waiting_is_refused_and_not_kept(
    broker: Broker, room_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounded = publisher.Publisher(broker._publish_groups, waiting_max=3)
    monkeypatch.setattr(broker, "_publisher", bounded)
    answers = await asyncio.gather(
        *(broker.publish(room_id, events=[comment(str(i))]) for i in range(5)), return_exceptions=True
    )
    assert [type(answer) for answer in answers[3:]] == [CommandError, CommandError]
    assert await texts(broker, room_id) == ["0", "1", "2"]
    assert (await broker.publish(room_id, events=[comment("later")])).offset == 4


async def test_personal_messages_wait_for_a_viewer_who_is_away(broker: Broker, room_id: str) -> None:
    numbers = [await broker.publish_personal(room_id, "gu_a", "order", {"n": n}) for n in range(3)]
    assert numbers == sorted(set(numbers))
    missed = await broker.personal_after(room_id, "gu_a", numbers[0])
    assert [unpack(packed) for _, packed in missed.messages] == [["order", {"n": 1}], ["order", {"n": 2}]]
    assert (await broker.personal_after(room_id, "gu_b", 0)).messages == []


async def test_the_last_hundred_personal_messages_are_kept(broker: Broker, room_id: str) -> None:
    for n in range(105):
        await broker.publish_personal(room_id, "gu_a", "order", {"n": n})
    missed = await broker.personal_after(room_id, "gu_a", 0)
    assert [unpack(packed)[1]["n"] for _, packed in missed.messages] == list(range(5, 105))


async def test_a_repeated_personal_message_is_kept_once(broker: Broker, room_id: str) -> None:
    first = await broker.publish_personal(room_id, "gu_a", "order", {}, once="outbox:7")
    assert await broker.publish_personal(room_id, "gu_a", "order", {}, once="outbox:7") == first
    assert len((await broker.personal_after(room_id, "gu_a", 0)).messages) == 1


async def test_a_visit_without_an_offset_starts_after_what_was_acknowledged(
    broker: Broker, room_id: str
) -> None:
    first, second = [await broker.publish_personal(room_id, "gu_a", "order", {"n": n}) for n in range(2)]
    await broker.acknowledge_personal(room_id, "gu_a", first)
    await broker.acknowledge_personal(room_id, "gu_a", first - 1)
    missed = await broker.personal_after(room_id, "gu_a", None)
    assert missed.after == first
    assert [number for number, _ in missed.messages] == [second]


async def test_numbers_of_personal_messages_grow_also_after_redis_was_emptied(
    broker: Broker, room_id: str
) -> None:
    before = await broker.publish_personal(room_id, "gu_a", "order", {})
    await broker.redis.delete(f"{{room:{room_id}}}:rt:personal:gu_a", f"{{room:{room_id}}}:rt:personal-heads")
    await wait_until(lambda: now_ms() > before)
    assert await broker.publish_personal(room_id, "gu_a", "order", {}) > before


async def test_likes_are_a_total_that_never_falls_below_what_was_shown(broker: Broker, room_id: str) -> None:
    assert await broker.add_likes(room_id, 5) == 5
    assert await broker.add_likes(room_id, 2) == 7
    await broker.redis.delete(f"{{room:{room_id}}}:rt:likes")
    assert await broker.add_likes(room_id, 1, at_least=7) == 8
    assert (await broker.values(room_id))["likes"] == (8, {"total": 8})


@pytest.mark.usefixtures("quick_peak")
async def test_presence_is_the_sum_over_hubs_and_forgets_a_dead_one(broker: Broker, room_id: str) -> None:
    await broker.enter_presence(room_id, "hub a", 3, 1)
    both = await broker.enter_presence(room_id, "hub b", 2, 0)
    assert (both.count, both.ghosts, both.peak) == (5, 1, 5)
    await broker.redis.hset(f"{{room:{room_id}}}:rt:presence", "hub a", f"3:1:{now_ms() - 2000}")
    assert (await broker.presence(room_id)).count == 2
    left = await broker.enter_presence(room_id, "hub b", 0, 0)
    assert (left.count, left.peak) == (0, 5)


async def test_viewers_counted_twice_while_a_killed_hub_goes_stale_do_not_make_a_peak(
    broker: Broker, room_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "PEAK_HOLDS_MS", 100)
    await broker.enter_presence(room_id, "hub a", 10, 0)
    assert (
        await broker.enter_presence(room_id, "hub b", 10, 0)
    ).count == 20  # a is dead, its viewers are on b
    await broker.enter_presence(room_id, "hub a", 0, 0)
    started_ms = now_ms()
    while (presence := await broker.presence(room_id)).peak == 0:
        assert presence.count == 10
    assert presence.peak == 10
    assert now_ms() - started_ms < 2000


async def test_epochs_are_renewed_once_however_many_hubs_ask(broker: Broker, room_id: str) -> None:
    epoch = (await broker.load(room_id)).epoch
    await asyncio.gather(*(broker.renew_epoch(room_id, epoch) for _ in range(3)))
    renewed = (await broker.load(room_id)).epoch
    assert renewed != epoch
    await broker.renew_epoch(room_id, epoch)
    assert (await broker.load(room_id)).epoch == renewed


async def refusal(
    broker: Broker, room_id: str, viewer_id: str = "gu_a", address: str = "", *, staff: bool = False
) -> str:
    try:
        passes = await broker.may_comment(room_id, viewer_id, address, staff=staff, now_ms=now_ms())
    except CommandError as error:
        return error.code
    return "ok" if passes else "review"


async def test_a_viewer_may_write_five_comments_in_five_seconds(broker: Broker, room_id: str) -> None:
    assert [await refusal(broker, room_id) for _ in range(7)] == ["ok"] * 5 + ["rate_limited"] * 2
    assert await refusal(broker, room_id, "gu_b") == "ok"


async def test_made_up_viewers_behind_one_address_share_its_allowance(
    broker: Broker, room_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.broker.COMMENTS_PER_ADDRESS", 12)
    said = [await refusal(broker, room_id, f"gu_{n // 4}", "203.0.113.7") for n in range(20)]
    assert said == ["ok"] * 12 + ["rate_limited"] * 8
    assert await refusal(broker, room_id, "gu_other", "203.0.113.8") == "ok"


async def test_slow_mode_lets_one_comment_through_and_spares_staff(broker: Broker, room_id: str) -> None:
    await broker.set_chat_rules(room_id, ChatRules(slow_mode_s=30))
    assert [await refusal(broker, room_id) for _ in range(2)] == ["ok", "slow_mode"]
    assert [await refusal(broker, room_id, "us_host", staff=True) for _ in range(2)] == ["ok", "ok"]


async def test_only_followers_and_staff_write_where_only_followers_may(broker: Broker, room_id: str) -> None:
    await broker.set_chat_rules(room_id, ChatRules(slow_mode_s=30, followers_only=True), 7)
    assert await refusal(broker, room_id) == "unavailable"  # who follows is not known
    await broker.follow(room_id, "gu_a")
    assert await broker.tell_followers(room_id, pages(["gu_b"], ["gu_c"]))
    assert await broker.knows_followers(room_id)
    said = {who: await refusal(broker, room_id, who) for who in ("gu_a", "gu_b", "gu_c")}
    assert said == {"gu_a": "followers_only", "gu_b": "ok", "gu_c": "ok"}
    assert await refusal(broker, room_id, "us_host", staff=True) == "ok"
    await broker.follow(room_id, "gu_a")
    assert await refusal(broker, room_id) == "ok"  # the refusal took no turn of slow mode
    await broker.unfollow(room_id, ["gu_a", "gu_b"])
    assert await refusal(broker, room_id) == "followers_only"
    await broker.set_chat_rules(room_id, ChatRules(), 6)  # older
    assert await refusal(broker, room_id, "gu_d") == "followers_only"
    await broker.set_chat_rules(room_id, ChatRules(), 8)
    assert await refusal(broker, room_id, "gu_d") == "ok"


async def pages(
    *found: list[str], meanwhile: Callable[[], Awaitable[object]] | None = None
) -> AsyncIterator[list[str]]:
    for page in found:
        if meanwhile is not None:
            await meanwhile()
        yield page


async def test_followers_told_while_one_leaves_or_redis_is_emptied_are_told_again(
    broker: Broker, room_id: str
) -> None:
    async def forgets() -> None:
        await broker.redis.delete(key_of(room_id, "followers"), key_of(room_id, "followers-told"))

    for meanwhile in (lambda: broker.unfollow(room_id, ["gu_a"]), forgets):
        assert not await broker.tell_followers(room_id, pages(["gu_a"], ["gu_b"], meanwhile=meanwhile))
        assert not await broker.tell_followers(room_id, pages(["gu_b"], meanwhile=meanwhile))
        assert not await broker.knows_followers(room_id)

    async def a_second_teller() -> None:
        assert not await broker.tell_followers(room_id, pages(["gu_x"]))

    assert await broker.tell_followers(room_id, pages(["gu_b"], meanwhile=a_second_teller))
    assert await broker.knows_followers(room_id)
    assert await broker.redis.ttl(key_of(room_id, "followers-known")) == -1


async def test_chat_off_review_mute_and_ban_are_one_answer_for_all_hubs(broker: Broker, room_id: str) -> None:
    await broker.set_chat_rules(room_id, ChatRules(review=True))
    assert await refusal(broker, room_id) == "review"
    await broker.set_chat_rules(room_id, ChatRules(off=True))
    assert await refusal(broker, room_id) == "chat_off"
    await broker.set_chat_rules(room_id, ChatRules())
    await broker.mute(room_id, "gu_a", now_ms() + 60_000)
    assert await refusal(broker, room_id) == "muted"
    await broker.unmute(room_id, "gu_a")
    assert await refusal(broker, room_id) == "ok"
    await broker.ban(room_id, "gu_a")
    assert await broker.is_banned(room_id, "gu_a")
    assert await refusal(broker, room_id) == "banned"
    await broker.unban(room_id, "gu_a")
    assert await refusal(broker, room_id) == "ok"


async def test_a_comment_kept_for_review_appears_once_when_approved(broker: Broker, room_id: str) -> None:
    for n in range(3):
        await broker.hold_comment(room_id, {"id": f"co_{n}", "text": f"t{n}", "at_ms": n})
    assert [c["id"] for c in await broker.held_comments(room_id)] == ["co_0", "co_1", "co_2"]
    answers = await asyncio.gather(
        *(broker.settle_held_comment(room_id, "co_1", approve=True) for _ in range(3))
    )
    assert answers.count(True) == 1
    assert await broker.settle_held_comment(room_id, "co_2", approve=False)
    assert not await broker.settle_held_comment(room_id, "co_9", approve=True)
    assert await texts(broker, room_id) == ["t1"]
    assert [c["id"] for c in await broker.held_comments(room_id)] == ["co_0"]


async def test_a_publish_is_never_repeated_by_itself_when_redis_is_gone(tmp_path: Path, room_id: str) -> None:
    with running_redis(tmp_path) as server:
        broker = await Broker.connect(server.url)
        await broker.publish(room_id, events=[comment("a")])
        server.kill()
        with pytest.raises(BrokerUnavailable):
            await broker.publish(room_id, events=[comment("b")])
        with pytest.raises(RedisError):
            await broker.load(room_id)
        server.start()
        assert (await broker.publish(room_id, events=[comment("c")])).offset == 1
        assert await texts(broker, room_id) == ["c"]
        await broker.aclose()
