"""What compressing a room's frames once is worth: `python -m loadtests.bench_compression [--viewers 1000]`.

The same hub, the same comments (as people write them, in English and Chinese), once to viewers that take plain frames and once to
viewers that agreed on permessage-deflate: bytes per viewer and second, the hub's CPU per delivered message, and the delay.
The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import threading
import time
from typing import Any, Final

import msgpack

from live import ghost_words
from loadtests.bench_crowd import Crowd
from loadtests.bench_hub import SAMPLED, Server, crowd_for, running_server
from loadtests.bench_tools import allow_many_files, cpu_s, keep_to_the_last_core, quantiles_ms, table
from realtime.broker import Broker

RATES: Final = (20, 100, 500)
ROOM: Final = "rm_bench"


def comment(chance: random.Random) -> dict[str, Any]:
    """One as the hub publishes it."""
    number = chance.randrange(5_000)
    language = chance.choice(("en", "zh"))
    lines = (*ghost_words.CHATTING[language], *ghost_words.ARRIVING[language])
    return {
        "id": f"co_{chance.getrandbits(64):016x}",
        "viewer_id": f"gu_{random.Random(number).getrandbits(80):020x}",
        "name": chance.choice(ghost_words.NAMES[language]),
        "role": "viewer",
        "text": chance.choice(lines),
        "at_ms": int(time.time() * 1000),
        "t": time.time(),
    }


def publish(redis_url: str, rate: float, seconds: float) -> threading.Thread:
    """Started, from a thread of its own."""

    async def run() -> None:
        broker, chance = await Broker.connect(redis_url), random.Random(7)
        loop = asyncio.get_running_loop()
        began_s, sent = loop.time(), 0
        while sent < rate * seconds:
            due = int((loop.time() - began_s) * rate) + 1
            if due > sent:
                await broker.publish(ROOM, events=[("comment", comment(chance)) for _ in range(due - sent)])
                sent = due
            await asyncio.sleep(0.005)
        await broker.aclose()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    return thread


def row(server: Server, crowd: Crowd, delays_s: list[float], rate: float, seconds: float) -> dict[str, Any]:
    """Publish for so long, and what it cost."""
    delays_s.clear()
    before_bytes = sum(member.received_bytes for member in crowd.members.values())
    used_s = cpu_s(*server.pids)
    publishing = publish(server.publish[1], rate, seconds)
    while publishing.is_alive():
        crowd.pump(0.02)
    crowd.pump_for(0.5)
    used_s = cpu_s(*server.pids) - used_s
    received = sum(member.received_bytes for member in crowd.members.values()) - before_bytes
    viewers = len(crowd.members)
    delivered = len(delays_s) / SAMPLED * viewers
    p50, p99 = quantiles_ms(delays_s)
    return {
        "comments_per_s": rate,
        "bytes_per_viewer_s": round(received / viewers / seconds),
        "us_per_delivery": round(used_s / delivered * 1e6, 2),
        "p50_ms": round(p50, 1),
        "p99_ms": round(p99, 1),
    }


def measure(viewers: int, seconds: float) -> list[dict[str, Any]]:
    """Plain and compressed, rate by rate, on one hub."""
    rows = []
    with running_server("hub") as server:
        for name, is_deflated in (("plain", False), ("compressed", True)):
            delays_s: list[float] = []

            def take(message: bytes, now_s: float, delays_s: list[float] = delays_s) -> None:
                if len(message) > 1 and message[1] == 1:
                    for type_, data in msgpack.unpackb(message)[4]:
                        if type_ == "comment":
                            delays_s.append(now_s - data["t"])

            crowd = crowd_for("hub", server.port, ROOM, take, deflate=is_deflated)
            crowd.connect(viewers, sampled=SAMPLED)
            crowd.pump_for(0.5)
            rows += [{"frames": name} | row(server, crowd, delays_s, rate, seconds) for rate in RATES]
            crowd.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--viewers", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each run")
    options = parser.parse_args()
    allow_many_files()
    keep_to_the_last_core()
    rows = measure(options.viewers, options.seconds)
    print(table(rows), flush=True)
    half = len(rows) // 2
    ratios = {
        f"{plain['comments_per_s']}/s": {
            "bytes": round(small["bytes_per_viewer_s"] / plain["bytes_per_viewer_s"], 2),
            "cpu": round(small["us_per_delivery"] / plain["us_per_delivery"], 2),
        }
        for plain, small in zip(rows[:half], rows[half:], strict=True)
    }
    load = [round(one, 1) for one in os.getloadavg()]
    print(json.dumps({"viewers": options.viewers, "rows": rows, "ratios": ratios, "load_average": load}))


if __name__ == "__main__":
    main()
