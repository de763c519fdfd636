"""What one delivered message costs the hub, beside its peers in the same run: `python -m loadtests.bench_hub [--full]`.

Real server processes, a real Redis, and a crowd of raw sockets that is lighter than what it measures. Everything is counted from the
first publish until all is received; the CPU is the server's own, from /proc. A run fails when messages are lost. The last line of the
output is one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack

from loadtests.bench_crowd import Crowd, client_frame, handshake
from loadtests.bench_servers import KEY, SERVERS
from realtime.broker import now_ms
from realtime.tickets import Viewer, sign_ticket

SAMPLED = 10
PINGS_BYTES = 8
"""A ping is two bytes; not everyone gets one in a run. A lost tick is a hundred."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PEERS = [name for name in SERVERS if name != "hub"]


@dataclass
class Run:
    """One line of the table."""

    server: str
    viewers: int
    rate: float
    values: int
    published: int = 0
    received: int = 0
    lost: int = 0
    cpu_s: float = 0.0
    seconds: float = 0.0
    delays_s: list[float] = field(default_factory=list)
    note: str = ""

    @property
    def cost_us(self) -> float:
        return self.cpu_s / max(1, self.received) * 1e6

    def as_dict(self) -> dict[str, Any]:
        p50, p99 = quantiles_ms(self.delays_s)
        return {
            "server": self.server,
            "viewers": self.viewers,
            "rate": self.rate,
            "values": self.values,
            "cpu_us_per_delivery": round(self.cost_us, 3),
            "deliveries_per_s": round(self.received / max(1e-9, self.seconds)),
            "cpu_share": round(self.cpu_s / max(1e-9, self.seconds), 3),
            "delay_p50_ms": round(p50, 1),
            "delay_p99_ms": round(p99, 1),
            "lost": self.lost,
            "note": self.note,
        }


def quantiles_ms(delays_s: list[float]) -> tuple[float, float]:
    if len(delays_s) < 2:
        return 0.0, 0.0
    cuts = statistics.quantiles(delays_s, n=100)
    return cuts[49] * 1000, cuts[98] * 1000


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, timeout_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"nothing listens on {port}")
        time.sleep(0.05)


@contextlib.contextmanager
def running(command: list[str], port: int, *, cpu: int | None = None) -> Iterator[int]:
    """A process that listens on a port, on a core of its own where there are two; gives its pid."""
    cores = sorted(os.sched_getaffinity(0))
    if cpu is not None and len(cores) > 1 and shutil.which("taskset"):
        command = ["taskset", "-c", str(cores[cpu % len(cores)]), *command]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield process.pid
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def running_redis() -> Iterator[str]:
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


@contextlib.contextmanager
def running_server(name: str, redis_url: str) -> Iterator[tuple[int, int]]:
    """(pid, port) of a server on the first core; everything else runs on the second."""
    port = free_port()
    with running(
        [sys.executable, "-m", "loadtests.bench_servers", name, str(port), redis_url], port, cpu=0
    ) as pid:
        yield pid, port


def crowd_for(name: str, port: int, room_id: str, on_sample: Callable[[bytes, float], None]) -> Crowd:
    """A crowd that speaks the server's protocol."""
    if name == "hub":

        def join(index: int) -> bytes:
            viewer = Viewer(f"gu_{os.getpid()}_{index}", f"viewer {index}", "viewer", room_id)
            params = {"ticket": sign_ticket(KEY, viewer, now_ms()), "personal_offset": 0}
            return client_frame(msgpack.packb([1, "join", params]))

        return Crowd(
            port, handshake("/v1", "flashroom.v1.msgpack"), join, lambda m: m[:2] == b"\x92\x04", on_sample
        )
    if name == "python-socketio":
        request = handshake("/socket.io/?EIO=4&transport=websocket")
        return Crowd(
            port, request, lambda index: client_frame(b"40", text=True), lambda m: m[:2] == b"40", on_sample
        )
    return Crowd(port, handshake("/ws"), lambda index: b"", lambda m: True, on_sample)


def stamps(name: str, message: bytes) -> list[float]:
    """When the messages in this one were published."""
    if name != "hub":
        text = message.decode("latin-1")
        start = text.find("17")
        return [float(text[start : start + 17])] if start >= 0 else []
    if message[:2] != b"\x96\x01":
        return []
    return [data["t"] for _, data in msgpack.unpackb(message)[4]]


def broadcast(
    name: str,
    viewers: int,
    rate: float,
    seconds: float,
    *,
    values: int = 0,
    churn_per_s: int = 0,
    stop_after_s: float = 60.0,
) -> Run:
    """Publish for some seconds to a room full of viewers."""
    run = Run(name, viewers, rate, values)
    sampled_received = 0

    def on_sample(message: bytes, now_s: float) -> None:
        nonlocal sampled_received
        sent_s = stamps(name, message)
        sampled_received += len(sent_s)
        run.delays_s += [now_s - stamp for stamp in sent_s]

    with running_redis() as redis_url, running_server(name, redis_url) as (pid, port):
        crowd = crowd_for(name, port, "rm_bench", on_sample)
        crowd.connect(viewers, sampled=SAMPLED)
        crowd.pump_for(1.0)
        before = {m.index: m.received_bytes for m in crowd.members.values()}
        arguments = [
            "hub" if name == "hub" else "plain",
            redis_url,
            "rm_bench",
            str(rate),
            str(seconds),
            str(values),
        ]
        publisher = subprocess.Popen(
            [sys.executable, "-m", "loadtests.bench_publisher", *arguments], stdout=subprocess.PIPE, text=True
        )
        while not sampled_received and publisher.poll() is None:
            crowd.pump(0.01)
        started_cpu_s, started_s = cpu_s(pid), time.perf_counter()
        left_per_s = 0.0
        while publisher.poll() is None:
            crowd.pump(0.05)
            if churn_per_s:
                due = (time.perf_counter() - started_s) * churn_per_s - left_per_s
                if due >= 10:
                    left_per_s += int(due)
                    crowd.leave(int(due))
                    crowd.connect(int(due), window=50)
        assert publisher.stdout is not None
        run.published = int(publisher.stdout.read())
        deadline_s = time.perf_counter() + stop_after_s
        while sampled_received < run.published * SAMPLED and time.perf_counter() < deadline_s:
            crowd.pump(0.05)
        run.seconds = time.perf_counter() - started_s
        run.cpu_s = cpu_s(pid) - started_cpu_s
        crowd.pump_for(0.5)
        if name == "hub":
            crowd.declared_jumps = int(hub_metric(port, "flashroom_hub_jumps_total"))
        account(run, crowd, before, sampled_received)
        crowd.close()
    return run


def account(run: Run, crowd: Crowd, before: dict[int, int], sampled_received: int) -> None:
    """Received is what the sampled read in full, and everyone else the same bytes as they."""
    deltas = {
        m.index: m.received_bytes - before[m.index] for m in crowd.members.values() if m.index in before
    }
    expected = statistics.mode(deltas[m.index] for m in crowd.members.values() if m.sampled)
    uneven = sum(1 for delta in deltas.values() if abs(delta - expected) > PINGS_BYTES)
    run.received = run.published * run.viewers
    run.lost = run.published * SAMPLED - sampled_received + crowd.lost
    if crowd.declared_jumps:
        # A reader that was skipped is told so, and has other bytes than the rest from then on.
        run.note = f"{crowd.declared_jumps} declared jumps"
        uneven = max(0, uneven - crowd.declared_jumps)
    if uneven and not run.note:
        run.lost += uneven
        run.note = f"{uneven} viewers received other bytes than the sampled"


def joins(name: str, count: int) -> dict[str, float]:
    """Joins with a snapshot of 50 comments, and the memory of those who then stay idle."""
    with running_redis() as redis_url, running_server(name, redis_url) as (pid, port):
        crowd = crowd_for(name, port, "rm_bench", lambda message, now_s: None)
        crowd.connect(10)
        if name == "hub":
            arguments = ["hub", redis_url, "rm_bench", "100", "1", "3"]
            subprocess.run(
                [sys.executable, "-m", "loadtests.bench_publisher", *arguments],
                check=True,
                stdout=subprocess.DEVNULL,
            )
        crowd.pump_for(0.5)
        before_cpu_s, before_bytes = cpu_s(pid), resident_bytes(pid)
        took_s = crowd.connect(count)
        used_s = cpu_s(pid) - before_cpu_s
        crowd.pump_for(1.0)
        per_viewer = (resident_bytes(pid) - before_bytes) / count
        crowd.close()
    return {
        "joins": count,
        "joins_per_core_s": round(count / max(used_s, 1e-9)),
        "joins_per_s": round(count / took_s),
        "bytes_per_idle_viewer": round(per_viewer),
    }


def hub_metric(port: int, name: str) -> float:
    """One figure of the hub's /metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


def holds(viewers: int, rounds: int) -> dict[str, Any]:
    """Everyone taps Buy at once for 100 units, again and again: time to each answer, CPU per decision, and who got one."""
    answered: list[float] = []
    granted = 0
    tapped_s = 0.0

    def on_sample(message: bytes, now_s: float) -> None:
        nonlocal granted
        if message[:2] == b"\x94\x02":
            _, _, ok, reply = msgpack.unpackb(message)
            answered.append(now_s - tapped_s)
            granted += bool(ok) and reply["decision"] == "granted"

    with running_redis() as redis_url, running_server("hub", redis_url) as (pid, port):
        crowd = crowd_for("hub", port, "rm_bench", on_sample)
        crowd.connect(viewers, sampled=viewers)
        crowd.pump_for(1.0)
        started_cpu_s = cpu_s(pid)
        for round_ in range(rounds):
            params = {"request_id": f"request-{round_}", "sale_id": "sl_bench", "quantity": 1}
            tap = client_frame(msgpack.packb([round_ + 2, "hold", params]))
            tapped_s = time.time()
            for member in crowd.members.values():
                member.socket.sendall(tap)
            deadline_s = time.perf_counter() + 20
            while len(answered) < viewers * (round_ + 1) and time.perf_counter() < deadline_s:
                crowd.pump(0.05)
        used_s = cpu_s(pid) - started_cpu_s
        crowd.close()
    p50, p99 = quantiles_ms(answered)
    return {
        "viewers": viewers,
        "taps": viewers * rounds,
        "answered": len(answered),
        "granted": granted,
        "answer_p50_ms": round(p50),
        "answer_p99_ms": round(p99),
        "cpu_us_per_decision": round(used_s / max(1, len(answered)) * 1e6, 1),
        "decisions_per_core_s": round(len(answered) / max(used_s, 1e-9)),
    }


def table(rows: list[dict[str, Any]]) -> str:
    columns = list(rows[0])
    cells = [columns, *([str(row[c]) for c in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join("  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--full", action="store_true", help="all rows of DESIGN section 10 (several minutes)")
    parser.add_argument("--only", choices=["broadcast", "joins", "peers", "holds"], help="one part")
    parser.add_argument("--seconds", type=float, default=6.0, help="of publishing in each run")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]}) if os.cpu_count() == 2 else None

    runs: list[Run] = []
    results: dict[str, Any] = {}

    def measure(name: str, viewers: int, rate: float, **more: Any) -> None:
        run = broadcast(name, viewers, rate, options.seconds, **more)
        runs.append(run)
        print(json.dumps(run.as_dict()), flush=True)

    if options.only in (None, "broadcast"):
        for rate in (20, 100, 500):
            measure("hub", 1000, rate)
        if options.full:
            measure("hub", 1000, 4000)
            measure("hub", 5000, 50, values=3)
            measure("hub", 10_000 if hard >= 10_500 else hard - 500, 10)
            measure("hub", 5000, 20, churn_per_s=0)
            measure("hub", 5000, 20, churn_per_s=1000)
    if options.only in (None, "peers"):
        for peer in PEERS:
            measure(peer, 1000, 20)
            if options.full:
                measure(peer, 1000, 100)
    if options.only in (None, "joins"):
        results["joins"] = {
            name: joins(name, 5000 if options.full else 2000) for name in ("hub", "websockets.broadcast")
        }
        print(json.dumps(results["joins"]), flush=True)
    if options.only in (None, "holds"):
        results["holds"] = holds(5000 if options.full else 1000, 3)
        print(json.dumps(results["holds"]), flush=True)
    if runs:
        print(table([run.as_dict() for run in runs]), flush=True)
    results["load_average"] = [round(one, 1) for one in os.getloadavg()]
    results["runs"] = [run.as_dict() for run in runs]
    ours = [run for run in runs if run.server == "hub" and (run.viewers, run.rate) == (1000, 100)]
    if ours:
        results["ratios"] = {
            run.server: round(run.cost_us / ours[0].cost_us, 1) for run in runs if run.server != "hub"
        }
    print(json.dumps(results))
    if any(run.lost for run in runs):
        sys.exit("messages were lost")
    if "holds" in results and results["holds"]["answered"] != results["holds"]["taps"]:
        sys.exit("taps were not answered")


if __name__ == "__main__":
    main()
