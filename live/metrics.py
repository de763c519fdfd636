"""The worker's numbers for Prometheus, and a small HTTP server for processes that have none of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REQUEST_TIMEOUT_S: Final = 5.0
MAX_REQUEST_BYTES: Final = 8 * 1024
_PHRASES: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class WorkerMetrics:
    """What the jobs did. One registry per worker, so that tests don't share numbers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.runs = Counter("flashroom_job_runs", "Runs of a job", ["job", "outcome"], registry=self.registry)
        self.done = Counter(
            "flashroom_job_items", "Things a job has dealt with", ["job"], registry=self.registry
        )
        self.seconds = Histogram(
            "flashroom_job_seconds",
            "Time of one run",
            ["job"],
            buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10),
            registry=self.registry,
        )
        self.last_success = Gauge(
            "flashroom_job_last_success_seconds",
            "Unix time of a job's last good run",
            ["job"],
            registry=self.registry,
        )
        self.violations = Gauge(
            "flashroom_invariant_violations",
            "Rows that break an invariant; anything above 0 needs a person",
            ["invariant"],
            registry=self.registry,
        )
        self.rebuilds = Counter(
            "flashroom_sale_rebuilds",
            "Times a sale was rebuilt because Redis had forgotten",
            registry=self.registry,
        )

    def text(self) -> bytes:
        """Prometheus text format."""
        return generate_latest(self.registry)


Answer = Callable[[], tuple[int, bytes]]


async def serve(host: str, port: int, pages: dict[str, Answer]) -> asyncio.Server:
    """Answer GETs of `pages` ({path: () -> (status, body)}) until the server is closed. Raises OSError when the port is taken."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                method, path, *_ = head.split(b" ", 2)
                status, body = _answer(method, path.decode("latin-1"), pages)
                writer.write(
                    f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a probe that doesn't speak HTTP, or left: nothing to tell anybody
        finally:
            writer.close()

    return await asyncio.start_server(connected, host, port, limit=MAX_REQUEST_BYTES)


def _answer(method: bytes, path: str, pages: dict[str, Answer]) -> tuple[int, bytes]:
    if method not in (b"GET", b"HEAD"):
        return 405, b"GET only\n"
    page = pages.get(path.partition("?")[0])
    return page() if page is not None else (404, b"There is /healthz, /readyz and /metrics.\n")
