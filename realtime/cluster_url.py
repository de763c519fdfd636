"""How a setting names a Redis Cluster. No I/O, and nothing to import: every command line reads settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

SCHEMES: Final = ("redis+cluster", "rediss+cluster")

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
        scheme, _, rest = url.partition("://")
        if scheme not in SCHEMES:
            raise ValueError(f"a cluster's URL starts with {' or '.join(f'{s}://' for s in SCHEMES)}")
        authority, _, path = rest.partition("/")
        if path.strip("/") not in ("", "0"):
            raise ValueError("a cluster has no databases but 0")
        credentials, _, hosts = authority.rpartition("@")
        username, _, password = credentials.partition(":")
        parts = [urlsplit(f"redis://{host}") for host in hosts.split(",")]
        seeds = tuple((part.hostname, part.port or 6379) for part in parts if part.hostname)
        if len(seeds) < len(parts):
            raise ValueError("name at least one node as host:port")
        return cls(seeds, unquote(username) or None, unquote(password) or None, scheme == "rediss+cluster")


def is_cluster(redis_url: str) -> bool:
    return urlsplit(redis_url).scheme in SCHEMES
