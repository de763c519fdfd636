"""`flashroom doctor`: what is well and what is not, one line each, and an exit code of 1 when anything is broken."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from alembic.script import ScriptDirectory
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from commerce import invariants, migrations
from commerce.clock import wall_clock_ms
from commerce.database import Database, create_database
from commerce.errors import CommerceError
from live import migrations as live_migrations
from live import processes
from live.redis_server import find_redis_server, is_ours_to_run
from live.settings import Settings
from realtime.broker import connect_redis
from realtime.cluster import ClusterClient

FREE_BYTES_WANTED: Final = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `ok` None is a remark: worth knowing, nothing is broken."""

    name: str
    ok: bool | None
    text: str


def run(settings: Settings) -> int:
    """Print the findings; 1 when one of them is broken."""
    findings = asyncio.run(examine(settings))
    for finding in findings:
        mark = {True: "ok", False: "BROKEN", None: "note"}[finding.ok]
        sys.stdout.write(f"{mark:<7} {finding.name}: {finding.text}\n")
    return int(any(finding.ok is False for finding in findings))


async def examine(settings: Settings) -> list[Finding]:
    """Every check, also when others fail."""
    findings = [
        Finding("settings", True, f"{settings.env}, data in {settings.data_dir}"),
        _disk(settings),
        _redis_program(settings),
        *_ports(settings),
        await _tried("redis", lambda: _redis(settings)),
    ]
    async with aclosing(create_database(settings.database_url)) as database:
        tables = await _tried("tables", lambda: _tables(database))
        findings.append(tables)
        if tables.ok:
            findings += await _invariants(database)
    return findings


async def _tried(name: str, check: Callable[[], Awaitable[Finding]]) -> Finding:
    try:
        return await check()
    except (CommerceError, SQLAlchemyError, RedisError, OSError, TimeoutError) as error:
        return Finding(name, False, str(error).splitlines()[0] if str(error) else type(error).__name__)


def _disk(settings: Settings) -> Finding:
    folder = settings.data_dir if settings.data_dir.exists() else settings.data_dir.parent
    free = shutil.disk_usage(folder).free
    return Finding("disk", free >= FREE_BYTES_WANTED, f"{free // 1024**2:,} MiB free for data")


def _redis_program(settings: Settings) -> Finding:
    if not is_ours_to_run(settings.redis_url):
        return Finding("redis-server", None, "FLASHROOM_REDIS_URL names a server that is not ours to start")
    try:
        return Finding("redis-server", True, str(find_redis_server()))
    except processes.CannotStart as error:
        return Finding("redis-server", False, str(error).splitlines()[0])


def _ports(settings: Settings) -> list[Finding]:
    ports = (("web", settings.web_port), ("hub", settings.hub_port))
    return [
        Finding(
            f"port {port} ({name})",
            None,
            "free" if processes.port_is_free(settings.host, port) else "something listens there",
        )
        for name, port in ports
    ]


async def _redis(settings: Settings) -> Finding:
    redis = connect_redis(settings.redis_url)
    try:
        nodes, shape = [redis], ""
        if isinstance(redis, ClusterClient):
            await redis.discover()
            nodes = [redis.node(address) for address in redis.primaries]
            shape = f" on {len(nodes)} primaries, {'sharded' if redis.is_sharded else 'plain'} pub/sub"
        answers = [await node.info() for node in nodes]
        beat = await processes.last_beat(redis, "worker")
    finally:
        await redis.aclose()
    if any(answer.get("maxmemory_policy") != "noeviction" for answer in answers):
        return Finding(
            "redis", False, "maxmemory-policy must be noeviction: a key thrown away is a sale forgotten"
        )
    youngest = min(answers, key=lambda answer: int(answer["uptime_in_seconds"]))
    said = f"{youngest['redis_version']}{shape}, up {youngest['uptime_in_seconds']} s"
    durable = all(answer.get("aof_enabled") for answer in answers)
    said += ", writes to disk" if durable else ", WITHOUT append-only file"
    said += f", a worker is at work (process {beat[0]})" if beat else ", no worker is at work"
    return Finding("redis", True, said)


async def _tables(database: Database) -> Finding:
    for scripts, table in (
        (migrations.SCRIPTS, migrations.VERSION_TABLE),
        (live_migrations.SCRIPTS, live_migrations.VERSION_TABLE),
    ):
        head = ScriptDirectory(str(scripts)).get_current_head()
        async with database.read() as c:
            found = (await c.execute(text(f"SELECT version_num FROM {table}"))).scalar()  # our own constant
        if found != head:
            return Finding("tables", False, f"{table} is at {found}, not {head}: run `flashroom migrate`")
    return Finding("tables", True, f"{database.dialect}, at head")


async def _invariants(database: Database) -> list[Finding]:
    async with database.read() as c:
        violations = await invariants.check(c, wall_clock_ms())
    if not violations:
        return [Finding("invariants", True, f"all {len(invariants.INVARIANTS)} hold")]
    return [Finding(one.name, False, f"{one.meaning}; not so: {one.row}") for one in violations]
