"""The primary dies and its replica is promoted: viewers stay, are told, and go on in order, with a new epoch where the tail was lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from realtime.broker import Broker, BrokerUnavailable
from tests.realtime.hubs import QUICK_TOTALS, RunningHub, Watched, running_hub, watching
from tests.services import RedisServer, free_port, running_redis, wait_until
from tests.tcp_proxy import Proxy, running_proxy

FAILOVER_S = 20.0


pytestmark = pytest.mark.usefixtures("impatient")


@dataclass
class Pair:
    """A primary and its replica. Hubs come through `front`, which leads to the one in charge; `link` is the way of replication."""

    primary: RedisServer
    replica: RedisServer
    front: Proxy
    link: Proxy

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.front.port}/0"

    def replicated(self) -> bool:
        """Whether the replica has all that the primary has."""
        sent, taken = (info_of(server) for server in (self.primary, self.replica))
        return bool(
            taken["master_link_status"] == "up" and sent["master_repl_offset"] == taken["slave_repl_offset"]
        )

    async def fail_over(self) -> None:
        """The primary dies; an operator, a Sentinel or a cloud promotes the replica and points the clients there."""
        self.primary.kill()
        with Redis(port=self.replica.port) as redis:
            redis.replicaof("NO", "ONE")
        await self.front.switch(self.replica.port)


def info_of(server: RedisServer) -> dict[str, Any]:
    with Redis(port=server.port, socket_timeout=5) as redis:
        info: dict[str, Any] = redis.info("replication")  # type: ignore[assignment]
        return info


@asynccontextmanager
async def replicated_pair(folder: Path) -> AsyncIterator[Pair]:
    with running_redis(folder / "primary") as primary, running_redis(folder / "replica") as replica:
        async with running_proxy(primary.port) as front, running_proxy(primary.port) as link:
            pair = Pair(primary, replica, front, link)
            with Redis(port=primary.port) as redis:
                redis.config_set("repl-diskless-sync-delay", "0")
            with Redis(port=replica.port) as redis:
                redis.replicaof("127.0.0.1", link.port)  # type: ignore[arg-type]
            await wait_until(lambda: asyncio.to_thread(pair.replicated), FAILOVER_S, "the replica")
            yield pair


def comment(text: str) -> tuple[str, dict[str, Any]]:
    return ("comment", {"text": text})


def with_epochs(viewer: Watched) -> list[tuple[str | None, int, str]]:
    """From now on, what the viewer is told: (epoch, number, text)."""
    told: list[tuple[str | None, int, str]] = []
    viewer.client.on_event = lambda offset, type_, data: (
        viewer.events.append((offset, type_, data)),
        told.append((viewer.client.epoch, offset, data["text"])),
    )[0]
    return told


def is_paused(*viewers: Watched) -> bool:
    return all(viewer.client.mode["chat"] == "paused" for viewer in viewers)


def is_full(*viewers: Watched) -> bool:
    return all(viewer.client.mode["chat"] == "full" for viewer in viewers)


async def say(broker: Broker, room_id: str, text: str) -> None:
    """Publish until it is taken: a repeat under the same key is said once."""

    async def taken() -> bool:
        with contextlib.suppress(BrokerUnavailable):
            await broker.publish(room_id, events=[comment(text)], once=f"say {text}")
            return True
        await asyncio.sleep(0.05)
        return False

    await wait_until(taken, FAILOVER_S, f"{text!r} to be taken")


@asynccontextmanager
async def two_hubs(url: str, room_id: str) -> AsyncIterator[tuple[RunningHub, RunningHub, Watched, Watched]]:
    async with (
        running_hub(url, QUICK_TOTALS) as one,
        running_hub(url, QUICK_TOTALS) as other,
        watching(one.url, room_id, "gu_a") as a,
        watching(other.url, room_id, "gu_b") as b,
    ):
        yield one, other, a, b


async def test_a_replica_that_had_everything_goes_on_where_the_primary_ended(
    tmp_path: Path, room_id: str
) -> None:
    async with replicated_pair(tmp_path) as pair, two_hubs(pair.url, room_id) as (one, other, a, b):
        for n in range(5):
            await one.broker.publish(room_id, events=[comment(f"before {n}")])
        await one.broker.publish_personal(room_id, "gu_a", "order", {"n": 1})
        await a.client.command("like", count=5)
        await wait_until(lambda: len(a.texts) == len(b.texts) == 5 and len(a.personal) == 1)
        await wait_until(lambda: a.client.values.get("likes") == (5, {"total": 5}))
        await wait_until(lambda: asyncio.to_thread(pair.replicated))
        epoch = a.client.epoch
        told = [with_epochs(viewer) for viewer in (a, b)]
        notices: list[dict[str, Any]] = []
        a.client.on_notice = notices.append

        await pair.fail_over()
        # Nothing waits for hubs to have noticed: what comes first is numbered and told like all else.
        for n in range(5):
            await say(other.broker, room_id, f"after {n}")
        await wait_until(lambda: len(a.texts) == len(b.texts) == 10, FAILOVER_S)
        assert told[0] == told[1] == [(epoch, 6 + n, f"after {n}") for n in range(5)]
        assert (a.client.jumps, b.client.jumps) == (0, 0)
        assert a.client.close_codes == b.client.close_codes == []
        await wait_until(lambda: is_full(a, b))
        assert [notice["chat"] for notice in notices] == ["paused", "full"]
        await other.broker.publish_personal(room_id, "gu_a", "order", {"n": 2})
        await wait_until(lambda: [data["n"] for _, data in a.personal] == [1, 2])
        await a.client.command("like", count=1)
        await wait_until(lambda: b.client.values.get("likes") == (6, {"total": 6}))


async def test_a_replica_without_the_tail_begins_a_new_epoch(tmp_path: Path, room_id: str) -> None:
    async with replicated_pair(tmp_path) as pair, two_hubs(pair.url, room_id) as (one, other, a, b):
        told = [with_epochs(viewer) for viewer in (a, b)]
        for n in range(3):
            await one.broker.publish(room_id, events=[comment(f"kept {n}")])
        await one.broker.publish(room_id, values={"stock:x": (3, {"available": 3})})
        await wait_until(lambda: asyncio.to_thread(pair.replicated))
        await pair.link.switch(1)  # Replication hangs, and nobody notices.
        for n in range(4):
            await one.broker.publish(room_id, events=[comment(f"tail {n}")])
        await one.broker.publish(room_id, values={"stock:x": (9, {"available": 1})})
        await wait_until(lambda: len(a.texts) == len(b.texts) == 7)
        await wait_until(lambda: a.client.values["stock:x"][0] == b.client.values["stock:x"][0] == 9)
        epoch = a.client.epoch

        await pair.fail_over()
        await wait_until(lambda: is_paused(a, b), FAILOVER_S)
        await wait_until(lambda: is_full(a, b), FAILOVER_S)
        assert a.client.epoch == b.client.epoch != epoch
        assert (a.client.jumps, b.client.jumps) == (1, 1)
        assert a.client.close_codes == b.client.close_codes == []
        # The older value is the truth again: what was promised under the old epoch is void.
        await wait_until(
            lambda: a.client.values["stock:x"] == b.client.values["stock:x"] == (3, {"available": 3})
        )
        for n in range(3):
            await say(other.broker, room_id, f"after {n}")
        await wait_until(lambda: a.texts[-3:] == b.texts[-3:] == [f"after {n}" for n in range(3)])
        assert told[0] == told[1]
        for events in told:
            numbers = [offset for which, offset, _ in events if which == a.client.epoch]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_events_past_the_lost_tail_before_hubs_are_back_are_no_continuation(
    tmp_path: Path, room_id: str
) -> None:
    """The new primary is ahead of what viewers saw, under the same epoch, when the hubs find it: other events, same numbers."""
    async with replicated_pair(tmp_path) as pair, two_hubs(pair.url, room_id) as (one, _, a, b):
        for n in range(20):
            await one.broker.publish(room_id, events=[comment(f"kept {n}")])
        await wait_until(lambda: asyncio.to_thread(pair.replicated))
        await pair.link.switch(1)
        for n in range(20):
            await one.broker.publish(room_id, events=[comment(f"tail {n}")])
        await wait_until(lambda: len(a.texts) == len(b.texts) == 40)
        epoch = a.client.epoch
        pair.primary.kill()
        with Redis(port=pair.replica.port) as redis:
            redis.replicaof("NO", "ONE")
        elsewhere = await Broker.connect(pair.replica.url)
        for n in range(50):
            await elsewhere.publish(room_id, events=[comment(f"new {n}")])
        await elsewhere.aclose()
        await pair.front.switch(pair.replica.port)
        await wait_until(lambda: a.texts[-1:] == b.texts[-1:] == ["new 49"], FAILOVER_S)
        assert a.client.epoch == b.client.epoch != epoch
        assert (a.client.jumps, b.client.jumps) == (1, 1)
        assert "tail 19" in a.texts
        await say(one.broker, room_id, "on")
        await wait_until(lambda: a.texts[-2:] == b.texts[-2:] == ["new 49", "on"])


async def test_a_failover_amid_talk_leaves_no_gap_no_repeat_and_one_order(
    tmp_path: Path, room_id: str
) -> None:
    """Whatever the replica had: under one epoch nobody was told anything else under the same number, and later events reach all."""
    async with replicated_pair(tmp_path) as pair, two_hubs(pair.url, room_id) as (one, other, a, b):
        told = [with_epochs(viewer) for viewer in (a, b)]

        failed_over = False
        said_after: dict[str, list[str]] = {"one": [], "other": []}

        async def talk(broker: Broker, who: str) -> None:
            nonlocal failed_over
            for n in range(150):
                if failed_over:
                    said_after[who].append(f"{who} {n}")
                await say(broker, room_id, f"{who} {n}")
                if n == 50 and who == "one":
                    await pair.fail_over()
                    failed_over = True

        await asyncio.gather(talk(one.broker, "one"), talk(other.broker, "other"))
        await say(one.broker, room_id, "end")
        await wait_until(lambda: a.texts[-1:] == b.texts[-1:] == ["end"], FAILOVER_S)
        assert a.client.close_codes == b.client.close_codes == []
        for mine, theirs in (told, told[::-1]):
            by_number = {(epoch, offset): text for epoch, offset, text in mine}
            assert len(by_number) == len(mine), "a number was told twice"
            common = [(epoch, offset) for epoch, offset, _ in theirs if (epoch, offset) in by_number]
            assert all(
                by_number[epoch, offset] == text
                for epoch, offset, text in theirs
                if (epoch, offset) in common
            )
        last = a.client.epoch
        of_last = [[(offset, text) for epoch, offset, text in events if epoch == last] for events in told]
        shorter = min(map(len, of_last))
        assert of_last[0][-shorter:] == of_last[1][-shorter:]
        texts = [text for _, text in of_last[0]]
        assert len(texts) == len(set(texts)), "something was said twice within an epoch"
        # What the dead primary confirmed last may be lost with it. What was said later is not, and keeps each speaker's order.
        for who, said in said_after.items():
            assert len(said) > 50
            assert [text for text in texts if text in said] == said, who


@contextmanager
def running_sentinel(folder: Path, primary: RedisServer) -> Iterator[RedisServer]:
    """A Sentinel that promotes the replica by itself about a second after the primary fell silent."""
    folder.mkdir()
    configuration = folder / "sentinel.conf"
    configuration.write_text(
        f"sentinel monitor show 127.0.0.1 {primary.port} 1\n"
        "sentinel down-after-milliseconds show 500\nsentinel failover-timeout show 3000\n"
    )
    sentinel = RedisServer(folder, arguments=[str(configuration), "--sentinel"])
    sentinel.start()
    try:
        yield sentinel
    finally:
        sentinel.kill()


@asynccontextmanager
async def watched_pair(folder: Path) -> AsyncIterator[tuple[Pair, RedisServer]]:
    """A pair with a Sentinel that knows both."""
    async with replicated_pair(folder) as pair:
        with Redis(
            port=pair.replica.port
        ) as redis:  # By its own address, without the link: Sentinel reads it there.
            redis.replicaof("127.0.0.1", pair.primary.port)  # type: ignore[arg-type]
        await wait_until(lambda: asyncio.to_thread(pair.replicated), FAILOVER_S)
        with running_sentinel(folder / "sentinel", pair.primary) as sentinel:

            def knows_the_replica() -> bool:
                with Redis(port=sentinel.port) as redis:
                    return len(redis.sentinel_slaves("show")) == 1

            await wait_until(lambda: asyncio.to_thread(knows_the_replica), FAILOVER_S)
            yield pair, sentinel


async def test_a_sentinel_promotes_the_replica_and_everything_follows_by_itself(
    tmp_path: Path, room_id: str
) -> None:
    async with watched_pair(tmp_path) as (pair, sentinel):
        # One of the Sentinels doesn't answer.
        url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}/show"
        async with two_hubs(url, room_id) as (one, other, a, b):
            for n in range(5):
                await one.broker.publish(room_id, events=[comment(f"before {n}")])
            await wait_until(lambda: len(a.texts) == len(b.texts) == 5)
            await wait_until(lambda: asyncio.to_thread(pair.replicated))
            epoch = a.client.epoch

            pair.primary.kill()
            await wait_until(lambda: is_paused(a, b))
            await wait_until(lambda: is_full(a, b), FAILOVER_S)
            for n in range(5):
                await say(other.broker, room_id, f"after {n}")
            await wait_until(lambda: len(a.texts) == len(b.texts) == 10)
            assert a.events == b.events
            assert a.offsets == list(range(1, 11))
            assert a.client.epoch == epoch
            assert (a.client.jumps, b.client.jumps) == (0, 0)
            assert a.client.close_codes == b.client.close_codes == []


async def test_after_a_planned_switch_the_old_primary_is_not_written_to(tmp_path: Path, room_id: str) -> None:
    """It lives on as a replica, and may keep who is connected to it."""
    async with watched_pair(tmp_path) as (pair, sentinel):
        async with two_hubs(f"redis+sentinel://127.0.0.1:{sentinel.port}/show", room_id) as (
            one,
            other,
            a,
            b,
        ):
            await one.broker.publish(room_id, events=[comment("before")])
            await wait_until(lambda: a.texts == b.texts == ["before"])

            def begun() -> bool:
                with Redis(port=sentinel.port) as redis, contextlib.suppress(ResponseError):
                    redis.execute_command("SENTINEL FAILOVER", "show")
                    return True
                return False  # It needs a moment to like the replica.

            await wait_until(lambda: asyncio.to_thread(begun), FAILOVER_S)
            await wait_until(
                lambda: (
                    info_of(pair.replica)["role"] == "master" and info_of(pair.primary)["role"] == "slave"
                ),
                FAILOVER_S,
            )
            for hub in (one, other):
                await say(hub.broker, room_id, f"after by {hub.port}")
            told = ["before", f"after by {one.port}", f"after by {other.port}"]
            await wait_until(lambda: a.texts == b.texts == told, FAILOVER_S)
            with Redis(port=pair.replica.port) as redis:
                assert redis.xlen(f"{{room:{room_id}}}:rt:events") == 3
            assert a.client.close_codes == b.client.close_codes == []
