"""What every benchmark here needs: real processes on free ports and cores of their own, their CPU and memory, and a table."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loadtests.ports import free_port

CORES = sorted(os.sched_getaffinity(0))
"""Read before anyone here pins itself: a child inherits its parent's core."""


def quantiles_ms(delays_s: list[float]) -> tuple[float, float]:
    """Median and 99th percentile."""
    if len(delays_s) < 2:
        return 0.0, 0.0
    cuts = statistics.quantiles(delays_s, n=100)
    return cuts[49] * 1000, cuts[98] * 1000


def children(pid: int) -> list[int]:
    """Processes a server has started, such as nginx's worker."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(path.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found


def cpu_s(*pids: int) -> float:
    """User and system time of processes so far, ended threads included.

    By the kernel's clock of each process (clock_getcpuclockid(3), its number as Linux makes it): /proc counts in hundredths of a second,
    too coarse for a run of one second.
    """
    return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in pids) / 1e9


def resident_bytes(*pids: int) -> int:
    """Memory that processes hold now."""
    return sum(
        int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() for pid in pids
    )


def wait_for_port(port: int, timeout_s: float = 20.0, process: subprocess.Popen[bytes] | None = None) -> None:
    """Raises TimeoutError, also as soon as `process`, which was to listen there, has ended."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process is not None and process.poll() is not None:
            raise TimeoutError(f"what was to listen on {port} ended with {process.returncode}")
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"nothing listens on {port}")
        time.sleep(0.05)


def allow_many_files() -> int:
    """Raise this process' limit of open files to what it may be raised to, and give that. Children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def keep_to_the_last_core() -> None:
    """So that a crowd doesn't take the server's core. Where there is one core, nothing changes."""
    if len(CORES) > 1:
        os.sched_setaffinity(0, {CORES[-1]})


@contextlib.contextmanager
def running(command: list[str], port: int, *, cpu: int | None = None) -> Iterator[int]:
    """A process that listens on a port, on a core of its own where there are two; gives its pid."""
    if cpu is not None and len(CORES) > 1 and shutil.which("taskset"):
        command = ["taskset", "-c", str(CORES[cpu % len(CORES)]), *command]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for_port(port, process=process)
        yield process.pid
    finally:
        process.terminate()  # And not kill: nginx's worker would stay.
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def running_redis() -> Iterator[str]:
    """The URL of a Redis of its own, on the second core."""
    port = free_port()
    beside = Path(sys.executable).parent / "redis-server"
    executable = str(beside) if beside.exists() else str(shutil.which("redis-server"))
    with tempfile.TemporaryDirectory() as folder:
        options = [
            "--port",
            str(port),
            "--dir",
            folder,
            "--save",
            "",
            "--appendonly",
            "no",
            "--loglevel",
            "warning",
        ]
        with running([executable, *options], port, cpu=1):
            yield f"redis://127.0.0.1:{port}/0"


def table(rows: list[dict[str, Any]]) -> str:
    """The rows under their keys, aligned."""
    columns = list(rows[0])
    cells = [columns, *([str(row[c]) for c in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join("  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in cells)
