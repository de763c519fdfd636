"""Everything private of aiortc 1.16 and aioice that we touch, in one place; test_aiortc_internals.py fails first when they change.

Why at all: aiortc decodes what it receives and encodes what it sends, in a thread and two tasks per track. We take RTP packets out of its
receiver before its decoder, and put packets into its transports ourselves. Negotiation, ICE, DTLS and SRTP stay aiortc's.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aioice.ice
import ifaddr
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender
from aiortc.codecs import is_rtx
from aiortc.rtp import (
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    RtpPacket,
)
from pylibsrtp import Error as SrtpError

from live.media.packets import Kind

log = logging.getLogger("flashroom.media")

OnPacket = Callable[[str, RtpPacket], None]
"""Given the codec's name and a packet, repeats already unwrapped."""
OnClock = Callable[[int, int], None]
"""Given NTP time (64 bits) and RTP time of a sender report."""

_SEND_BUFFER_BYTES: Final = 256 * 1024


def new_connection() -> RTCPeerConnection:
    """A peer connection without STUN or TURN of our own, all media on one transport."""
    return RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))


def listen_on(addresses: Sequence[str]) -> None:
    """Offer these addresses as ICE candidates, in every connection of this process; none given: all that this machine can be reached at."""

    def host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        found = list(addresses) or _machine_addresses()
        return [a for a in found if (use_ipv6 if ":" in a else use_ipv4)]

    aioice.ice.get_host_addresses = host_addresses


def _machine_addresses() -> list[str]:
    """Without IPv6's link-local ones, which cost a socket per viewer; loopback only where there is nothing else."""
    found: list[str] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            text = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            address = ipaddress.ip_address(text)
            if not address.is_loopback and not address.is_link_local:
                found.append(text)
    return found or ["127.0.0.1"]


# -- another path for a session that goes on (ICE restart, RFC 8445 section 9)


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """What ICE calls ufrag and pwd."""

    user: str
    password: str


class _OldPathsQueue:
    """In the place of the old path's queue: what still comes by it is heard, its end is not."""

    def __init__(self, queue: asyncio.Queue[tuple[bytes, int] | None]) -> None:
        self._queue = queue

    def put_nowait(self, received: tuple[bytes, int] | None) -> None:
        if received is not None:
            self._queue.put_nowait(received)


class NewPath:
    """A second ICE connection for a transport whose DTLS and SRTP go on: gathered, checked by the peer, then put under them.

    `begin` must be followed by `settle` or `give_up`.
    """

    def __init__(self, dtls_transport: Any) -> None:
        self._transport: Any = dtls_transport.transport
        self._old: Any = self._transport._connection
        self._new: Any = aioice.ice.Connection(ice_controlling=self._old.ice_controlling)
        self._queue: asyncio.Queue[tuple[bytes, int] | None] = self._old._queue

    @staticmethod
    def is_possible(dtls_transport: Any) -> bool:
        """Whether there is a path that stands, to be replaced."""
        return (
            dtls_transport.transport.state == "completed"
            and not dtls_transport.transport._connection._closing
        )

    async def begin(self) -> tuple[IceCredentials, list[str]]:
        """Gather; gives our new credentials and candidates as in SDP. From here on the end of the old path ends nothing."""
        await self._new.gather_candidates()
        self._old._queue = _OldPathsQueue(self._queue)
        self._new._queue = self._queue  # DTLS waits at this one now, and goes on to
        self._transport._recv = self._receive
        # Whoever waits for the end of the path (the transport's monitor) waits for the new one's.
        self._new._event_waiter, self._old._event_waiter = self._old._event_waiter, None
        own = IceCredentials(self._new.local_username, self._new.local_password)
        return own, [candidate.to_sdp() for candidate in self._new.local_candidates]

    async def _receive(self) -> bytes:
        received = await self._queue.get()
        if received is None:
            raise ConnectionError("the path is closed")
        return received[0]

    async def settle(self, remote: IceCredentials, within_s: float, candidates: Sequence[str] = ()) -> bool:
        """Until the peer has checked the new path, which is then used. False when it doesn't in time: the old one stays, if it still is."""
        self._new.remote_username, self._new.remote_password = remote.user, remote.password
        for candidate in candidates:
            await self._new.add_remote_candidate(aioice.Candidate.from_sdp(candidate))
        try:
            await asyncio.wait_for(self._new.connect(), within_s)
        except (ConnectionError, TimeoutError):
            await self.give_up()
            return False
        except asyncio.CancelledError:
            await self.give_up()
            raise
        # The transmitter looks into the old dictionary, and closing empties what the old connection has.
        nominated, self._old._nominated = self._old._nominated, {}
        nominated.clear()
        nominated.update(self._new._nominated)
        self._new._nominated = nominated
        transport = self._transport
        transport._connection = transport.iceGatherer._connection = self._new
        transport._send = self._new.send
        await self._old.close()
        return True

    async def give_up(self) -> None:
        """Go on with the old path. Where that has ended meanwhile, the session hears of it now."""
        if not self._old._closing:
            self._old._queue, self._new._queue = self._queue, asyncio.Queue()
            self._old._event_waiter, self._new._event_waiter = self._new._event_waiter, None
        await self._new.close()


# -- receiving


class _Tap:
    """Stands where the receiver has its jitter buffer: every packet passes here, and no frame ever comes out to be decoded."""

    def __init__(self, on_packet: Callable[[RtpPacket], None]) -> None:
        self._on_packet = on_packet

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        self._on_packet(packet)
        return False, None


class TappedReceiver:
    """An aiortc receiver whose packets go to us; it still reports, asks for what is lost and estimates bandwidth."""

    def __init__(self, transceiver: Any, on_packet: OnPacket, on_clock: OnClock) -> None:
        self._receiver: RTCRtpReceiver = transceiver.receiver
        self._ssrc: int | None = None
        self._codecs = {
            codec.payloadType: codec.name.upper() for codec in transceiver._codecs if not is_rtx(codec)
        }
        handle_rtcp: Callable[[Any], Awaitable[None]] = self._receiver._handle_rtcp_packet

        def take(packet: RtpPacket) -> None:
            self._ssrc = packet.ssrc
            on_packet(self._codecs[packet.payload_type], packet)

        async def hear(packet: Any) -> None:
            await handle_rtcp(packet)
            if isinstance(packet, RtcpSrPacket) and packet.ssrc == self._ssrc:
                on_clock(packet.sender_info.ntp_timestamp, packet.sender_info.rtp_timestamp)

        assert hasattr(self._receiver, "_RTCRtpReceiver__jitter_buffer")
        self._receiver._RTCRtpReceiver__jitter_buffer = _Tap(take)
        self._receiver._handle_rtcp_packet = hear

    async def ask_for_key_frame(self) -> None:
        """Send a picture loss indication (RFC 4585); nothing happens before the first packet has named the stream."""
        if self._ssrc is not None:
            await self._receiver._send_rtcp_pli(self._ssrc)


# -- sending


class PacketSender(RTCRtpSender):
    """A sender that runs nothing: it negotiates, and hands over what the viewer reports. Packets go out by `Transmitter`."""

    def __init__(
        self,
        kind: Kind,
        transport: Any,
        *,
        on_start: Callable[[PacketSender], None],
        on_loss: Callable[[list[int]], None],
        on_key_frame_wanted: Callable[[], None],
        on_report: Callable[[int], None],
    ) -> None:
        super().__init__(kind, transport)
        self.media_kind: Kind = kind
        self.payload_types: dict[str, int] = {}
        self.repeat_types: dict[str, int] = {}
        self._on_start = on_start
        self._on_loss = on_loss
        self._on_key_frame_wanted = on_key_frame_wanted
        self._on_report = on_report
        self._is_registered = False

    @property
    def ssrc(self) -> int:
        return int(self._ssrc)

    @property
    def repeat_ssrc(self) -> int:
        return int(self._rtx_ssrc)

    async def send(self, parameters: Any) -> None:
        """Called by the peer connection once DTLS stands, perhaps more than once."""
        if self._is_registered:
            return
        self._is_registered = True
        names: dict[int, str] = {}
        for codec in parameters.codecs:
            if is_rtx(codec):
                name = names.get(codec.parameters.get("apt"))
                if name is not None:
                    self.repeat_types.setdefault(name, codec.payloadType)
            else:
                names[codec.payloadType] = codec.name.upper()
                if codec.name.upper() not in self.payload_types:
                    self.payload_types[codec.name.upper()] = codec.payloadType
                else:
                    names.pop(codec.payloadType)
        self.transport._register_rtp_sender(self, parameters)
        self._on_start(self)

    async def stop(self) -> None:
        if self._is_registered:
            self.transport._unregister_rtp_sender(self)

    async def _handle_rtcp_packet(self, packet: Any) -> None:
        if isinstance(packet, RtcpRtpfbPacket):
            if packet.fmt == RTCP_RTPFB_NACK:
                self._on_loss(packet.lost)
        elif isinstance(packet, RtcpPsfbPacket):
            if packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
                self._on_key_frame_wanted()
        elif isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == self._ssrc:
                    self._on_report(report.fraction_lost)


def install_sender(transceiver: Any, sender: PacketSender) -> None:
    """Put our sender in the place of the transceiver's own, before negotiation."""
    assert hasattr(transceiver, "_RTCRtpTransceiver__sender")
    sender._stream_id = transceiver.sender._stream_id
    transceiver._RTCRtpTransceiver__sender = sender
    transceiver.receiver._set_rtcp_ssrc(sender._ssrc)


def nominated_socket(dtls_transport: Any) -> socket.socket:
    """A descriptor of our own for the socket of a connected peer's path; to be closed by the caller."""
    return _own_socket(dtls_transport.transport._connection._nominated[1])


def _own_socket(pair: Any) -> socket.socket:
    shared = pair.protocol.transport.get_extra_info("socket")
    return socket.fromfd(shared.fileno(), shared.family, shared.type)


class Transmitter:
    """Encrypts and sends at once, without a coroutine, a queue or a copy in user space; what the kernel can't take is refused."""

    def __init__(self, dtls_transport: Any) -> None:
        self._srtp = dtls_transport._tx_srtp
        self._nominated: dict[int, Any] = dtls_transport.transport._connection._nominated
        self._pair: Any = None
        self._address: tuple[str, int] = ("", 0)
        self._socket: socket.socket | None = None

    def send_rtp(self, packet: bytes) -> bool:
        try:
            return self._send(self._srtp.protect(packet))
        except (SrtpError, ValueError):
            return False  # longer than a datagram may be, or the session is at its end

    def send_rtcp(self, packet: bytes) -> bool:
        try:
            return self._send(self._srtp.protect_rtcp(packet))
        except (SrtpError, ValueError):
            return False

    def _send(self, datagram: bytes) -> bool:
        pair = self._nominated.get(1)
        if pair is not self._pair or self._socket is None:
            if pair is None:
                return False
            self._follow(pair)
        assert self._socket is not None
        try:
            self._socket.sendto(datagram, self._address)
        except OSError:  # full, or unreachable for now
            return False
        return True

    def _follow(self, pair: Any) -> None:
        """Another path was chosen: send from its socket, through a descriptor of our own, which never waits."""
        self.close()
        self._socket = _own_socket(pair)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        host, port = pair.remote_addr
        self._address = (host, port)
        self._pair = pair

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
