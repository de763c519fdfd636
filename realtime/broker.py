"""Redis for realtime: numbers and publishes events, keeps values, totals, personal messages and the rules of a room's chat.

All keys of a room, and its channel, carry the tag {room:ID}: in a Redis Cluster they are on one node, and every script, pipeline and
transaction here is for one room. Every change that others hear of is one script, so that what is kept and what is published never
differ. No call is ever repeated by the client library: by default redis-py repeats a timed-out call ten times. Whatever is not said to
raise otherwise raises redis.exceptions.RedisError when Redis does not answer within 5 s.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, Self

import msgpack
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from realtime.cluster import ClusterClient
from realtime.cluster_pubsub import ClusterSubscription
from realtime.delays import no_counts
from realtime.protocol import CommandError, Event, Value, pack
from realtime.publisher import BrokerUnavailable, Group, Published, Publisher
from realtime.pubsub import Following, OfChannels, Receive, Server, Subscription
from realtime.redis_urls import is_cluster, is_sentinel
from realtime.room import RING_EVENTS
from realtime.sentinel import SentinelClient
from realtime.word_filter import WordFilter

__all__ = ["Broker", "BrokerUnavailable", "ChatRules", "Presence", "Published", "StoredRoom", "connect_redis"]

PERSONAL_KEPT: Final = 100
PERSONAL_KEPT_FOR_MS: Final = 24 * 3600 * 1000
REPEATS_KNOWN_FOR_MS: Final = 3600 * 1000
KNOWN_EVENTS_READ: Final = 8
PRESENCE_STALE_MS: Final = 1500
PEAK_HOLDS_MS = 2000
DELAYS_STALE_MS: Final = 15_000
COMMENTS_PER_WINDOW: Final = 5
COMMENTS_PER_ADDRESS: Final = 100
"""Of all viewers behind one address together, on all hub processes: a campus shares one, a crowd of made-up guests too."""
COMMENT_WINDOW_MS: Final = 5000
HELD_COMMENTS_MAX: Final = 500
FOLLOWERS_PAGE_MS: Final = 5_000
SOCKET_TIMEOUT_S: Final = 5.0
CONNECTIONS_MAX: Final = 64

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Presence:
    """People and ghosts watching now, and the most people ever."""

    count: int
    peak: int
    ghosts: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class ChatRules:
    """What a room's host allows: seconds between a viewer's comments, all comments reviewed first, none at all, followers' only."""

    slow_mode_s: int = 0
    review: bool = False
    off: bool = False
    followers_only: bool = False


@dataclass(frozen=True, slots=True)
class StoredRoom:
    """A room as Redis has it: the last events (packed, ending at `offset`) and every value as (version, packed data)."""

    epoch: str
    offset: int
    events: list[bytes]
    values: dict[str, tuple[int, bytes]]
    banned: frozenset[str]
    personal_heads: dict[str, int]


@dataclass(frozen=True, slots=True)
class MissedPersonal:
    """Kept personal messages after `after`, as (offset, packed [type, data]), oldest first."""

    after: int
    messages: list[tuple[int, bytes]]


def channel_of(room_id: str) -> str:
    return f"{{room:{room_id}}}:rt:live"


def key_of(room_id: str, name: str) -> str:
    """A key of the room in Redis."""
    return f"{{room:{room_id}}}:rt:{name}"


def connect_redis(redis_url: str, *, connections_max: int = CONNECTIONS_MAX) -> Redis:
    """A client that never repeats a command by itself and opens no more than `connections_max` connections (to each node)."""
    if is_cluster(redis_url):
        return ClusterClient(redis_url, connections_max=connections_max, timeout_s=SOCKET_TIMEOUT_S)
    if is_sentinel(redis_url):
        return SentinelClient(redis_url, connections_max=connections_max, timeout_s=SOCKET_TIMEOUT_S)
    pool = BlockingConnectionPool.from_url(
        redis_url,
        max_connections=connections_max,
        timeout=SOCKET_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        health_check_interval=0,
    )
    return Redis.from_pool(pool)


class Broker:
    """The room's side of Redis. One per process; `connect` opens it, `aclose` ends it."""

    def __init__(self, redis: Redis, redis_url: str) -> None:
        self.redis = redis
        self.redis_url = redis_url
        self.word_filter = WordFilter(())
        # Sharded pub/sub where the cluster has it: else each node would be sent every room's messages.
        self._verb = "SPUBLISH" if isinstance(redis, ClusterClient) and redis.is_sharded else "PUBLISH"
        (
            self._publish,
            self._personal,
            self._presence,
            self._likes,
            self._gate,
            self._rules,
            self._renew,
            self._delays,
        ) = (
            redis.register_script((_HERE / f"{name}.lua").read_text().replace("'PUBLISH'", f"'{self._verb}'"))
            for name in (
                "publish",
                "personal",
                "presence",
                "likes",
                "comment_gate",
                "chat_rules",
                "renew_epoch",
                "delays",
            )
        )
        self._publisher = Publisher(self._publish_groups)

    @classmethod
    async def connect(cls, redis_url: str) -> Self:
        """Raises redis.exceptions.RedisError when nobody answers."""
        redis = connect_redis(redis_url)
        try:
            if isinstance(redis, ClusterClient):
                await redis.discover()
            else:
                await redis.ping()
        except RedisError:
            await redis.aclose()
            raise
        return cls(redis, redis_url)

    async def aclose(self) -> None:
        """Send what waits, then close."""
        await self._publisher.flush()
        await self.redis.aclose()

    def node_of(self, room_id: str) -> str:
        """The server that has the room now, by name: when it is away, it is away for all of its rooms."""
        return self.redis.node_of(channel_of(room_id)) if isinstance(self.redis, ClusterClient) else "redis"

    def subscription(self, *, receive: Receive, lost: OfChannels, restored: OfChannels) -> Following:
        """A subscription, not yet started, that hears what is published here. The callbacks are those of `Subscription`."""
        if isinstance(self.redis, ClusterClient):
            return ClusterSubscription(
                self.redis, receive=receive, lost=lost, restored=restored, publish_probe=self.publish_plainly
            )
        find = None
        if isinstance(self.redis, SentinelClient):
            find = self.redis.find_primary
            server = Server("", 0, self.redis.url.username, self.redis.url.password)
        else:
            server = Server.at(self.redis_url)
        return Subscription(
            server,
            receive=receive,
            lost=lost,
            restored=restored,
            publish_probe=self.publish_plainly,
            find=find,
        )

    async def publish_plainly(self, channel: str, payload: bytes) -> None:
        """A bare message to who follows the channel now, neither numbered nor kept."""
        await self.redis.execute_command(self._verb, channel, payload)  # type: ignore[no-untyped-call]

    # -- publishing

    async def publish(
        self,
        room_id: str,
        *,
        events: Sequence[Event] = (),
        values: Mapping[str, Value] | None = None,
        once: str | None = None,
    ) -> Published:
        """Number, keep and publish in one atomic step; a version not above the stored one is dropped.

        A repeat of the same `once` within 1 h changes nothing and is answered as if done. A value whose data is None is gone: viewers
        forget it, and only a higher version brings it back. Raises BrokerUnavailable (the effect is unknown: repeat it with the
        same `once`), CommandError `overloaded`, ValueError for an event or value above 32 KiB.
        """
        return await self._publisher.publish(room_id, events, values or {}, once)

    async def _publish_groups(self, room_id: str, groups: Sequence[Group]) -> tuple[str, list[int]]:
        keys = [key_of(room_id, "meta"), key_of(room_id, "events"), key_of(room_id, "values")]
        arguments: list[Any] = [
            channel_of(room_id),
            secrets.token_hex(6),
            RING_EVENTS,
            REPEATS_KNOWN_FOR_MS,
            len(groups),
        ]
        for group in groups:
            if group.once is None:
                arguments.append(0)
            else:
                keys.append(key_of(room_id, f"once:{group.once}"))
                arguments.append(len(keys))
            arguments += [len(group.events), *group.events, len(group.values)]
            for key, (version, packed) in group.values.items():
                arguments += [key, version, packed]
        epoch, *offsets = await self._publish(keys=keys, args=arguments)
        return epoch.decode(), [int(offset) for offset in offsets]

    async def publish_personal(
        self, room_id: str, viewer_id: str, type_: str, data: Mapping[str, Any], *, once: str | None = None
    ) -> int:
        """Tell one viewer, on every tab and hub; kept for 24 h (the last 100) for one who is away. Gives the message's number.

        A repeat of the same `once` within 1 h changes nothing and is answered with the first number.
        """
        keys = [key_of(room_id, f"personal:{viewer_id}"), key_of(room_id, "personal-heads")]
        if once is not None:
            keys.append(key_of(room_id, f"once-personal:{viewer_id}:{once}"))
        return int(
            await self._personal(
                keys=keys,
                args=[
                    channel_of(room_id),
                    viewer_id,
                    pack([type_, dict(data)]),
                    PERSONAL_KEPT,
                    PERSONAL_KEPT_FOR_MS,
                    REPEATS_KNOWN_FOR_MS,
                ],
            )
        )

    async def personal_after(self, room_id: str, viewer_id: str, offset: int | None) -> MissedPersonal:
        """Kept personal messages after `offset`; None stands for the last one acknowledged."""
        key = key_of(room_id, "personal-acked")
        async with self.redis.pipeline(transaction=False, shard_hint=key) as pipe:
            pipe.zscore(key, viewer_id)
            pipe.xrange(key_of(room_id, f"personal:{viewer_id}"), count=PERSONAL_KEPT)
            acked, entries = await pipe.execute()
        after = int(acked or 0) if offset is None else offset
        numbered = ((_number(entry_id), fields[b"m"]) for entry_id, fields in entries)
        return MissedPersonal(after, [(number, packed) for number, packed in numbered if number > after])

    async def acknowledge_personal(self, room_id: str, viewer_id: str, offset: int) -> None:
        """A later visit that names no offset is sent only what came after the highest one acknowledged."""
        key = key_of(room_id, "personal-acked")
        async with self.redis.pipeline(transaction=False, shard_hint=key) as pipe:
            pipe.zadd(key, {viewer_id: offset}, gt=True)
            pipe.zremrangebyscore(key, "-inf", now_ms() - PERSONAL_KEPT_FOR_MS)
            pipe.pexpire(key, PERSONAL_KEPT_FOR_MS)
            await pipe.execute()

    # -- reading

    async def load(self, room_id: str, known: tuple[str, int] | None = None) -> StoredRoom:
        """The room as it is now, read in one step; makes its epoch if it has none.

        Who knows the room up to (epoch, offset) is given the events after that and the few before it, which tell whether Redis still has
        the same ones: when a thousand rooms are read again after Redis was away, that is all that most of them need.
        """
        stored = await self._load(room_id, 0 if known is None else max(0, known[1] - KNOWN_EVENTS_READ))
        if known is not None and stored.epoch != known[0]:
            return await self._load(room_id, 0)
        return stored

    async def _load(self, room_id: str, after_offset: int) -> StoredRoom:
        meta, events = key_of(room_id, "meta"), key_of(room_id, "events")
        async with self.redis.pipeline(transaction=True, shard_hint=meta) as pipe:
            pipe.hsetnx(meta, "epoch", secrets.token_hex(6))
            pipe.hmget(meta, "epoch", "offset")
            pipe.xrevrange(events, min=f"{after_offset + 1}-0", count=RING_EVENTS)
            pipe.hgetall(key_of(room_id, "values"))
            pipe.smembers(key_of(room_id, "banned"))
            pipe.zrange(key_of(room_id, "personal-heads"), 0, -1, withscores=True)
            _, (epoch, offset), entries, values, banned, heads = await pipe.execute()
        return StoredRoom(
            epoch=epoch.decode(),
            offset=int(offset or 0),
            events=[fields[b"e"] for _, fields in reversed(entries)],
            values=_versions_and_data(values),
            banned=frozenset(member.decode() for member in banned),
            personal_heads={member.decode(): int(score) for member, score in heads},
        )

    async def renew_epoch(self, room_id: str, found: str) -> None:
        """Begin a new epoch if it is still `found`: Redis no longer has events that viewers have seen under it."""
        await self._renew(
            keys=[key_of(room_id, "meta")], args=[found, secrets.token_hex(6), channel_of(room_id)]
        )

    async def values(self, room_id: str) -> dict[str, Value]:
        """Every current value of the room."""
        stored: Any = await self.redis.hgetall(key_of(room_id, "values"))
        unpacked = {
            key: (version, msgpack.unpackb(data))
            for key, (version, data) in _versions_and_data(stored).items()
        }
        return {key: value for key, value in unpacked.items() if value[1] is not None}

    async def value(self, room_id: str, key: str) -> Value | None:
        """One value as it stands in Redis now, its data None when it was taken away; None where Redis never heard of it."""
        stored: Any = await self.redis.hget(key_of(room_id, "values"), key)
        if stored is None:
            return None
        ((version, packed),) = _versions_and_data({key.encode(): stored}).values()
        return version, msgpack.unpackb(packed)

    async def history(self, room_id: str, after_offset: int, limit: int) -> list[tuple[int, Event]]:
        """Kept events after `after_offset`, oldest first."""
        entries: Any = await self.redis.xrange(
            key_of(room_id, "events"), min=f"{after_offset + 1}-0", count=limit
        )
        answer: list[tuple[int, Event]] = []
        for entry_id, fields in entries:
            type_, data = msgpack.unpackb(fields[b"e"])
            answer.append((_number(entry_id), (type_, data)))
        return answer

    # -- totals

    async def add_likes(self, room_id: str, count: int, *, at_least: int = 0) -> int:
        """Add to the room's total and publish it as a value whose version is the total; `at_least` is a total already shown."""
        total = int(await self._likes(keys=[key_of(room_id, "likes")], args=[count, at_least]))
        await self.publish(room_id, values={"likes": (total, {"total": total})})
        return total

    async def enter_presence(
        self, room_id: str, hub_id: str, people: int, ghosts: int, *, peak_at_least: int = 0
    ) -> Presence:
        """Enter this hub's totals; a hub that has not done so for 1.5 s no longer counts.

        The peak is the most people who stayed for 2 s.
        """
        people, ghosts, peak, at_ms = await self._presence(
            keys=[key_of(room_id, "presence"), key_of(room_id, "peak")],
            args=[hub_id, people, ghosts, PRESENCE_STALE_MS, PEAK_HOLDS_MS, peak_at_least],
        )
        return Presence(int(people), int(peak), int(ghosts), int(at_ms))

    async def presence(self, room_id: str) -> Presence:
        """Who is there now, over all hubs."""
        return await self.enter_presence(room_id, "-", 0, 0)

    async def enter_delays(self, room_id: str, hub_id: str, counts: Sequence[int] | None) -> list[int]:
        """Enter how many of this hub's pages have which delay (None takes them out), and give all hubs' counts (`delays.by_way`).

        A hub that has not done so for 15 s no longer counts.
        """
        told = "" if counts is None else ",".join(map(str, counts))
        found = await self._delays(keys=[key_of(room_id, "delays")], args=[hub_id, told, DELAYS_STALE_MS])
        return [a + int(b) for a, b in zip_longest(no_counts(), found, fillvalue=0)]

    async def delays(self, room_id: str) -> list[int]:
        """How late the pictures are now, over all hubs."""
        return await self.enter_delays(room_id, "-", None)

    async def comment_count(self, room_id: str) -> int:
        """How many comments the room has had since its epoch's keys were made; deleted ones count."""
        return int(await self.redis.hget(key_of(room_id, "meta"), "comments") or 0)

    # -- chat

    async def may_comment(
        self, room_id: str, viewer_id: str, address: str = "", *, staff: bool, now_ms: int
    ) -> bool:
        """True to publish, False to keep for review; raises CommandError with the reason and `retry_after_ms` when refused."""
        code, wait_ms = await self._gate(
            keys=[
                key_of(room_id, "muted"),
                key_of(room_id, "banned"),
                key_of(room_id, f"slow:{viewer_id}"),
                key_of(room_id, f"rate:{viewer_id}"),
                key_of(room_id, "rules"),
                # Without an address (a caller in our own process) the viewer's own window bounds it.
                key_of(room_id, f"rate-address:{address or viewer_id}"),
                key_of(room_id, "followers"),
                key_of(room_id, "followers-known"),
            ],
            args=[
                viewer_id,
                now_ms,
                COMMENTS_PER_WINDOW,
                COMMENT_WINDOW_MS,
                "1" if staff else "0",
                COMMENTS_PER_ADDRESS,
            ],
        )
        refusal = COMMENT_REFUSALS.get(code.decode())
        if refusal is not None:
            raise CommandError(code.decode(), refusal, retry_after_ms=int(wait_ms))
        return bool(code == b"ok")

    async def find_comment(self, room_id: str, comment_id: str) -> dict[str, Any] | None:
        """A comment among the room's last events; None when it is not there (any more)."""
        for packed in reversed((await self.load(room_id)).events):
            type_, data = msgpack.unpackb(packed)
            if type_ == "comment" and data.get("id") == comment_id:
                found: dict[str, Any] = data
                return found
        return None

    async def hold_comment(self, room_id: str, comment: Mapping[str, Any]) -> None:
        """Keep a comment for review (at most 500; the oldest go first)."""
        key = key_of(room_id, "held-comments")
        await self.redis.hset(key, str(comment["id"]), pack(dict(comment)))
        if await self.redis.hlen(key) > HELD_COMMENTS_MAX:
            held = await self.held_comments(room_id)
            await self.redis.hdel(key, *(c["id"] for c in held[:-HELD_COMMENTS_MAX]))

    async def held_comments(self, room_id: str) -> list[dict[str, Any]]:
        """Comments kept for review, oldest first."""
        raw: Any = await self.redis.hvals(key_of(room_id, "held-comments"))
        return sorted((msgpack.unpackb(one) for one in raw), key=lambda comment: int(comment["at_ms"]))

    async def settle_held_comment(self, room_id: str, comment_id: str, *, approve: bool) -> bool:
        """Publish or drop a comment kept for review; False when there is none of that id (any more). Raises BrokerUnavailable too."""
        key = key_of(room_id, "held-comments")
        raw: Any = await self.redis.hget(key, comment_id)
        if raw is None:
            return False
        if approve:
            # Published before it is removed, once by its id: a crash in between loses nothing and repeats nothing.
            comment = msgpack.unpackb(raw)
            await self.publish(room_id, events=[("comment", comment)], once=f"held:{comment_id}")
        return bool(await self.redis.hdel(key, comment_id))

    async def set_chat_rules(self, room_id: str, rules: ChatRules, version: int = 0) -> None:
        """The rules every hub applies from now on; a version below the known one is dropped, so that who repeats them undoes nothing.

        Publish the value `chat` beside it, so that pages show them.
        """
        fields = [item for name, value in asdict(rules).items() for item in (name, int(value))]
        await self._rules(keys=[key_of(room_id, "rules")], args=[version, *fields])

    async def follow(self, room_id: str, viewer_id: str) -> None:
        """This viewer may write where only followers may."""
        await self.redis.sadd(key_of(room_id, "followers"), viewer_id)

    async def unfollow(self, room_id: str, viewer_ids: Sequence[str]) -> None:
        """These viewers may not any more. Who just tells Redis of all followers must begin again: they may have been among them."""
        key = key_of(room_id, "followers")
        async with self.redis.pipeline(transaction=True, shard_hint=key) as pipe:
            pipe.srem(key, *viewer_ids)
            pipe.delete(key_of(room_id, "followers-told"))
            await pipe.execute()

    async def knows_followers(self, room_id: str) -> bool:
        """Whether Redis was told of all who follow the room; while it wasn't, nobody is refused for not following it."""
        return bool(await self.redis.exists(key_of(room_id, "followers-known")))

    async def tell_followers(self, room_id: str, pages: AsyncIterable[Sequence[str]]) -> bool:
        """Tell Redis of all who follow the room, read while this runs; False when it must be done again.

        That is so when another process is telling it, when somebody stopped following or Redis lost its data meanwhile, or when a page
        takes longer than 5 s: then this process counts as gone.
        """
        key, telling = key_of(room_id, "followers"), key_of(room_id, "followers-told")
        if not await self.redis.set(telling, "1", nx=True, px=FOLLOWERS_PAGE_MS):
            return False
        await self.redis.delete(key)
        async for page in pages:
            await self.redis.sadd(key, *page)
            if not await self.redis.pexpire(telling, FOLLOWERS_PAGE_MS):
                return False
        async with self.redis.pipeline(transaction=True, shard_hint=key) as pipe:
            pipe.rename(telling, key_of(room_id, "followers-known"))
            pipe.persist(key_of(room_id, "followers-known"))
            renamed, _ = await pipe.execute(raise_on_error=False)
        return not isinstance(renamed, RedisError)

    async def mute(self, room_id: str, viewer_id: str, until_ms: int) -> None:
        """No comments from this viewer until then, on any hub; the viewer is told."""
        await self.redis.hset(key_of(room_id, "muted"), viewer_id, str(until_ms))
        await self.publish_personal(room_id, viewer_id, "muted", {"until_ms": until_ms})

    async def unmute(self, room_id: str, viewer_id: str) -> None:
        await self.redis.hdel(key_of(room_id, "muted"), viewer_id)
        await self.publish_personal(room_id, viewer_id, "muted", {"until_ms": 0})

    async def ban(self, room_id: str, viewer_id: str) -> None:
        """No more joining or commenting; every hub closes the viewer's connections."""
        await self._set_banned(room_id, viewer_id, banned=True)

    async def unban(self, room_id: str, viewer_id: str) -> None:
        await self._set_banned(room_id, viewer_id, banned=False)

    async def _set_banned(self, room_id: str, viewer_id: str, *, banned: bool) -> None:
        key = key_of(room_id, "banned")
        async with self.redis.pipeline(transaction=True, shard_hint=key) as pipe:
            if banned:
                pipe.sadd(key, viewer_id)
            else:
                pipe.srem(key, viewer_id)
            pipe.execute_command(self._verb, channel_of(room_id), pack(["ban", viewer_id, int(banned)]))
            await pipe.execute()

    async def is_banned(self, room_id: str, viewer_id: str) -> bool:
        return bool(await self.redis.sismember(key_of(room_id, "banned"), viewer_id))

    def set_word_list(self, words: Sequence[str]) -> None:
        """Comments with one of these words are kept for review."""
        self.word_filter = WordFilter(words)


COMMENT_REFUSALS: Final = {
    "banned": "You can't write in this room.",
    "muted": "You are muted for a while.",
    "rate_limited": "You are writing too fast.",
    "slow_mode": "Slow mode is on.",
    "chat_off": "The host has turned the chat off.",
    "followers_only": "Only those who follow the room can write.",
    "unavailable": "Who follows the room is not known now.",
}


def _number(entry_id: bytes) -> int:
    return int(entry_id.split(b"-")[0])


def _versions_and_data(stored: Mapping[bytes, bytes]) -> dict[str, tuple[int, bytes]]:
    answer: dict[str, tuple[int, bytes]] = {}
    for key, raw in stored.items():
        version, packed = raw.split(b":", 1)
        answer[key.decode()] = (int(version), packed)
    return answer


def now_ms() -> int:
    """Server time, UTC."""
    return time.time_ns() // 1_000_000
