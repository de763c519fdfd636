"""The hot ledger: one sale's counters, soft holds and answers in Redis, changed only by scripts that Redis runs in one step.

Redis admits, SQL decides (DESIGN.md section 5): everything here can be lost and is rebuilt from SQL under the next epoch. Scripts use
Redis' own clock. They are never repeated by the client library; every one of them may be sent again by its caller without harm.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import msgpack
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from commerce.errors import Unavailable
from commerce.hot_records import (
    EPOCH_SHIFT,
    Decision,
    HoldRequest,
    LogEntry,
    Notice,
    Place,
    Snapshot,
    SoftHold,
    StockNumbers,
)
from commerce.lots import lot, public_buyer, salt_of, seed_of

__all__ = [
    "EPOCH_SHIFT",
    "GRACE_MS",
    "MAX_BATCH",
    "Decision",
    "HoldRequest",
    "HotLedger",
    "LogEntry",
    "NotLoaded",
    "Notice",
    "Place",
    "Snapshot",
    "SoftHold",
    "StockNumbers",
    "connect_redis",
]

log = logging.getLogger("flashroom.hot_ledger")

GRACE_MS: Final = 5000
"""A soft hold is freed this long after its expiry, so that a buyer whose own clock still runs can't lose the unit."""
MAX_BATCH: Final = 500
LOG_READ_MAX: Final = 200
NOTICES_READ_MAX: Final = 100
MAX_UNPERSISTED: Final = 500_000
"""Lines of the log that may wait for the worker; beyond it taps are refused as `overloaded` rather than memory filled."""
MAX_ANSWERS: Final = 2_000_000
MAX_DRAWS: Final = 20
SOCKET_TIMEOUT_S: Final = 5.0
MAX_CONNECTIONS: Final = 64
_KEYS: Final = (
    "meta",
    "holds",
    "deadlines",
    "soft",
    "bound",
    "answers",
    "log",
    "notices",
    "queue",
    "waiting",
    "window",
)
_SCRIPTS: Final = (
    "decide",
    "draw",
    "sync",
    "load",
    "release",
    "lengthen",
    "leave",
    "sweep",
    "numbers",
    "fence",
    "trim",
)
_TEXTS: Final = ("room_id", "sale_id", "state", "state_reason", "currency", "rule", "seed")


ONE_REDIS: Final = "default"


@runtime_checkable
class Shards(Protocol):
    """What commerce must know of a Redis that is a cluster; all keys of a room are on one node."""

    def shard_of(self, key: str) -> str:
        """A name for the part of the data that the key is in; it stays when another node takes that part over."""

    def node_of(self, key: str) -> str:
        """The node that has the key now."""

    async def run_id_of(self, key: str) -> str:
        """The run id of that node. Raises RedisError."""


class NotLoaded(Unavailable):
    """Redis doesn't have the sale, or has it in another epoch: reconciliation will load it."""

    def __init__(self) -> None:
        super().__init__("not_loaded", "The sale is being loaded. Try again in a moment.")


def connect_redis(redis_url: str) -> Redis:
    """A client that never repeats a command by itself (redis-py would, ten times, also after a time-out).

    A call that finds all connections busy waits its turn; redis-py's other pool opens ever more, or refuses at once.
    """
    pool = BlockingConnectionPool.from_url(
        redis_url,
        max_connections=MAX_CONNECTIONS,
        timeout=SOCKET_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        health_check_interval=0,
    )
    return Redis.from_pool(pool)


class HotLedger:
    """The scripts as calls. Every one raises Unavailable when Redis doesn't answer; `clock_offset_ms` is for tests only."""

    def __init__(self, redis: Redis, *, clock_offset_ms: int = 0) -> None:
        self.redis = redis
        self.clock_offset_ms = clock_offset_ms
        client: object = redis
        self._shards = client if isinstance(client, Shards) else None
        common = _source("ledger_common")
        self._scripts = {name: redis.register_script(common + _source(name)) for name in _SCRIPTS}

    async def load(
        self,
        snapshot: Snapshot,
        *,
        bound_units: Mapping[str, int] | None = None,
        soft_holds: Sequence[SoftHold] = (),
        ended_holds: Sequence[SoftHold] = (),
        waiting: Sequence[Place] = (),
        last_seq: int = 0,
    ) -> tuple[bool, StockNumbers]:
        """Begin `snapshot.epoch`, replacing everything; False (and nothing changed) when Redis has that epoch or a later one.

        `soft_holds` go on holding units; `ended_holds` only keep their answers, so that no retry revives one.
        """
        carried = [
            {"decision": "granted", "reason": "granted", **asdict(hold)}
            for hold in (*soft_holds, *ended_holds)
        ]
        loaded, numbers = await self._run(
            "load",
            snapshot.room_id,
            snapshot.sale_id,
            _pack_snapshot(snapshot),
            _pack(dict(bound_units or {})),
            last_seq,
            _pack(carried),
            len(soft_holds),
            _pack([asdict(place) for place in waiting]),
        )
        return bool(loaded), _numbers(snapshot.sale_id, numbers)

    async def sync(
        self,
        snapshot: Snapshot,
        *,
        bound_units: Mapping[str, int] | None = None,
        bound_holds: Sequence[str] = (),
        complete: bool = False,
        next_bound_ends_at_ms: int = -1,
    ) -> StockNumbers:
        """Take a snapshot unless a newer one is there. Raises NotLoaded.

        `bound_holds` are orders by now: they stop being soft. `complete` says that `bound_units` has every buyer.
        """
        answer = await self._run(
            "sync",
            snapshot.room_id,
            snapshot.sale_id,
            _pack_snapshot(snapshot),
            _pack(dict(bound_units or {})),
            _pack(list(bound_holds)),
            int(complete),
            next_bound_ends_at_ms,
        )
        if not answer:
            raise NotLoaded
        return _numbers(snapshot.sale_id, answer[0])

    async def bound(self, snapshot: Snapshot, hold_id: str, buyer_id: str, buyer_used: int) -> StockNumbers:
        """The hold now stands in SQL: drop the soft one and take the snapshot in one step. Raises NotLoaded."""
        return await self.sync(snapshot, bound_units={buyer_id: buyer_used}, bound_holds=(hold_id,))

    async def decide(
        self, room_id: str, sale_id: str, requests: Sequence[HoldRequest]
    ) -> tuple[list[Decision], StockNumbers | None]:
        """One answer per request, in order, by one script call; at most 500. A sale that isn't loaded refuses with `not_loaded`.

        Raises Unavailable `overloaded` when the worker is too far behind with the log.
        """
        if len(requests) > MAX_BATCH:
            raise ValueError(f"at most {MAX_BATCH} requests")
        batch = _pack([[r.hold_id(sale_id), r.buyer_id, r.quantity, r.ghost, r.wait] for r in requests])
        for _ in range(MAX_DRAWS):
            answer = await self._run("decide", room_id, sale_id, batch, MAX_UNPERSISTED, MAX_ANSWERS)
            if not answer:
                return [Decision("refused", "not_loaded", None, None) for _ in requests], None
            if len(answer) == 2:
                return [Decision.of(one) for one in msgpack.unpackb(answer[0])], _numbers(sale_id, answer[1])
            if answer[0] == b"full":
                raise Unavailable("overloaded", "Too many people are buying at this moment. Try again.")
            await self.draw(room_id, sale_id)
        raise Unavailable("overloaded", "The lots of this sale are still being drawn. Try again.")

    async def draw(self, room_id: str, sale_id: str) -> StockNumbers | None:
        """Decide the window's requests in the order of their lots, if its time is over; whoever draws gets the same order."""
        keys = [_key(room_id, sale_id, name) for name in ("window", "meta")]
        packed = await self._call(self.redis.hvals(keys[0]))
        secret = (await self._call(self.redis.hget(keys[1], "seed")) or b"").decode()
        seed, salt = seed_of(secret), salt_of(secret)
        entries = [msgpack.unpackb(one) for one in packed]
        entries.sort(key=lambda one: (lot(seed, public_buyer(salt, one["buyer_id"])), one["number"]))
        answer = await self._run("draw", room_id, sale_id, _pack([one["hold_id"] for one in entries]))
        return _numbers(sale_id, answer[1]) if answer else None

    async def release(
        self, room_id: str, sale_id: str, hold_id: str, buyer_id: str
    ) -> tuple[bool, StockNumbers | None]:
        """Let the buyer's soft hold go; False when it isn't there (any more), or isn't theirs."""
        return await self._outcome("release", room_id, sale_id, hold_id, buyer_id)

    async def leave(self, room_id: str, sale_id: str, buyer_id: str) -> tuple[bool, StockNumbers | None]:
        """Give the buyer's place in the wait list up; False when there is none."""
        return await self._outcome("leave", room_id, sale_id, buyer_id)

    async def sweep(self, room_id: str, sale_id: str, limit: int = 500) -> StockNumbers | None:
        """Free soft holds past expiry and grace, serve the wait list, draw lots that are due; word of it goes into the notices."""
        must_draw, numbers = await self._outcome("sweep", room_id, sale_id, limit)
        return await self.draw(room_id, sale_id) if must_draw else numbers

    async def _outcome(
        self, script: str, room_id: str, sale_id: str, *arguments: Any
    ) -> tuple[bool, StockNumbers | None]:
        answer = await self._run(script, room_id, sale_id, *arguments)
        return (bool(answer[0]), _numbers(sale_id, answer[1])) if answer else (False, None)

    async def numbers(self, room_id: str, sale_id: str) -> StockNumbers | None:
        """The sale as Redis has it now, or None when it isn't loaded."""
        answer = await self._run("numbers", room_id, sale_id)
        return _numbers(sale_id, answer[0]) if answer else None

    async def buyer_holds(self, room_id: str, sale_id: str, buyer_id: str) -> list[SoftHold]:
        """The buyer's living soft holds of a sale."""
        theirs = await self._call(self.redis.hget(_key(room_id, sale_id, "soft"), buyer_id))
        hold_ids = theirs.split()[1:] if theirs else []
        if not hold_ids:
            return []
        packed = await self._call(self.redis.hmget(_key(room_id, sale_id, "holds"), hold_ids))
        return [SoftHold.of(msgpack.unpackb(one)) for one in packed if one]

    async def place(self, room_id: str, sale_id: str, buyer_id: str) -> int | None:
        """The buyer's place in the wait list (1 is next), or None."""
        rank = await self._call(self.redis.zrank(_key(room_id, sale_id, "queue"), buyer_id))
        return None if rank is None else int(rank) + 1

    async def queue(self, room_id: str, sale_id: str, limit: int) -> list[str]:
        """The buyers at the head of the wait list, in the order in which they will be served."""
        found = await self._call(self.redis.zrange(_key(room_id, sale_id, "queue"), 0, limit - 1))
        return [buyer.decode() for buyer in found]

    async def oldest_soft_holds(self, room_id: str, sale_id: str, limit: int) -> list[str]:
        """Ids of the soft holds that end first."""
        found = await self._call(self.redis.zrange(_key(room_id, sale_id, "deadlines"), 0, limit - 1))
        return [hold_id.decode() for hold_id in found]

    async def read_log(self, room_id: str, sale_id: str) -> tuple[list[LogEntry], list[bytes]]:
        """The oldest unpersisted entries, in order, and the stream ids to give to `trim_log` once they are in SQL."""
        records = await self._call(self.redis.xrange(_key(room_id, sale_id, "log"), count=LOG_READ_MAX))
        entries = [LogEntry(*one) for _, record in records for one in msgpack.unpackb(record[b"e"])]
        return entries, [record_id for record_id, _ in records]

    async def log_is_empty(self, room_id: str, sale_id: str) -> bool:
        """Whether everything that was logged is in SQL, or lost."""
        return not await self._call(self.redis.xlen(_key(room_id, sale_id, "log")))

    async def trim_log(
        self, room_id: str, sale_id: str, record_ids: Sequence[bytes], last_seq: int = 0
    ) -> None:
        """Forget records that are in SQL; `last_seq` is the last number among their lines."""
        if record_ids:
            await self._run("trim", room_id, sale_id, _pack([one.decode() for one in record_ids]), last_seq)

    async def read_notices(self, room_id: str, sale_id: str) -> tuple[list[Notice], list[bytes]]:
        """The oldest notices, in order, and the ids to give to `trim_notices` once they are told."""
        records = await self._call(
            self.redis.xrange(_key(room_id, sale_id, "notices"), count=NOTICES_READ_MAX)
        )
        notices = [
            Notice(kind, buyer_id, Decision.of(packed))
            for _, record in records
            for kind, buyer_id, packed in msgpack.unpackb(record[b"n"])
        ]
        return notices, [record_id for record_id, _ in records]

    async def trim_notices(self, room_id: str, sale_id: str, record_ids: Sequence[bytes]) -> None:
        if record_ids:
            await self._call(self.redis.xdel(_key(room_id, sale_id, "notices"), *record_ids))

    async def lengthen(self, room_id: str, sale_id: str, by_ms: int, paused_at_ms: int) -> None:
        """Give the sale's soft holds the length of a payment outage, once per pause; at most 10,000 of them. Their buyers are told."""
        await self._run("lengthen", room_id, sale_id, by_ms, paused_at_ms)

    async def fence(self, room_id: str, sale_id: str, epoch: int) -> None:
        """Stop deciding in `epoch` (a newer one goes on): the sale counts as not loaded until the next `load`."""
        await self._run("fence", room_id, sale_id, epoch)

    async def drop(self, room_id: str, sale_id: str) -> None:
        """Forget a sale that is over and persisted."""
        await self._call(self.redis.delete(*(_key(room_id, sale_id, name) for name in _KEYS)))

    def shard(self, room_id: str) -> str:
        """The part of Redis' data that the room is in; what is forgotten is forgotten for all of it."""
        return ONE_REDIS if self._shards is None else self._shards.shard_of(_tag(room_id))

    def node(self, room_id: str) -> str:
        """The server that has the room; when it is away, it is away for all of its rooms."""
        return ONE_REDIS if self._shards is None else self._shards.node_of(_tag(room_id))

    async def run_id(self, room_id: str) -> str:
        """Changes whenever the room's redis-server starts anew, or another takes its place."""
        if self._shards is not None:
            return str(await self._call(self._shards.run_id_of(_tag(room_id))))
        info = await self._call(self.redis.info("server"))
        return str(info["run_id"])

    async def _run(self, script: str, room_id: str, sale_id: str, *arguments: Any) -> Any:
        keys = [_key(room_id, sale_id, name) for name in _KEYS]
        return await self._call(self._scripts[script](keys=keys, args=[self.clock_offset_ms, *arguments]))

    async def _call(self, command: Any) -> Any:
        try:
            return await command
        except (RedisError, OSError, TimeoutError) as error:
            if isinstance(error, ResponseError):  # an answer, but not one we know how to cause
                log.error("Redis refused: %s", error)
            elif isinstance(error, RedisConnectionError):
                # Redis has restarted, most likely: the idle connections are as dead as this one, and would each fail a buyer.
                await self.redis.connection_pool.disconnect(inuse_connections=False)
            raise Unavailable(
                "redis_unavailable", "The sale can't answer right now. Try again in a moment."
            ) from error


def _source(name: str) -> str:
    return (Path(__file__).parent / f"{name}.lua").read_text()


def _tag(room_id: str) -> str:
    return f"{{room:{room_id}}}"


def _key(room_id: str, sale_id: str, name: str) -> str:
    return f"{_tag(room_id)}:sale:{sale_id}:{name}"


def _pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed


def _pack_snapshot(snapshot: Snapshot) -> bytes:
    values = asdict(snapshot)
    return _pack({name: value or ("" if name in _TEXTS else 0) for name, value in values.items()})


def _numbers(sale_id: str, raw: Sequence[int]) -> StockNumbers:
    numbers = [int(one) for one in raw]
    return StockNumbers(
        sale_id=sale_id,
        quota=numbers[0],
        available=numbers[1],
        held=numbers[2],
        sold=numbers[3],
        waiting=numbers[4],
        next_hold_ends_at_ms=None if numbers[5] < 0 else numbers[5],
        epoch=numbers[6],
        seq=numbers[7],
        rev=numbers[8],
        soft=numbers[9],
        undrawn=numbers[10],
        version=numbers[11],
        full_version=numbers[12],
    )
