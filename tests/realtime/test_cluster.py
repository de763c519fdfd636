"""A Redis Cluster of three real nodes under the hubs: on the bundled server with plain pub/sub, on a newer one with sharded pub/sub."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError

from realtime import cluster_pubsub
from realtime.broker import Broker, BrokerUnavailable, ChatRules, channel_of
from realtime.cluster import ClusterClient
from realtime.cluster_pubsub import ClusterSubscription
from realtime.protocol import CommandError
from realtime.redis_urls import ClusterUrl, SentinelUrl
from tests.realtime.hubs import QUICK_TOTALS, RunningHub, Watched, running_hub, watching
from tests.redis_cluster import CannotFetch, Cluster, newer_redis, running_cluster
from tests.services import Program, RedisServer, wait_until

FAILOVER_S = 20.0


pytestmark = pytest.mark.usefixtures("impatient")


KINDS = ("plain", "sharded")


def program_of(kind: str) -> Program | None:
    """The bundled server, or one that has sharded pub/sub."""
    if kind == "plain":
        return None
    try:
        return newer_redis()
    except CannotFetch as error:
        pytest.skip(f"no Redis 7 or later, which has sharded pub/sub: {error}")


@pytest.fixture(scope="module", params=KINDS)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three primaries for tests that leave them in peace."""
    with running_cluster(tmp_path_factory.mktemp("cluster"), program_of(request.param)) as running:
        yield running


@pytest.fixture(params=KINDS)
def own_cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """Three primaries without replicas, for one test to break."""
    with running_cluster(tmp_path, program_of(request.param)) as running:
        yield running


@pytest.fixture(params=KINDS)
def replicated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """Three primaries with a replica each."""
    with running_cluster(tmp_path, program_of(request.param), replicas=3) as running:
        yield running


def comment(text: str) -> tuple[str, dict[str, Any]]:
    return ("comment", {"text": text})


def chat_of(viewer: Watched) -> str:
    return str(viewer.client.mode["chat"])


def offsets_are_whole(viewer: Watched) -> bool:
    return viewer.offsets == list(range(1, len(viewer.offsets) + 1))


async def say(broker: Broker, room_id: str, text: str) -> None:
    """Publish until it is taken: a repeat under the same key is said once."""

    async def taken() -> bool:
        with contextlib.suppress(BrokerUnavailable):
            await broker.publish(room_id, events=[comment(text)], once=f"say {text}")
            return True
        await asyncio.sleep(0.05)
        return False

    await wait_until(taken, FAILOVER_S, f"{text!r} to be taken")


async def test_the_server_decides_which_pubsub_is_used(
    cluster: Cluster, request: pytest.FixtureRequest
) -> None:
    broker = await Broker.connect(cluster.url)
    assert isinstance(broker.redis, ClusterClient)
    assert broker.redis.is_sharded == ("sharded" in request.node.callspec.id)
    assert len(broker.redis.primaries) == 3
    await broker.aclose()


async def test_rooms_of_every_node_have_one_order_values_and_personal_messages_on_two_hubs(
    cluster: Cluster,
) -> None:
    async with running_hub(cluster.url, QUICK_TOTALS) as one, running_hub(cluster.url, QUICK_TOTALS) as other:
        for number in range(3):
            room = cluster.room_on(number)
            async with watching(one.url, room, "gu_a") as a, watching(other.url, room, "gu_b") as b:
                for n in range(10):
                    await (a if n % 2 else b).client.command("comment", text=f"c{n}") if n < 5 else None
                    await one.broker.publish(room, events=[comment(f"one {n}")])
                    await other.broker.publish(
                        room, events=[comment(f"other {n}")], values={"stock:x": (n, {"n": n})}
                    )
                await wait_until(lambda: len(a.texts) == len(b.texts) == 25)
                assert a.events == b.events
                assert offsets_are_whole(a)
                await wait_until(lambda: a.client.values.get("stock:x") == (9, {"n": 9}))
                await b.client.command("like", count=7)
                await wait_until(lambda: a.client.values.get("likes") == (7, {"total": 7}))
                await wait_until(lambda: a.client.values["watching"][1]["count"] == 2)
                assert (await one.broker.enter_delays(room, "one", [1, 2]))[:2] == [1, 2]
                assert (await other.broker.enter_delays(room, "other", [3]))[:2] == [4, 2]
                await other.broker.publish_personal(room, "gu_a", "order", {"n": 1})
                await wait_until(lambda: [data for _, data in a.personal] == [{"n": 1}])
                assert b.personal == []
            # Away: a personal message waits, and what was missed comes exactly once.
            epoch, offset = a.client.epoch, a.client.offset
            await one.broker.publish(room, events=[comment("missed")])
            await one.broker.publish_personal(room, "gu_a", "order", {"n": 2})
            async with watching(other.url, room, "gu_a") as again:
                assert again.client.epoch == epoch
                await wait_until(lambda offset=offset: again.client.offset == offset + 1)  # type: ignore[misc]
                await wait_until(lambda: {"n": 2} in [data for _, data in again.personal])


async def test_a_viewer_resumes_on_the_other_hub_without_gap_or_repeat(cluster: Cluster) -> None:
    room = cluster.room_on(2)
    async with running_hub(cluster.url, QUICK_TOTALS) as stays, contextlib.AsyncExitStack() as stack:
        goes = await stack.enter_async_context(running_hub(cluster.url, QUICK_TOTALS))
        where = [goes.url]
        async with watching(lambda: where[0], room) as viewer, watching(stays.url, room) as beside:
            for n in range(20):
                await stays.broker.publish(room, events=[comment(str(n))])
                if n == 9:
                    where[0] = stays.url
                    await stack.aclose()
            await wait_until(lambda: len(viewer.texts) == 20)
            assert viewer.events == beside.events
            assert offsets_are_whole(viewer)
            assert viewer.client.jumps == 0


async def test_messages_stay_on_the_node_of_their_room(
    cluster: Cluster, request: pytest.FixtureRequest
) -> None:
    sharded = "sharded" in request.node.callspec.id
    listing = "PUBSUB SHARDCHANNELS" if sharded else "PUBSUB CHANNELS"
    rooms = [cluster.room_on(number) for number in range(3)]
    async with running_hub(cluster.url, QUICK_TOTALS) as hub, contextlib.AsyncExitStack() as stack:
        viewers = [await stack.enter_async_context(watching(hub.url, room)) for room in rooms]
        for number, node in enumerate(cluster.nodes):
            followed = {name.decode() for name in cluster.ask(node, listing) if b"room:" in name}
            assert followed & {*map(channel_of, rooms)} == {channel_of(rooms[number])}

        def on_the_bus() -> int:
            infos = [cluster.ask(node, "CLUSTER INFO") for node in cluster.nodes]
            return sum(int(info.get("cluster_stats_messages_publish_sent", 0)) for info in infos)

        before = on_the_bus()
        for room in rooms:
            await hub.broker.publish(room, events=[comment("here")])
        await wait_until(lambda: all(viewer.texts == ["here"] for viewer in viewers))
        # Plain pub/sub tells every node of everything; the control that this counter counts.
        assert (on_the_bus() > before) != sharded


async def test_all_that_a_broker_does_stays_in_one_slot(cluster: Cluster) -> None:
    broker = await Broker.connect(cluster.url)
    for number in range(3):
        room = cluster.room_on(number)
        await broker.publish(
            room, events=[comment("a"), comment("b")], values={"pin": (1, {"p": 1})}, once="k"
        )
        await broker.publish(room, events=[comment("a"), comment("b")], once="k")
        first = await broker.publish_personal(room, "gu_a", "order", {"n": 1}, once="k")
        assert await broker.publish_personal(room, "gu_a", "order", {"n": 1}, once="k") == first
        assert len((await broker.personal_after(room, "gu_a", None)).messages) == 1
        await broker.acknowledge_personal(room, "gu_a", first)
        assert (await broker.personal_after(room, "gu_a", None)).messages == []
        stored = await broker.load(room)
        assert (stored.offset, len(stored.events), stored.personal_heads) == (2, 2, {"gu_a": first})
        await broker.renew_epoch(room, stored.epoch)
        assert (await broker.load(room)).epoch != stored.epoch
        assert await broker.values(room) == {"pin": (1, {"p": 1})}
        assert await broker.value(room, "pin") == (1, {"p": 1})
        assert [offset for offset, _ in await broker.history(room, 0, 10)] == [1, 2]
        assert await broker.add_likes(room, 3) == 3
        assert (await broker.enter_presence(room, "hub", 4, 1)).count == 4
        assert (await broker.presence(room)).count == 4
        assert await broker.comment_count(room) == 2
        await broker.set_chat_rules(room, ChatRules(slow_mode_s=30))
        assert await broker.may_comment(room, "gu_a", staff=False, now_ms=1)
        with pytest.raises(CommandError, match="Slow mode"):
            await broker.may_comment(room, "gu_a", staff=False, now_ms=1)
        await broker.hold_comment(room, {"id": "co_1", "at_ms": 1, "text": "x"})
        assert len(await broker.held_comments(room)) == 1
        assert await broker.settle_held_comment(room, "co_1", approve=True)
        await broker.mute(room, "gu_a", 2**50)
        await broker.unmute(room, "gu_a")
        await broker.ban(room, "gu_a")
        assert await broker.is_banned(room, "gu_a")
        await broker.unban(room, "gu_a")
        for node_number, node in enumerate(cluster.nodes):
            theirs = [key for key in cluster.ask(node, "KEYS", "*") if room.encode() in key]
            assert bool(theirs) == (node_number == number)
    await broker.aclose()


async def test_a_script_over_two_rooms_is_refused(cluster: Cluster) -> None:
    """The control of the test above: a cluster does refuse what is not in one slot."""
    broker = await Broker.connect(cluster.url)
    with pytest.raises(RedisError, match="slot"):
        await broker.redis.eval("return 1", 2, *(f"{{room:{cluster.room_on(n)}}}:x" for n in (0, 1)))
    await broker.aclose()


async def test_a_ban_on_one_hub_closes_the_viewer_on_the_other(cluster: Cluster) -> None:
    room = cluster.room_on(0)
    async with running_hub(cluster.url, QUICK_TOTALS) as one, running_hub(cluster.url, QUICK_TOTALS) as other:
        async with watching(one.url, room, "gu_bad") as bad, watching(other.url, room) as good:
            await other.broker.ban(room, "gu_bad")
            await wait_until(lambda: bad.client.close_codes == [4003])
            assert good.client.close_codes == []


async def test_a_killed_node_pauses_its_rooms_alone_and_comes_back_empty(own_cluster: Cluster) -> None:
    rooms = [own_cluster.room_on(number) for number in range(3)]
    async with (
        running_hub(own_cluster.url, QUICK_TOTALS) as one,
        running_hub(own_cluster.url, QUICK_TOTALS) as other,
        contextlib.AsyncExitStack() as stack,
    ):
        viewers = [
            await stack.enter_async_context(watching(hub.url, room)) for room in rooms for hub in (one, other)
        ]
        hurt, well = viewers[:2], viewers[2:]
        notices: list[Any] = []
        for viewer in well:
            viewer.client.on_notice = notices.append
        for room in rooms:
            await one.broker.publish(room, events=[comment("before")])
        await wait_until(lambda: all(viewer.texts == ["before"] for viewer in viewers))

        own_cluster.nodes[0].kill()
        await wait_until(lambda: all(chat_of(viewer) == "paused" for viewer in hurt))
        with pytest.raises(CommandError) as refused:
            await hurt[0].client.command("comment", text="lost")
        assert refused.value.code == "unavailable"
        hears = one.hub._subscription.is_connected
        assert [hears(channel_of(room)) for room in rooms] == [False, True, True]
        assert hears()
        for viewer in well:
            await viewer.client.command("comment", text="meanwhile")
        await wait_until(lambda: all(viewer.texts == ["before", "meanwhile", "meanwhile"] for viewer in well))
        # New viewers of a living node's room get in, on a hub that has just begun, too.
        async with running_hub(own_cluster.url, QUICK_TOTALS) as late, watching(late.url, rooms[1]) as fresh:
            assert fresh.client.offset == 3
            assert chat_of(fresh) == "full"

        own_cluster.nodes[0].start()
        await wait_until(lambda: all(chat_of(viewer) == "full" for viewer in hurt), FAILOVER_S)
        await say(other.broker, rooms[0], "after")
        await wait_until(lambda: all(viewer.texts == ["before", "after"] for viewer in hurt))
        assert [viewer.client.jumps for viewer in viewers] == [1, 1, 0, 0, 0, 0]
        assert not any(viewer.client.close_codes for viewer in viewers)
        assert notices == []


async def test_a_frozen_node_pauses_its_rooms_alone(own_cluster: Cluster) -> None:
    rooms = [own_cluster.room_on(number) for number in (1, 2)]
    async with (
        running_hub(own_cluster.url, QUICK_TOTALS) as hub,
        watching(hub.url, rooms[0]) as hurt,
        watching(hub.url, rooms[1]) as well,
    ):
        await hurt.client.command("comment", text="before")
        own_cluster.nodes[1].freeze()
        await wait_until(lambda: chat_of(hurt) == "paused")
        await well.client.command("comment", text="meanwhile")
        assert chat_of(well) == "full"
        own_cluster.nodes[1].thaw()
        await wait_until(lambda: chat_of(hurt) == "full", FAILOVER_S)
        await say(hub.broker, rooms[0], "after")
        await wait_until(lambda: hurt.texts == ["before", "after"])
        assert (hurt.client.jumps, hurt.client.close_codes) == (0, [])


async def test_a_replica_takes_over_and_the_room_goes_on_in_order(replicated: Cluster) -> None:
    rooms = [replicated.room_on(number) for number in range(3)]
    primary, replica = replicated.nodes[0], replicated.nodes[3]
    async with (
        running_hub(replicated.url, QUICK_TOTALS) as one,
        running_hub(replicated.url, QUICK_TOTALS) as other,
        contextlib.AsyncExitStack() as stack,
    ):
        viewers = [
            await stack.enter_async_context(watching(hub.url, room)) for room in rooms for hub in (one, other)
        ]
        hurt, well = viewers[:2], viewers[2:]
        for n in range(5):
            await one.broker.publish(rooms[0], events=[comment(f"before {n}")])
        await wait_until(lambda: all(len(viewer.texts) == 5 for viewer in hurt))
        await wait_until(lambda: has_caught_up(replicated, primary, replica))
        epoch = hurt[0].client.epoch

        primary.kill()
        await wait_until(lambda: all(chat_of(viewer) == "paused" for viewer in hurt))
        await wait_until(lambda: all(chat_of(viewer) == "full" for viewer in hurt), FAILOVER_S)
        assert replicated.ask(replica, "INFO", "replication")["role"] == "master"
        for n in range(5):
            await say(other.broker, rooms[0], f"after {n}")
        told = [f"{when} {n}" for when in ("before", "after") for n in range(5)]
        await wait_until(lambda: all(viewer.texts == told for viewer in hurt))
        assert all(offsets_are_whole(viewer) for viewer in hurt)
        assert all(viewer.client.epoch == epoch and viewer.client.jumps == 0 for viewer in hurt)
        assert not any(viewer.client.close_codes for viewer in viewers)
        assert all(chat_of(viewer) == "full" and viewer.client.jumps == 0 for viewer in well)


def has_caught_up(cluster: Cluster, primary: RedisServer, replica: RedisServer) -> bool:
    sent, taken = (cluster.ask(node, "INFO", "replication") for node in (primary, replica))
    return bool(sent["master_repl_offset"] == taken["slave_repl_offset"])


async def test_a_slot_moves_and_its_room_moves_with_it(
    own_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_pubsub, "TOPOLOGY_POLL_S", 3600.0)  # It must be heard of in other ways.
    moves, stays = own_cluster.room_on(0), own_cluster.room_on(0)
    async with (
        running_hub(own_cluster.url, QUICK_TOTALS) as one,
        running_hub(own_cluster.url, QUICK_TOTALS) as other,
        watching(one.url, moves, "gu_a") as a,
        watching(other.url, moves) as b,
        watching(one.url, stays) as beside,
    ):
        await one.broker.publish(moves, events=[comment("before")])
        await one.broker.publish_personal(moves, "gu_a", "order", {"n": 1})
        await wait_until(lambda: a.texts == b.texts == ["before"] and len(a.personal) == 1)

        await asyncio.to_thread(own_cluster.move_slot, channel_of(moves), 2)
        if is_sharded(one):
            # The old node says so itself, without anybody asking for the room.
            await wait_until(
                lambda: all(where_is(hub, moves) == own_cluster.nodes[2].port for hub in (one, other))
            )
        for n in range(5):
            await say(other.broker, moves, f"after {n}")
        await other.broker.publish_personal(moves, "gu_a", "order", {"n": 2})
        told = ["before", *(f"after {n}" for n in range(5))]
        await wait_until(lambda: a.texts == b.texts == told)
        await wait_until(lambda: [data["n"] for _, data in a.personal] == [1, 2])
        assert a.client.jumps == b.client.jumps == 0
        assert a.client.close_codes == b.client.close_codes == []
        await beside.client.command("comment", text="still here")
        await wait_until(lambda: beside.texts == ["still here"])
        await wait_until(
            lambda: all(where_is(hub, moves) == own_cluster.nodes[2].port for hub in (one, other))
        )


async def test_a_slot_on_its_way_refuses_what_it_cannot_do_whole_and_says_nothing_twice(
    own_cluster: Cluster,
) -> None:
    room = own_cluster.room_on(0)
    async with running_hub(own_cluster.url, QUICK_TOTALS) as hub, watching(hub.url, room) as viewer:
        await hub.broker.publish(room, events=[comment("before")])
        finish = own_cluster.begin_to_move_slot(channel_of(room), 1)
        # Some of its keys are still here, the one that the call would make is for the new node.
        with pytest.raises(BrokerUnavailable):
            await hub.broker.publish(room, events=[comment("on the way")], once="k")
        assert (
            await hub.broker.is_banned(room, "gu_a") is False
        )  # a key that is nowhere: asked for at the new node
        assert await hub.broker.comment_count(room) == 1  # and one that is still here
        await asyncio.to_thread(finish)
        await say(hub.broker, room, "after")
        await hub.broker.publish(room, events=[comment("on the way")], once="k")
        await hub.broker.publish(room, events=[comment("on the way")], once="k")
        await wait_until(lambda: viewer.texts == ["before", "after", "on the way"])
        assert (viewer.client.jumps, viewer.client.close_codes) == (0, [])
        assert offsets_are_whole(viewer)


def is_sharded(hub: RunningHub) -> bool:
    return isinstance(hub.broker.redis, ClusterClient) and hub.broker.redis.is_sharded


def where_is(hub: RunningHub, room_id: str) -> int:
    """The port of the node on which a hub follows a room."""
    following = hub.hub._subscription
    assert isinstance(following, ClusterSubscription)
    address = following._where[channel_of(room_id).encode()]
    return 0 if address is None else address[1]


async def test_without_any_node_a_hub_does_not_start(own_cluster: Cluster) -> None:
    for node in own_cluster.nodes:
        node.kill()
    with pytest.raises(RedisError, match="no node of the cluster answers"):
        await Broker.connect(own_cluster.url)


async def test_a_server_without_cluster_mode_is_named_as_such(redis_url: str) -> None:
    with pytest.raises(RedisError, match="cluster support disabled"):
        await Broker.connect(redis_url.replace("redis://", "redis+cluster://"))


def test_a_cluster_is_named_by_some_of_its_nodes() -> None:
    url = ClusterUrl.parse("rediss+cluster://user:p%40ss@a:7000,b,[::1]:7002/0")
    assert url.seeds == (("a", 7000), ("b", 6379), ("::1", 7002))
    assert (url.username, url.password, url.is_tls) == ("user", "p@ss", True)
    assert ClusterUrl.parse("redis+cluster://h").username is None
    for wrong in ("redis://h", "redis+cluster://", "redis+cluster://a,,b", "redis+cluster://h/3"):
        with pytest.raises(ValueError):
            ClusterUrl.parse(wrong)


def test_a_primary_is_named_by_its_sentinels() -> None:
    url = SentinelUrl.parse("redis+sentinel://:secret@a,b:7/show/2")
    assert url.seeds == (("a", 26379), ("b", 7))
    assert (url.username, url.password, url.name, url.database) == (None, "secret", "show", 2)
    for wrong in ("redis+sentinel://a", "redis+sentinel:///show", "redis+sentinel://a/show/x"):
        with pytest.raises(ValueError):
            SentinelUrl.parse(wrong)
