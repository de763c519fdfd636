"""The hot ledger: one sale's counters, soft holds and answers in Redis, changed only by scripts that Redis runs in one step.

Redis admits, SQL decides (DESIGN.md section 5): everything here can be lost and is rebuilt from SQL under the next epoch. Scripts use
Redis' own clock. They are never repeated by the client library; every one of them may be sent again by its caller without harm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

import msgpack
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from commerce.errors import Unavailable
from commerce.sale_rules import Sale

GRACE_MS: Final = 5000
"""A soft hold is freed this long after its expiry, so that a buyer whose own clock still runs can't lose the unit."""
MAX_BATCH: Final = 500
LOG_READ_MAX: Final = 200
SOCKET_TIMEOUT_S: Final = 5.0
EPOCH_SHIFT: Final = 2**40
"""Value versions are epoch * 2^40 + rev: they grow over epochs and stay exact in a double."""
_KEYS: Final = ("meta", "holds", "deadlines", "soft", "bound", "answers", "log")


class NotLoaded(Unavailable):
    """Redis doesn't have the sale, or has it in another epoch: reconciliation will load it."""

    def __init__(self) -> None:
        super().__init__("not_loaded", "The sale is being loaded. Try again in a moment.")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What SQL says of a sale at `version`: absolute, so that a lost or repeated one heals itself."""

    room_id: str
    sale_id: str
    epoch: int
    version: int
    capacity: int
    reserved: int
    sold: int
    state: str
    opens_at_ms: int | None
    closes_at_ms: int | None
    limit_per_buyer: int
    hold_ms: int
    price_minor: int
    currency: str
    rule: str = "first_come"
    window_ms: int = 0

    @classmethod
    def of(cls, sale: Sale) -> Self:
        return cls(**{field.name: getattr(sale, field.name) for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class StockNumbers:
    """The three numbers everyone sees; `available + held + sold = quota` always."""

    sale_id: str
    quota: int
    available: int
    held: int
    sold: int
    waiting: int
    next_hold_ends_at_ms: int | None
    epoch: int
    seq: int
    rev: int
    soft: int
    """Units of `held` that only Redis holds; not shown."""

    @property
    def value_version(self) -> int:
        return self.epoch * EPOCH_SHIFT + self.rev

    def as_value(self) -> dict[str, Any]:
        """The `stock:ID` value of realtime/PROTOCOL.md."""
        shown = asdict(self)
        del shown["rev"], shown["soft"]
        return shown


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """One tap: `request_id` is made by the client and scoped to the buyer."""

    request_id: str
    buyer_id: str
    quantity: int
    ghost: bool = False

    def hold_id(self, sale_id: str) -> str:
        """Derived, so that a retry after Redis lost everything asks for the same hold."""
        digest = hashlib.sha256(f"{sale_id} {self.buyer_id} {self.request_id}".encode()).hexdigest()
        return f"hd_{digest[:32]}"


@dataclass(frozen=True, slots=True)
class Decision:
    """The final, explained answer to one request. Fields that don't apply are None."""

    decision: str
    reason: str
    seq: int | None
    epoch: int | None
    hold_id: str | None = None
    buyer_id: str | None = None
    quantity: int | None = None
    price_minor: int | None = None
    currency: str | None = None
    granted_at_ms: int | None = None
    expires_at_ms: int | None = None
    ghost: bool = False
    place: int | None = None
    after_last_unit_ms: int | None = None
    next_hold_ends_at_ms: int | None = None
    opens_at_ms: int | None = None

    @classmethod
    def of(cls, packed: Mapping[str, Any]) -> Self:
        return cls(**{"seq": None, "epoch": None, **packed})


@dataclass(frozen=True, slots=True)
class SoftHold:
    """A hold that only Redis knows; also what a rebuild carries over."""

    hold_id: str
    buyer_id: str
    quantity: int
    price_minor: int
    currency: str
    granted_at_ms: int
    expires_at_ms: int
    epoch: int
    seq: int
    ghost: bool

    @classmethod
    def of(cls, packed: Mapping[str, Any]) -> Self:
        return cls(**{field.name: packed[field.name] for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One attempt as it was decided, with the sale's numbers right after it."""

    seq: int
    epoch: int
    at_ms: int
    request_id: str
    hold_id: str
    buyer_id: str
    quantity: int
    decision: str
    reason: str
    expires_at_ms: int
    available: int
    held: int
    sold: int
    ghost: bool


def connect_redis(redis_url: str) -> Redis:
    """A client that never repeats a command by itself (redis-py would, ten times, also after a time-out)."""
    return Redis.from_url(
        redis_url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        health_check_interval=0,
    )


class HotLedger:
    """The scripts as calls. Every one raises Unavailable when Redis doesn't answer; `clock_offset_ms` is for tests only."""

    def __init__(self, redis: Redis, *, clock_offset_ms: int = 0) -> None:
        self.redis = redis
        self.clock_offset_ms = clock_offset_ms
        folder = Path(__file__).parent
        common = (folder / "ledger_common.lua").read_text()
        self._scripts = {
            name: redis.register_script(common + (folder / f"{name}.lua").read_text())
            for name in ("decide", "sync", "load", "release", "sweep", "numbers")
        }

    async def load(
        self,
        snapshot: Snapshot,
        *,
        bound_units: Mapping[str, int] | None = None,
        soft_holds: Sequence[SoftHold] = (),
        last_seq: int = 0,
    ) -> tuple[bool, StockNumbers]:
        """Begin `snapshot.epoch`, replacing everything; False (and nothing changed) when Redis has that epoch or a later one."""
        carried = [{"decision": "granted", "reason": "granted", **asdict(hold)} for hold in soft_holds]
        loaded, numbers = await self._run(
            "load",
            snapshot.room_id,
            snapshot.sale_id,
            _pack_snapshot(snapshot),
            _pack(bound_units or {}),
            _pack(carried),
            last_seq,
        )
        return bool(loaded), _numbers(snapshot.sale_id, numbers)

    async def sync(self, snapshot: Snapshot, *, bound_units: Mapping[str, int] | None = None) -> StockNumbers:
        """Take a snapshot unless a newer one is there. Raises NotLoaded."""
        return await self._sync(snapshot, bound_units or {}, "")

    async def bound(self, snapshot: Snapshot, hold_id: str, buyer_id: str, buyer_used: int) -> StockNumbers:
        """The hold now stands in SQL: drop the soft one and take the snapshot in one step. Raises NotLoaded."""
        return await self._sync(snapshot, {buyer_id: buyer_used}, hold_id)

    async def _sync(self, snapshot: Snapshot, bound_units: Mapping[str, int], hold_id: str) -> StockNumbers:
        answer = await self._run(
            "sync",
            snapshot.room_id,
            snapshot.sale_id,
            _pack_snapshot(snapshot),
            _pack(dict(bound_units)),
            hold_id,
        )
        if not answer:
            raise NotLoaded
        return _numbers(snapshot.sale_id, answer[0])

    async def decide(
        self, room_id: str, sale_id: str, requests: Sequence[HoldRequest]
    ) -> tuple[list[Decision], StockNumbers | None]:
        """One answer per request, in order, by one script call; at most 500. A sale that isn't loaded refuses with `not_loaded`."""
        if len(requests) > MAX_BATCH:
            raise ValueError(f"at most {MAX_BATCH} requests")
        batch = [[r.request_id, r.hold_id(sale_id), r.buyer_id, r.quantity, r.ghost] for r in requests]
        answer = await self._run("decide", room_id, sale_id, _pack(batch))
        if not answer:
            return [Decision("refused", "not_loaded", None, None) for _ in requests], None
        packed, numbers = answer
        return [Decision.of(one) for one in msgpack.unpackb(packed)], _numbers(sale_id, numbers)

    async def release(
        self, room_id: str, sale_id: str, hold_id: str, buyer_id: str
    ) -> tuple[bool, StockNumbers | None]:
        """Let the buyer's soft hold go; False when it isn't there (any more), or isn't theirs."""
        answer = await self._run("release", room_id, sale_id, hold_id, buyer_id)
        if not answer:
            return False, None
        return bool(answer[0]), _numbers(sale_id, answer[1])

    async def sweep(
        self, room_id: str, sale_id: str, limit: int = 500
    ) -> tuple[list[SoftHold], StockNumbers | None]:
        """Free soft holds past expiry and grace; gives those freed by this call."""
        answer = await self._run("sweep", room_id, sale_id, limit)
        if not answer:
            return [], None
        freed = msgpack.unpackb(answer[0]) or []  # an empty Lua table arrives as an empty map
        return [SoftHold.of(one) for one in freed], _numbers(sale_id, answer[1])

    async def numbers(self, room_id: str, sale_id: str) -> StockNumbers | None:
        """The sale as Redis has it now, or None when it isn't loaded."""
        answer = await self._run("numbers", room_id, sale_id)
        return _numbers(sale_id, answer[0]) if answer else None

    async def buyer_holds(self, room_id: str, sale_id: str, buyer_id: str) -> list[SoftHold]:
        """The buyer's living soft holds of a sale."""
        if not await self._call(self.redis.hexists(_key(room_id, sale_id, "soft"), buyer_id)):
            return []
        packed = await self._call(self.redis.hvals(_key(room_id, sale_id, "holds")))
        holds = (SoftHold.of(msgpack.unpackb(one)) for one in packed)
        return [hold for hold in holds if hold.buyer_id == buyer_id]

    async def soft_holds(self, room_id: str, sale_id: str) -> list[SoftHold]:
        """All soft holds of a sale."""
        packed = await self._call(self.redis.hvals(_key(room_id, sale_id, "holds")))
        return [SoftHold.of(msgpack.unpackb(one)) for one in packed]

    async def read_log(self, room_id: str, sale_id: str) -> tuple[list[LogEntry], list[bytes]]:
        """The oldest unpersisted entries, in order, and the stream ids to give to `trim_log` once they are in SQL."""
        records = await self._call(self.redis.xrange(_key(room_id, sale_id, "log"), count=LOG_READ_MAX))
        entries = [LogEntry(*one) for _, record in records for one in msgpack.unpackb(record[b"e"])]
        return entries, [record_id for record_id, _ in records]

    async def trim_log(self, room_id: str, sale_id: str, record_ids: Sequence[bytes]) -> None:
        if record_ids:
            await self._call(self.redis.xdel(_key(room_id, sale_id, "log"), *record_ids))

    async def drop(self, room_id: str, sale_id: str) -> None:
        """Forget a sale that is over and persisted."""
        await self._call(self.redis.delete(*(_key(room_id, sale_id, name) for name in _KEYS)))

    async def run_id(self) -> str:
        """Changes whenever redis-server starts anew."""
        info = await self._call(self.redis.info("server"))
        return str(info["run_id"])

    async def _run(self, script: str, room_id: str, sale_id: str, *arguments: Any) -> Any:
        keys = [_key(room_id, sale_id, name) for name in _KEYS]
        return await self._call(self._scripts[script](keys=keys, args=[self.clock_offset_ms, *arguments]))

    async def _call(self, command: Any) -> Any:
        try:
            return await command
        except (RedisError, OSError, TimeoutError) as error:
            raise Unavailable(
                "redis_unavailable", "The sale can't answer right now. Try again in a moment."
            ) from error


def _key(room_id: str, sale_id: str, name: str) -> str:
    return f"{{room:{room_id}}}:sale:{sale_id}:{name}"


def _pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed


def _pack_snapshot(snapshot: Snapshot) -> bytes:
    return _pack({name: 0 if value is None else value for name, value in asdict(snapshot).items()})


def _numbers(sale_id: str, raw: Sequence[int]) -> StockNumbers:
    quota, available, held, sold, waiting, next_hold_ends_at_ms, epoch, seq, rev, soft = (int(n) for n in raw)
    return StockNumbers(
        sale_id=sale_id,
        quota=quota,
        available=available,
        held=held,
        sold=sold,
        waiting=waiting,
        next_hold_ends_at_ms=None if next_hold_ends_at_ms < 0 else next_hold_ends_at_ms,
        epoch=epoch,
        seq=seq,
        rev=rev,
        soft=soft,
    )
