"""Ports for servers that are about to start."""

from __future__ import annotations

import contextlib
import random
import socket
from typing import Final

PORTS: Final = range(10_000, 32_768)
"""Below those that Linux gives to outgoing connections: thousands of ours would take one before its server does."""

TRIES: Final = 1_000


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on now, no two equal. Raises OSError when there are none."""
    found: list[int] = []
    for port in random.sample(PORTS, TRIES):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"fewer than {count} free ports among {TRIES}")


def free_port() -> int:
    return free_ports(1)[0]
