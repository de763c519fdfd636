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
import re
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgpack

from loadtests import nchan
from loadtests.bench_crowd import Crowd, client_frame, handshake
from loadtests.bench_servers import KEY, SERVERS
from loadtests.bench_tools import (
    allow_many_files,
    cpu_s,
    free_port,
    keep_to_the_last_core,
    quantiles_ms,
    resident_bytes,
    running,
    running_redis,
    table,
)
from realtime.broker import now_ms
from realtime.tickets import Viewer, sign_ticket

SAMPLED = 10
FILES_NEEDED = 10_500
PINGS_BYTES = 8
"""A ping is two bytes; not everyone gets one in a run. A lost tick is a hundred."""
STAMP = re.compile(rb"\d{10}\.\d{6}")
PEERS = [name for name in SERVERS if name != "hub"]


@dataclass
class Run:
    """One line of the table."""

    server: str
    viewers: int
    rate: float
    values: int
    churn_per_s: int = 0
    published: int = 0
    received: int = 0
    skipped: int = 0
    lost: int = 0
    cpu_s: float = 0.0
    seconds: float = 0.0
    delays_s: list[float] = field(default_factory=list)
    note: str = ""

    @property
    def deliveries_per_s(self) -> int:
        return round(self.received / max(1e-9, self.seconds))

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
            "churn_per_s": self.churn_per_s,
            "cpu_us_per_delivery": round(self.cost_us, 3),
            "deliveries_per_s": self.deliveries_per_s,
            "cpu_share": round(self.cpu_s / max(1e-9, self.seconds), 3),
            "delay_p50_ms": round(p50, 1),
            "delay_p99_ms": round(p99, 1),
            "skipped": self.skipped,
            "lost": self.lost,
            "note": self.note,
        }


@dataclass(frozen=True)
class Server:
    """One that is measured; `publish` is what the publisher is told."""

    pids: tuple[int, ...]
    port: int
    publish: tuple[str, str]


@contextlib.contextmanager
def running_server(name: str) -> Iterator[Server]:
    """A server on the first core; everything else, Redis too, runs on the second."""
    installed = nchan.find()
    if name == "nchan" and installed is not None:
        with nchan.running_nchan(installed) as (pids, port):
            yield Server(pids, port, ("nchan", str(port)))
        return
    port = free_port()
    with (
        running_redis() as redis_url,
        running(
            [sys.executable, "-m", "loadtests.bench_servers", name, str(port), redis_url], port, cpu=0
        ) as pid,
    ):
        yield Server((pid,), port, ("hub" if name == "hub" else "plain", redis_url))


def publisher(server: Server, rate: float, seconds: float, values: int) -> subprocess.Popen[str]:
    """Started; prints how many messages it published."""
    arguments = [*server.publish, "rm_bench", str(rate), str(seconds), str(values)]
    return subprocess.Popen(
        [sys.executable, "-m", "loadtests.bench_publisher", *arguments], stdout=subprocess.PIPE, text=True
    )


def crowd_for(
    name: str, port: int, room_id: str, on_sample: Callable[[bytes, float], None], *, deflate: bool = False
) -> Crowd:
    """A crowd that speaks the server's protocol."""
    if name == "hub":

        def join(index: int) -> bytes:
            viewer = Viewer(f"gu_{os.getpid()}_{index}", f"viewer {index}", "viewer", room_id)
            params = {"ticket": sign_ticket(KEY, viewer, now_ms()), "personal_offset": 0}
            return client_frame(msgpack.packb([1, "join", params]))

        return Crowd(
            port,
            handshake("/v1", "flashroom.v1.msgpack", deflate=deflate),
            join,
            lambda m: m[:2] == b"\x92\x04",
            on_sample,
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
        found = STAMP.search(message)
        return [float(found[0])] if found else []
    if message[:2] != b"\x96\x01":
        return []
    return [data["t"] for type_, data in msgpack.unpackb(message)[4] if type_ == "comment"]


def left_out(name: str, message: bytes) -> int:
    """How many comments an overloaded hub has declared to be left out of this message."""
    if name != "hub" or message[:2] != b"\x96\x01":
        return 0
    return sum(1 for type_, _ in msgpack.unpackb(message)[4] if type_ == "skipped")


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
    run = Run(name, viewers, rate, values, churn_per_s)
    sampled_received = sampled_skipped = 0

    def on_sample(message: bytes, now_s: float) -> None:
        nonlocal sampled_received, sampled_skipped
        sent_s = stamps(name, message)
        skipped = left_out(name, message)
        sampled_received += len(sent_s) + skipped
        sampled_skipped += skipped
        run.delays_s += [now_s - stamp for stamp in sent_s]

    with running_server(name) as server:
        pids, port = server.pids, server.port
        crowd = crowd_for(name, port, "rm_bench", on_sample)
        crowd.connect(viewers, sampled=SAMPLED)
        crowd.pump_for(1.0)
        before = {m.index: m.received_bytes for m in crowd.members.values()}
        publishing = publisher(server, rate, seconds, values)
        while not sampled_received and publishing.poll() is None:
            crowd.pump(0.01)
        started_cpu_s, started_s = cpu_s(*pids), time.perf_counter()
        left_per_s = 0.0
        while publishing.poll() is None:
            crowd.pump(0.05)
            if churn_per_s:
                due = (time.perf_counter() - started_s) * churn_per_s - left_per_s
                if due >= 10:
                    left_per_s += int(due)
                    crowd.leave(int(due))
                    crowd.connect(int(due), window=50)
        assert publishing.stdout is not None
        run.published = int(publishing.stdout.read())
        deadline_s = time.perf_counter() + stop_after_s
        while sampled_received < run.published * SAMPLED and time.perf_counter() < deadline_s:
            crowd.pump(0.05)
        run.seconds = time.perf_counter() - started_s
        run.cpu_s = cpu_s(*pids) - started_cpu_s
        crowd.pump_for(0.5)
        if name == "hub":
            crowd.declared_jumps = int(hub_metric(port, "flashroom_hub_jumps_total"))
        account(run, crowd, before, sampled_received)
        run.skipped += sampled_skipped * viewers // SAMPLED
        run.received -= sampled_skipped * viewers // SAMPLED
        crowd.close()
    return run


def account(run: Run, crowd: Crowd, before: dict[int, int], sampled_received: int) -> None:
    """Received is what the sampled read in full, and everyone else the same bytes as they, less what was declared to be skipped."""
    deltas = {
        m.index: m.received_bytes - before[m.index] for m in crowd.members.values() if m.index in before
    }
    expected = statistics.mode(deltas[m.index] for m in crowd.members.values() if m.sampled)
    missing = [expected - delta for delta in deltas.values() if abs(delta - expected) > PINGS_BYTES]
    run.lost = run.published * SAMPLED - sampled_received + crowd.lost
    if len(missing) > crowd.declared_jumps:
        run.lost += len(missing) - crowd.declared_jumps
        run.note = f"{len(missing)} viewers received other bytes than the sampled"
    elif crowd.declared_jumps:
        # A reader that was skipped is told so, and its snapshot has other bytes than the events it stands for.
        run.skipped = round(sum(missing) / max(1, expected) * run.published)
        run.note = f"{crowd.declared_jumps} declared jumps"
    run.received = run.published * run.viewers - run.lost - run.skipped


def joins(name: str, count: int) -> dict[str, float]:
    """Joins with a snapshot of 50 comments, and the memory of those who then stay idle."""
    with running_server(name) as server:
        crowd = crowd_for(name, server.port, "rm_bench", lambda message, now_s: None)
        crowd.connect(10)
        if name == "hub":
            publisher(server, 100, 1, 3).wait()
        crowd.pump_for(0.5)
        before_cpu_s = cpu_s(*server.pids)
        took_s = crowd.connect(count // 2)
        crowd.pump_for(0.5)
        # The slope of the second half: what the first half finds in pools freed earlier would flatter.
        half_bytes = resident_bytes(*server.pids)
        took_s += crowd.connect(count - count // 2)
        used_s = cpu_s(*server.pids) - before_cpu_s
        crowd.pump_for(1.0)
        per_viewer = (resident_bytes(*server.pids) - half_bytes) / (count - count // 2)
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

    with running_server("hub") as server:
        crowd = crowd_for("hub", server.port, "rm_bench", on_sample)
        crowd.connect(viewers, sampled=viewers)
        crowd.pump_for(1.0)
        started_cpu_s = cpu_s(*server.pids)
        for round_ in range(rounds):
            params = {"request_id": f"request-{round_}", "sale_id": "sl_bench", "quantity": 1}
            tap = client_frame(msgpack.packb([round_ + 2, "hold", params]))
            tapped_s = time.time()
            for member in crowd.members.values():
                member.socket.sendall(tap)
            deadline_s = time.perf_counter() + 20
            while len(answered) < viewers * (round_ + 1) and time.perf_counter() < deadline_s:
                crowd.pump(0.05)
        used_s = cpu_s(*server.pids) - started_cpu_s
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


def rows(full: bool) -> list[tuple[str, int, float, dict[str, int]]]:
    """(server, viewers, messages/s, more) of each broadcast; the highest rates are for saturation."""
    peers = PEERS + (["nchan"] if nchan.find() else [])
    found: list[tuple[str, int, float, dict[str, int]]] = [("hub", 1000, rate, {}) for rate in (20, 100, 500)]
    found += [(peer, 1000, 20, {}) for peer in peers]
    found += [(peer, 1000, 100, {}) for peer in peers if full or peer == "nchan"]
    if full:
        found += [("hub", 1000, rate, {}) for rate in (4000, 8000, 16_000)]
        found += [("nchan", 1000, rate, {}) for rate in (200, 400) if "nchan" in peers]
        found += [("hub", 5000, 50, {"values": 3}), ("hub", 10_000, 10, {})]
        found += [("hub", 5000, 50, {}), ("hub", 5000, 50, {"churn_per_s": 1000})]
    return found


def ratios(runs: list[Run]) -> dict[str, Any]:
    """How peers compare at the same rate, how far each goes, and what churn costs the others."""
    ours = {(run.viewers, run.rate): run for run in runs if run.server == "hub"}
    cost = {
        f"{run.server} at {run.rate:g}/s": round(run.cost_us / ours[run.viewers, run.rate].cost_us, 1)
        for run in runs
        if run.server != "hub" and (run.viewers, run.rate) in ours
    }
    found: dict[str, Any] = {"cpu_per_delivery_against_hub": cost}
    most = {
        name: max(run.deliveries_per_s for run in runs if run.server == name)
        for name in {run.server for run in runs}
    }
    if "hub" in most:
        found["deliveries_per_s_at_most"] = most
        found["hub_against"] = {
            name: round(most["hub"] / other, 1) for name, other in most.items() if name != "hub"
        }
    churned = [run for run in runs if run.churn_per_s]
    quiet = [
        run
        for run in runs
        if churned and run.viewers == churned[0].viewers and not run.churn_per_s + run.values
    ]
    if churned and quiet:
        p99s = [quantiles_ms(run.delays_s)[1] for run in (churned[0], quiet[-1])]
        found["churn_p99_against_quiet"] = round(p99s[0] / p99s[1], 2)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--full", action="store_true", help="all rows of DESIGN section 10 (several minutes)")
    parser.add_argument("--only", choices=["broadcast", "joins", "holds"], help="one part")
    parser.add_argument("--seconds", type=float, default=6.0, help="of publishing in each run")
    options = parser.parse_args()
    files = allow_many_files()
    if options.full and files < FILES_NEEDED:
        sys.exit(
            f"10,000 connections need {FILES_NEEDED} open files, the limit is {files}: raise it (ulimit -Hn)"
        )
    keep_to_the_last_core()
    print(nchan.fetch() if options.only in (None, "broadcast") else "", flush=True)

    runs: list[Run] = []
    results: dict[str, Any] = {}
    if options.only in (None, "broadcast"):
        for name, viewers, rate, more in rows(options.full):
            run = broadcast(name, viewers, rate, options.seconds, **more)
            runs.append(run)
            print(json.dumps(run.as_dict()), flush=True)
    if options.only in (None, "joins"):
        count = 10_000 if options.full else 2000
        results["joins"] = {name: joins(name, count) for name in ("hub", "websockets.broadcast")}
        print(json.dumps(results["joins"]), flush=True)
    if options.only in (None, "holds"):
        results["holds"] = holds(5000 if options.full else 1000, 3)
        print(json.dumps(results["holds"]), flush=True)
    if runs:
        print(table([run.as_dict() for run in runs]), flush=True)
        results["ratios"] = ratios(runs)
    results["load_average"] = [round(one, 1) for one in os.getloadavg()]
    results["runs"] = [run.as_dict() for run in runs]
    print(json.dumps(results))
    if any(run.lost for run in runs):
        sys.exit("messages were lost")
    if "holds" in results and results["holds"]["answered"] != results["holds"]["taps"]:
        sys.exit("taps were not answered")


if __name__ == "__main__":
    main()
