"""The media process' numbers for Prometheus, read from its sessions when asked."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from live.media.sessions import Sessions


class MediaMetrics:
    """One registry per app. Values of rooms are sums: a metric per room would grow without bound."""

    def __init__(self, sessions: Sessions) -> None:
        self.registry = CollectorRegistry()
        self.refused = Counter(
            "flashroom_media_refused", "Refused WHIP and WHEP calls", ["code"], registry=self.registry
        )
        self.registry.register(_SessionsCollector(sessions))

    def text(self) -> bytes:
        """Prometheus text format."""
        return generate_latest(self.registry)


class _SessionsCollector(Collector):
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def collect(self) -> Iterator[Metric]:
        sessions = self._sessions
        living = list(sessions.by_id.values())
        gauge = GaugeMetricFamily("flashroom_media_sessions", "Living sessions", labels=["protocol", "state"])
        for protocol in ("whip", "whep"):
            of_protocol = [s for s in living if s.token.audience == protocol]
            half_open = sum(s.is_half_open for s in of_protocol)
            gauge.add_metric([protocol, "half_open"], half_open)
            gauge.add_metric([protocol, "connected"], len(of_protocol) - half_open)
        yield gauge
        opened = CounterMetricFamily("flashroom_media_sessions_opened", "Sessions begun", labels=["protocol"])
        for name, count in sessions.opened.items():
            opened.add_metric([name], count)
        yield opened
        streams = list(sessions.streams.values())
        yield GaugeMetricFamily(
            "flashroom_media_rooms_publishing", "Rooms on air", value=sum(s.is_publishing for s in streams)
        )
        yield CounterMetricFamily(
            "flashroom_media_reaped", "Sessions ended because nothing came any more", value=sessions.reaped
        )
        yield GaugeMetricFamily(
            "flashroom_media_key_frames_asked",
            "Key frames asked for, of the rooms there are now",
            value=sum(s.key_frames_asked for s in streams),
        )
        yield GaugeMetricFamily(
            "flashroom_media_received_bytes",
            "Payload from the publishers there are now",
            value=sum(track.octets for s in streams for track in s.tracks.values()),
        )
        outlets = [outlet for session in living for outlet in session.outlets]
        for name, help_, value in (
            ("sent_packets", "Packets to living sessions", sum(o.packets for o in outlets)),
            ("sent_bytes", "Payload to living sessions", sum(o.octets for o in outlets)),
            ("repeats", "Lost packets sent again to living sessions", sum(o.repeats for o in outlets)),
            ("skips", "Times a living session fell behind", sum(o.skips for o in outlets)),
        ):
            yield GaugeMetricFamily(f"flashroom_media_{name}", help_, value=value)
