"""Nchan, the fastest peer we know: nginx's C module, one worker, found on this machine or fetched by `python -m loadtests.nchan`.

Debian's packages are unpacked into `.cache/nchan` and not installed, so that nothing starts by itself. Nchan has its own publishing
location; publishing goes there over one kept connection and not through Redis, which spares Nchan the work the others do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtests.bench_tools import children, free_port, running

UNPACKED = Path(".cache/nchan")
PACKAGES = ("nginx", "libnginx-mod-nchan", "libhiredis0.14")
BODIES = Path("/var/lib/nginx")
"""Where Debian's nginx insists on keeping bodies, whatever the configuration says."""

CONFIGURATION = """
daemon off;
worker_processes 1;
load_module {module};
pid {folder}/pid;
error_log stderr error;
events {{ worker_connections 19000; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /publish {{ nchan_publisher; nchan_channel_id bench; nchan_message_buffer_length 20000; }}
    location = /ws {{ nchan_subscriber websocket; nchan_channel_id bench; nchan_subscriber_first_message newest; }}
  }}
}}
"""


@dataclass(frozen=True)
class Installed:
    nginx: Path
    module: Path


def find() -> Installed | None:
    """nginx with Nchan, of the system or unpacked beside us; None where there is none."""
    if not os.access(BODIES, os.W_OK):
        return None
    roots = [Path("/"), UNPACKED]
    for root in roots:
        nginx = root / "usr/sbin/nginx"
        module = (root / "usr/lib/nginx/modules/ngx_nchan_module.so").absolute()
        if nginx.exists() and module.exists():
            return Installed(nginx.absolute(), module)
    return None


def fetch() -> str:
    """Unpack Debian's packages; gives what was done, or why not."""
    if find() is not None:
        return "nginx with Nchan is there"
    if shutil.which("apt-get") is None:
        return "no apt-get here: install nginx with Nchan to measure beside it"
    UNPACKED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["apt-get", "download", "-qq", *PACKAGES], cwd=folder, check=True)
        for package in Path(folder).glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(UNPACKED)], check=True)
    with contextlib.suppress(OSError):
        BODIES.mkdir(exist_ok=True)
    return (
        "nginx with Nchan is unpacked in .cache/nchan"
        if find()
        else f"nginx needs a writable {BODIES}: make it"
    )


@contextlib.contextmanager
def running_nchan(installed: Installed) -> Iterator[tuple[tuple[int, ...], int]]:
    """(pids, port) of nginx and its worker, on the first core."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(module=installed.module, folder=folder, port=port))
        command = [str(installed.nginx), "-p", folder, "-c", str(configuration)]
        with running(command, port, cpu=0) as pid:
            yield (pid, *children(pid)), port


class Channel:
    """Publishes over one connection; `publish` returns when nginx has taken the message."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> Channel:
        """A connection that is kept."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def publish(self, messages: list[bytes]) -> None:
        """All of them in one write, then all answers."""
        head = b"POST /publish HTTP/1.1\r\nHost: bench\r\nAccept: text/x\r\nContent-Length: %d\r\n\r\n"
        self._writer.write(b"".join(head % len(message) + message for message in messages))
        for _ in messages:
            answer = await self._reader.readuntil(b"\r\n\r\n")
            if b" 20" not in answer[:14]:
                raise RuntimeError(f"nginx refused: {answer[:80]!r}")
            length = next(
                line for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            await self._reader.readexactly(int(length.split(b":")[1]))

    async def aclose(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


if __name__ == "__main__":
    print(fetch())
    sys.exit(0 if find() else 1)
