"""Bounds of one hub process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HubSettings:
    """Times in seconds, sizes in bytes, unless the name says otherwise. PROTOCOL.md states those that a client can notice."""

    origins: tuple[str, ...] | None = None
    """Origins of pages that may connect; None allows all. A client that sends no Origin is not a browser and is let in."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks (CIDR) whose X-Forwarded-For is believed; from everyone else it is ignored."""
    compression: bool = True
    """Whether what a room's members share is compressed for those whose client offers it: once, not once each."""
    max_connections: int = 20_000
    max_connections_per_address: int = 2_000
    max_connections_per_viewer: int = 20
    tick_min_s: float = 0.065
    """From pass to pass. Each pass costs one write per viewer: at 100 messages/s 50 ms cost 1.55 µs of CPU for each, 65 ms 1.25."""
    tick_max_s: float = 0.25
    """The longest pause between two passes."""
    busy_share: float = 0.6
    slice_connections: int = 512
    slice_max_s: float = 0.004
    kernel_buffer_bytes: int = 128 * 1024
    """The socket's send buffer, of which Linux makes twice as much: a viewer 0.1 s away still gets 2.5 MB/s."""
    skip_above_bytes: int = 64 * 1024
    close_above_bytes: int = 1024 * 1024
    behind_close_s: float = 15.0
    ping_interval_s: float = 25.0
    silent_close_s: float = 60.0
    join_timeout_s: float = 10.0
    """From opening the connection to the join command."""
    load_timeout_s: float = 5.0
    """How long a join waits for a room that is not loaded yet."""
    ahead_timeout_s: float = 1.0
    """How long a returning viewer who has seen more than this hub is kept waiting for it to catch up."""
    close_timeout_s: float = 5.0
    """From our close frame to the end of the connection, whatever the peer does."""
    frame_rate: float = 20.0
    """Frames a second that a connection may send for ever."""
    frame_burst: int = 40
    in_flight_max: int = 16
    """Unanswered commands of one connection."""
    hub_in_flight_max: int = 20_000
    command_timeout_s: float = 10.0
    presence_interval_s: float = 0.5
    likes_interval_s: float = 0.25
    requests_interval_s: float = 1.0
    """Their value may be large, and everybody gets it."""
    delays_interval_s: float = 5.0
    room_idle_s: float = 10.0
    """How long a room without viewers stays subscribed."""
    early_messages_max: int = 5_000
    """Messages kept for a room while it is read from Redis; beyond, it is read once more."""
    drain_reconnect_ms: int = 5_000
