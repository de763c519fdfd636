"""How a setting names a Redis of several servers. No I/O, and nothing to import: every command line reads settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

CLUSTER_SCHEMES: Final = ("redis+cluster", "rediss+cluster")
SENTINEL_SCHEME: Final = "redis+sentinel"
SCHEMES: Final = (*CLUSTER_SCHEMES, SENTINEL_SCHEME)

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ClusterUrl:
    """`redis+cluster://[user:password@]host:port[,host:port ...]`, or `rediss+cluster://` for TLS: some of the nodes, not all."""

    seeds: tuple[Address, ...]
    username: str | None
    password: str | None
    is_tls: bool

    @classmethod
    def parse(cls, url: str) -> ClusterUrl:
        """Raises ValueError in words for whoever set the URL."""
        username, password, seeds, path = _parts(url, 6379)
        if path not in ("", "0"):
            raise ValueError("a cluster has no databases but 0")
        return cls(seeds, username, password, url.startswith("rediss"))


@dataclass(frozen=True, slots=True)
class SentinelUrl:
    """`redis+sentinel://[user:password@]host:port[,host:port ...]/NAME[/DATABASE]`: the Sentinels, and what they call the primary.

    User and password are Redis'; the Sentinels are asked without.
    """

    seeds: tuple[Address, ...]
    username: str | None
    password: str | None
    name: str
    database: int

    @classmethod
    def parse(cls, url: str) -> SentinelUrl:
        """Raises ValueError in words for whoever set the URL."""
        username, password, seeds, path = _parts(url, 26379)
        name, _, database = path.partition("/")
        if not name:
            raise ValueError("after the Sentinels comes /NAME, what they call the primary")
        if database and not database.isdecimal():
            raise ValueError("the database is not a number")
        return cls(seeds, username, password, name, int(database or 0))


def is_cluster(redis_url: str) -> bool:
    return urlsplit(redis_url).scheme in CLUSTER_SCHEMES


def is_sentinel(redis_url: str) -> bool:
    return urlsplit(redis_url).scheme == SENTINEL_SCHEME


def seeds_of(redis_url: str) -> tuple[Address, ...]:
    """The servers that a URL names: one, some of a cluster's nodes, or the Sentinels. Raises ValueError."""
    if is_cluster(redis_url):
        return ClusterUrl.parse(redis_url).seeds
    if is_sentinel(redis_url):
        return SentinelUrl.parse(redis_url).seeds
    parts = urlsplit(redis_url)
    return ((parts.hostname or "127.0.0.1", _port(parts, 6379)),)


def _parts(url: str, port: int) -> tuple[str | None, str | None, tuple[Address, ...], str]:
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise ValueError(f"it starts with {' or '.join(f'{s}://' for s in SCHEMES)}")
    authority, _, path = rest.partition("/")
    credentials, _, hosts = authority.rpartition("@")
    username, _, password = credentials.partition(":")
    parts = [urlsplit(f"redis://{host}") for host in hosts.split(",")]
    seeds = tuple((part.hostname, _port(part, port)) for part in parts if part.hostname)
    if len(seeds) < len(parts):
        raise ValueError("name at least one server as host:port")
    return unquote(username) or None, unquote(password) or None, seeds, path.strip("/")


def _port(part: SplitResult, default: int) -> int:
    try:
        return part.port or default
    except ValueError:
        # Not the library's words: they repeat the value, and where an @ was forgotten that is the password.
        raise ValueError("a port is not a number from 1 to 65535") from None
