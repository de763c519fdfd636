"""What hostile clients cost everybody else: `python -m loadtests.bench_hostile [--viewers 1000] [--seconds 8]`.

A real hub, good viewers in a room with 100 messages a second, and beside them, one kind after another: readers that stop, readers of a
byte a second, floods of commands, huge and broken frames, thousands of connections from one address. For each: how the offenders
ended (the close codes of realtime/PROTOCOL.md), the hub's memory as a curve, and the good viewers' delay against the quiet run before.
The last line is one JSON object; the run fails when a good viewer lost anything, or the others' p99 rose above 1.5 times (at least 20 ms).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import msgpack

from loadtests.bench_hub import Server, crowd_for, publisher, running_server
from loadtests.bench_tools import allow_many_files, keep_to_the_last_core, quantiles_ms, resident_bytes, table
from loadtests.hostile_clients import KINDS

SAMPLED: Final = 20
WORST_RATIO: Final = 1.5
NOISE_MS: Final = 20.0
MEMORY_EVERY_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Plan:
    """How many offenders, among how many messages a second, for how many times `--seconds`."""

    count: int
    rate: float = 100.0
    times: float = 1.0


PLANS: Final = {
    # Busy enough to fill the kernel's buffers, and long enough for a reader 15 s behind to be closed.
    "stops_reading": Plan(300, 1_000.0, 5.0),
    "reads_a_byte_a_second": Plan(300, 1_000.0, 5.0),
    "answers_no_ping": Plan(300),
    "floods": Plan(50),
    "sends_huge_frames": Plan(100),
    "sends_broken_frames": Plan(300),
    "comes_in_thousands": Plan(3_000),
}
PER_ADDRESS: Final = 2_000
"""Connections that the hub takes from one address here, as it does by default."""
ENOUGH_MB: Final = 400.0
"""More than the hub may take on for any of them: 3,000 connections with 64 KiB each are below it."""
MARKS: Final = " ▁▂▃▄▅▆▇█"


class GoodViewers:
    """A crowd that reads, and the delays of those who are sampled."""

    def __init__(self, server: Server, count: int) -> None:
        self.delays_s: list[float] = []
        self.crowd = crowd_for("hub", server.port, "rm_bench", self._take)
        self.crowd.connect(count, sampled=SAMPLED)
        self.crowd.pump_for(1.0)

    def _take(self, message: bytes, now_s: float) -> None:
        if len(message) > 1 and message[1] == 1:
            for type_, data in msgpack.unpackb(message)[4]:
                if type_ == "comment" and "t" in data:
                    self.delays_s.append(now_s - data["t"])

    def during(
        self, server: Server, rate: float, seconds: float, memory: list[float]
    ) -> tuple[int, float, float]:
        """Messages heard by the sampled, and their p50 and p99 in ms, while messages are published."""
        self.delays_s.clear()
        publishing = publisher(server, rate, seconds, 3)
        next_look_s = 0.0
        while publishing.poll() is None:
            self.crowd.pump(0.02)
            if time.monotonic() >= next_look_s:
                memory.append(resident_bytes(*server.pids) / 2**20)
                next_look_s = time.monotonic() + MEMORY_EVERY_S
        self.crowd.pump_for(1.0)
        assert publishing.stdout is not None
        sent = int(publishing.stdout.read().split()[-1])
        p50, p99 = quantiles_ms(self.delays_s)
        lost = sent * SAMPLED - len(self.delays_s) + self.crowd.lost
        return lost, p50, p99


def closes(server: Server) -> Counter[str]:
    """How many connections the hub has ended so far, by reason, as its metrics say."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = re.findall(r'flashroom_hub_closes_total{reason="([^"]+)"} ([0-9.e+]+)', text)
    return Counter({reason: int(float(count)) for reason, count in found})


def curve(values: list[float]) -> str:
    """Numbers as a line of blocks, from the lowest to the highest."""
    if not values:
        return ""
    low, high = min(values), max(values)
    span = max(high - low, 1.0)
    return "".join(MARKS[round((value - low) / span * (len(MARKS) - 1))] for value in values)


def measure(viewers: int, seconds: float, kinds: list[str]) -> list[dict[str, Any]]:
    """One row per kind: quiet first, then with the offenders beside."""
    rows = []
    with running_server("hub") as server:
        good = GoodViewers(server, viewers)
        for kind in kinds:
            plan, memory = PLANS[kind], list[float]()
            lasts_s = seconds * plan.times
            quiet_lost, _, quiet_p99 = good.during(server, plan.rate, seconds, memory)
            before_mb, closed = memory[-1], closes(server)
            memory.clear()
            arguments = [kind, str(server.port), str(plan.count), str(lasts_s)]
            offenders = subprocess.Popen(
                [sys.executable, "-m", "loadtests.hostile_clients", *arguments],
                stdout=subprocess.PIPE,
                text=True,
            )
            lost, p50, p99 = good.during(server, plan.rate, lasts_s, memory)
            out, _ = offenders.communicate(timeout=lasts_s + 60)
            good.crowd.pump_for(0.5)
            ended = closes(server) - closed
            told = json.loads(out.splitlines()[-1])
            rows.append(
                {
                    "kind": kind,
                    "offenders": told["count"],
                    "stayed": told["ends"].get("stayed", 0),
                    "closed": ", ".join(f"{reason}: {many}" for reason, many in sorted(ended.items())),
                    "quiet_p99_ms": round(quiet_p99, 1),
                    "p50_ms": round(p50, 1),
                    "p99_ms": round(p99, 1),
                    "ratio": round(p99 / max(quiet_p99, 1e-9), 2),
                    "lost": lost + quiet_lost,
                    "before_mb": round(before_mb, 1),
                    "most_mb": round(max(memory), 1),
                    "after_mb": round(memory[-1], 1),
                    "memory": curve(memory),
                }
            )
            print(json.dumps(rows[-1], ensure_ascii=False), flush=True)
        good.crowd.close()
    return rows


def wrong_with(rows: list[dict[str, Any]]) -> list[str]:
    """What must not be; empty when all is well."""
    wrong = []
    for row in rows:
        if row["lost"]:
            wrong.append(f"{row['kind']}: good viewers lost {row['lost']} messages")
        if (
            row["p99_ms"] > row["quiet_p99_ms"] * WORST_RATIO
            and row["p99_ms"] - row["quiet_p99_ms"] > NOISE_MS
        ):
            wrong.append(f"{row['kind']}: others' p99 rose {row['ratio']} times")
        if row["most_mb"] - row["before_mb"] > ENOUGH_MB:
            wrong.append(f"{row['kind']}: the hub took {row['most_mb'] - row['before_mb']:.0f} MB")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--viewers", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each run")
    parser.add_argument("--only", choices=sorted(KINDS), action="append")
    options = parser.parse_args()
    allow_many_files()
    os.environ["BENCH_PER_ADDRESS"] = str(PER_ADDRESS)
    keep_to_the_last_core()
    rows = measure(options.viewers, options.seconds, options.only or list(PLANS))
    print(table(rows), flush=True)
    wrong = wrong_with(rows)
    for one in wrong:
        print(f"FAILED: {one}")
    load = [round(one, 1) for one in os.getloadavg()]
    print(json.dumps({"viewers": options.viewers, "rows": rows, "wrong": wrong, "load_average": load}))
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
