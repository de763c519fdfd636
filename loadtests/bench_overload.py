"""What a hub leaves out as the load passes what it can do, and what it never does: `python -m loadtests.bench_overload [--viewers N]`.

One hub process on a core of its own, a room full of viewers, and comments at a rate that rises until all three stages of
realtime/overload.py were seen. Beside them run three stock values and personal messages to a few sampled viewers, whose delays are the
point: they must not wait with the chat. The last line of the output is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgpack

from loadtests.bench_hub import SAMPLED, Server, crowd_for, publisher, running_server
from loadtests.bench_tools import allow_many_files, cpu_s, keep_to_the_last_core, quantiles_ms, table
from realtime.broker import Broker

RATES = (100, 500, 1000, 2000, 3000, 4000, 6000, 8000)
PERSONAL_EVERY_S = 0.1
SETTLE_S = 3.0


class Seen:
    """What the sampled viewers were told since the last `clear`."""

    def __init__(self) -> None:
        self.mode: dict[str, Any] = {}
        self.clear()

    def clear(self) -> None:
        self.stock_s: list[float] = []
        self.personal_s: list[float] = []
        self.chat_s: list[float] = []
        self.skipped = 0

    def take(self, message: bytes, now_s: float) -> None:
        """One message of a sampled viewer."""
        kind = message[1] if len(message) > 1 else 0
        if kind == 1:
            _, _, _, _, events, values = msgpack.unpackb(message)
            for type_, data in events:
                if type_ == "comment":
                    self.chat_s.append(now_s - data["t"])
                self.skipped += type_ == "skipped"
            for key, (version, _) in values.items():
                if key.startswith("stock:"):
                    self.stock_s.append(now_s - version / 1e6)
        elif kind == 3:
            data = msgpack.unpackb(message)[-1]
            stamp = data["t"] if isinstance(data, dict) else data[1]["t"]
            self.personal_s.append(now_s - stamp)
        elif kind == 5:
            notice = msgpack.unpackb(message)[1]
            if notice["type"] == "mode":
                self.mode = notice


@contextmanager
def personal_messages(redis_url: str) -> Iterator[None]:
    """To the sampled viewers in turn, from a thread of its own."""
    stop = threading.Event()

    async def send() -> None:
        broker = await Broker.connect(redis_url)
        number = 0
        while not stop.is_set():
            viewer_id = f"gu_{os.getpid()}_{number % SAMPLED}"
            await broker.publish_personal("rm_bench", viewer_id, "stamp", {"t": time.time()})
            number += 1
            await asyncio.sleep(PERSONAL_EVERY_S)
        await broker.aclose()

    thread = threading.Thread(target=lambda: asyncio.run(send()))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def stage_of(mode: dict[str, Any]) -> int:
    """0 to 3, as the page is told."""
    reduced = [mode.get(name) == "reduced" for name in ("hearts", "presence", "chat")]
    return sum(reduced)


def steps(server: Server, viewers: int, seconds: float) -> list[dict[str, Any]]:
    """One row per rate, until the third stage was seen."""
    seen = Seen()
    crowd = crowd_for("hub", server.port, "rm_bench", seen.take)
    crowd.connect(viewers, sampled=SAMPLED)
    crowd.pump_for(1.0)
    rows = []
    for rate in RATES:
        seen.clear()
        publishing = publisher(server, rate, seconds, 3)
        used_s, started_s = cpu_s(*server.pids), time.perf_counter()
        while publishing.poll() is None:
            crowd.pump(0.05)
        took_s = time.perf_counter() - started_s
        row: dict[str, Any] = {
            "comments_per_s": rate,
            "stage": stage_of(seen.mode),
            "chat_one_in": seen.mode.get("chat_one_in", 1),
            "cpu_share": round((cpu_s(*server.pids) - used_s) / took_s, 2),
            "left_out": round(seen.skipped / max(1, seen.skipped + len(seen.chat_s)), 2),
        }
        for name, delays_s in (("stock", seen.stock_s), ("personal", seen.personal_s), ("chat", seen.chat_s)):
            row[f"{name}_p50_ms"], row[f"{name}_p99_ms"] = (round(one) for one in quantiles_ms(delays_s))
        rows.append(row)
        print(json.dumps(row), flush=True)
        crowd.pump_for(SETTLE_S)
        if row["stage"] == 3:
            break
    crowd.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--viewers", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=6.0, help="of publishing at each rate")
    options = parser.parse_args()
    allow_many_files()
    keep_to_the_last_core()
    with running_server("hub") as server, personal_messages(server.publish[1]):
        rows = steps(server, options.viewers, options.seconds)
    print(table(rows), flush=True)
    load = [round(one, 1) for one in os.getloadavg()]
    print(json.dumps({"viewers": options.viewers, "rows": rows, "load_average": load}))


if __name__ == "__main__":
    main()
