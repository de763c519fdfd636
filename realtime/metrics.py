"""What a hub process tells Prometheus."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from realtime import delays

_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class HubMetrics:
    """One registry per hub, so that several may live in one process."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.connections = Gauge("flashroom_hub_connections", "Open sockets.", registry=registry)
        self.viewers = Gauge(
            "flashroom_hub_viewers", "Connections that have joined a room.", registry=registry
        )
        self.rooms = Gauge("flashroom_hub_rooms", "Rooms this process follows.", registry=registry)
        self.redis_connected = Gauge(
            "flashroom_hub_redis_connected", "1 while the subscription is proven to work.", registry=registry
        )
        self.write_buffer_bytes = Gauge(
            "flashroom_hub_write_buffer_bytes", "Bytes that wait to be sent to viewers.", registry=registry
        )
        self.opened = Counter("flashroom_hub_opened", "Sockets accepted.", registry=registry)
        self.joins = Counter(
            "flashroom_hub_joins", "Joins, by how they were answered.", ["answer"], registry=registry
        )
        self.deliveries = Counter("flashroom_hub_deliveries", "Ticks written to viewers.", registry=registry)
        self.events = Counter("flashroom_hub_events", "Events taken from Redis.", registry=registry)
        self.ticks = Counter("flashroom_hub_ticks", "Ticks of rooms.", registry=registry)
        self.skipped = Counter(
            "flashroom_hub_skipped", "Ticks not written to a viewer who is behind.", registry=registry
        )
        self.thinned = Counter(
            "flashroom_hub_thinned", "Comments left out of ticks under overload.", registry=registry
        )
        self.thinning_changes = Counter(
            "flashroom_hub_thinning_changes",
            "Stages of thinning entered, by stage.",
            ["stage"],
            registry=registry,
        )
        self.jumps = Counter("flashroom_hub_jumps", "Declared jumps.", registry=registry)
        self.personal = Counter("flashroom_hub_personal", "Personal messages written.", registry=registry)
        self.commands = Counter(
            "flashroom_hub_commands", "Commands answered.", ["name", "answer"], registry=registry
        )
        self.closes = Counter(
            "flashroom_hub_closes", "Connections ended, by reason.", ["reason"], registry=registry
        )
        self.redis_reconnects = Counter(
            "flashroom_hub_redis_reconnects", "New subscriptions after one was lost.", registry=registry
        )
        self.resyncs = Counter("flashroom_hub_resyncs", "Rooms read again from Redis.", registry=registry)
        self.tick_seconds = Histogram(
            "flashroom_hub_tick_seconds", "Writing one tick to a room.", buckets=_SECONDS, registry=registry
        )
        self.redis_seconds = Histogram(
            "flashroom_hub_redis_seconds",
            "How long Redis took to answer.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.loop_lag_seconds = Histogram(
            "flashroom_hub_loop_lag_seconds", "Lateness of a timer.", buckets=_SECONDS, registry=registry
        )

        self.video_delay = Gauge(
            "flashroom_hub_video_delay_viewers",
            "Pages whose picture is at most `le` seconds late now, by the way it comes.",
            ["way", "le"],
            registry=registry,
        )

    def set_delays(self, rooms: Sequence[Sequence[int]]) -> None:
        """Show all rooms' counts of delays, added up and as Prometheus counts: each class with those below it."""
        every = [sum(counts) for counts in zip(*rooms, strict=True)] or delays.no_counts()
        for way, counts in delays.by_way(every).items():
            for bound_ms, count in zip((*delays.BOUNDS_MS, None), accumulate(counts), strict=True):
                le = "+Inf" if bound_ms is None else f"{bound_ms / 1000:g}"
                self.video_delay.labels(way, le).set(count)

    def text(self) -> str:
        """Prometheus text format 0.0.4."""
        return generate_latest(self.registry).decode()
