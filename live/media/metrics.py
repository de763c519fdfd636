"""The media process' numbers for Prometheus, read from its sessions when asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from live.media.carrier import Carrier
from live.media.cascade import Pulls
from live.media.feed import Feeds
from live.media.handover import Forwards, ForwardState
from live.media.hls import HlsRooms
from live.media.recorder import Recordings, RecordingState
from live.media.sessions import Sessions


class MediaMetrics:
    """One registry per app. Values of rooms are sums: a metric per room would grow without bound."""

    def __init__(
        self,
        sessions: Sessions,
        hls: HlsRooms,
        feeds: Feeds,
        recordings: Recordings,
        carrier: Carrier,
        pulls: Pulls,
        forwards: Forwards,
    ) -> None:
        self.registry = CollectorRegistry()
        self.refused = Counter(
            "flashroom_media_refused", "Refused WHIP and WHEP calls", ["code"], registry=self.registry
        )
        self.redirected = Counter(
            "flashroom_media_redirected",
            "Calls sent on to the media process that carries the room",
            ["protocol"],
            registry=self.registry,
        )
        self.registry.register(_SessionsCollector(sessions))
        self.registry.register(_FilmsCollector(hls, feeds, recordings))
        self.registry.register(_NeighboursCollector(carrier, pulls, forwards))

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
        for protocol in ("whip", "whep", "relay"):
            of_protocol = [s for s in living if s.token.audience == protocol]
            half_open = sum(s.is_half_open for s in of_protocol)
            gauge.add_metric([protocol, "half_open"], half_open)
            gauge.add_metric([protocol, "connected"], len(of_protocol) - half_open)
        yield gauge
        opened = CounterMetricFamily("flashroom_media_sessions_opened", "Sessions begun", labels=["protocol"])
        for name, count in sessions.opened.items():
            opened.add_metric([name], count)
        yield opened
        restarts = CounterMetricFamily(
            "flashroom_media_ice_restarts", "Other paths for living sessions", labels=["outcome"]
        )
        for name, count in sessions.ice_restarts.items():
            restarts.add_metric([name], count)
        yield restarts
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
            ("nacks", "Packets that living sessions asked for again", sum(o.asked_again for o in outlets)),
            (
                "bad_networks",
                "Living sessions that lose over 5 %",
                sum(o.fraction_lost > 12 for o in outlets),
            ),
            (
                "plis",
                "Key frames that viewers of the rooms there are now asked for",
                sum(s.wishes for s in streams),
            ),
            (
                "publisher_losses",
                "Packets that never came from the publishers there are now",
                sum(track.missing for s in streams for track in s.tracks.values()),
            ),
            (
                "publisher_restarts",
                "Times that publishers of the rooms there are now came anew",
                sum(max(0, s.attached - 1) for s in streams),
            ),
        ):
            yield GaugeMetricFamily(f"flashroom_media_{name}", help_, value=value)


class _NeighboursCollector(Collector):
    def __init__(self, carrier: Carrier, pulls: Pulls, forwards: Forwards) -> None:
        self._carrier = carrier
        self._pulls = pulls
        self._forwards = forwards

    def collect(self) -> Iterator[Metric]:
        pulls = GaugeMetricFamily(
            "flashroom_media_pulls", "Rooms pulled from other media processes", labels=["state"]
        )
        living = list(self._pulls.by_room.values())
        ready = sum(pull.is_ready for pull in living)
        pulls.add_metric(["connecting"], len(living) - ready)
        pulls.add_metric(["ready"], ready)
        yield pulls
        forwards = GaugeMetricFamily(
            "flashroom_media_forwards", "Rooms handed over to another server", labels=["state"]
        )
        for state in get_args(ForwardState):
            forwards.add_metric([state], self._forwards.count(state))
        yield forwards
        yield GaugeMetricFamily("flashroom_media_rooms_carried", "Leases held", value=self._carrier.held)
        for name, help_, value in (
            ("pulls_begun", "Rooms that were pulled from other media processes", self._pulls.begun),
            ("pull_failures", "Tries to pull a room that failed", self._pulls.failures),
            (
                "forward_failures",
                "Sessions with the server that rooms are handed over to that were refused or lost",
                self._forwards.failures,
            ),
            ("rooms_lost", "Rooms given up because another process carries them", self._carrier.lost),
        ):
            yield CounterMetricFamily(f"flashroom_media_{name}", help_, value=value)


class _FilmsCollector(Collector):
    def __init__(self, hls: HlsRooms, feeds: Feeds, recordings: Recordings) -> None:
        self._hls = hls
        self._feeds = feeds
        self._recordings = recordings

    def collect(self) -> Iterator[Metric]:
        hls, recordings = self._hls, self._recordings
        for name, help_, value in (
            ("hls_rooms", "Rooms that somebody watches by HLS", len(hls.by_room)),
            (
                "remux_losses",
                "Gaps in what the rooms there are now get from their publishers",
                sum(feed.losses for feed in self._feeds.by_room.values()),
            ),
            (
                "recording_free_bytes",
                "Free space where recordings are, at the last look",
                recordings.free_bytes,
            ),
        ):
            yield GaugeMetricFamily(f"flashroom_media_{name}", help_, value=value)
        by_state = GaugeMetricFamily(
            "flashroom_media_recordings", "Rooms by recording state", labels=["state"]
        )
        for state in get_args(RecordingState):
            if state != "off":
                by_state.add_metric([state], recordings.count(state))
        yield by_state
        for name, help_, value in (
            ("hls_requests", "Answered HLS requests", hls.requests),
            ("hls_sent_bytes", "HLS content sent", hls.sent_bytes),
            ("recording_bytes", "Recorded and synced", recordings.written_bytes),
            ("recording_failures", "Writes and films that failed", recordings.failures),
            ("films", "Recordings made into films", recordings.finished),
        ):
            yield CounterMetricFamily(f"flashroom_media_{name}", help_, value=value)
