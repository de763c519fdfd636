"""WHIP and WHEP sessions: who publishes and who watches, each a peer connection with a bounded life."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.rtp import RtpPacket

from live.media import aiortc_internals as internals
from live.media.aiortc_internals import PacketSender, TappedReceiver, Transmitter
from live.media.offers import Offer, ice_fragment, ice_user
from live.media.outlets import Outlet
from live.media.packets import AUDIO_CODECS, VIDEO_CODECS, Kind
from live.media.streams import RoomStream
from live.media.tokens import MediaToken, digest
from live.problems import HttpProblem

log = logging.getLogger("flashroom.media")

TAKEN_OVER_KNOWN: Final = 200

NEGOTIATION_ERRORS: Final = (
    InternalError,
    InvalidAccessError,
    InvalidStateError,
    OperationError,
    ValueError,
    AttributeError,
    KeyError,
    IndexError,
    TypeError,
    AssertionError,
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one media process takes on."""

    viewers: int = 500
    publishers: int = 200
    relays: int = 200
    half_open: int = 200
    rooms: int = 200
    per_subject: int = 4
    connect_s: float = 10.0
    silent_publisher_s: float = 20.0
    away_s: float = 120.0
    answer_s: float = 8.0
    close_s: float = 5.0


class Session:
    """One peer connection, publishing or playing."""

    def __init__(self, token: MediaToken, signed: str, stream: RoomStream, now_s: float) -> None:
        self.session_id = secrets.token_urlsafe(18)
        self.etag = _new_etag()
        self.token = token
        self.opened_by = token.opened_by or digest(signed)
        self.subject = token.subject
        self.stream = stream
        self.began_at_s = now_s
        self.connection: RTCPeerConnection = internals.new_connection()
        self.answer = ""
        self.offered_ice_user: str | None = None
        self.outlets: list[Outlet] = []
        self.transmitter: Transmitter | None = None
        self.receivers: list[TappedReceiver] = []
        self.is_closing = False
        self._errands: set[asyncio.Task[None]] = set()
        self._restarting: asyncio.Task[bool] | None = None
        self._one_restart = asyncio.Lock()

    @property
    def is_publisher(self) -> bool:
        return self.token.audience == "whip"

    @property
    def is_half_open(self) -> bool:
        return self.connection.connectionState in ("new", "connecting")

    # -- as a source of a stream

    def ask_for_key_frame(self) -> None:
        for receiver in self.receivers:
            task = asyncio.ensure_future(receiver.ask_for_key_frame())
            self._errands.add(task)
            task.add_done_callback(self._errands.discard)

    # -- negotiation

    async def answer_publisher(self, offer: Offer) -> None:
        """Accept the tracks; packets go into the stream as they come."""
        for kind in offer.kinds:
            transceiver = self.connection.addTransceiver(kind, "recvonly")
            transceiver.setCodecPreferences(preferences(kind))
        await self.connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        for transceiver in self.connection.getTransceivers():
            receiver = self._tapped(transceiver)
            if transceiver.kind == "video":
                self.receivers.append(receiver)
        await self._finish(offer)

    def _tapped(self, transceiver: Any) -> TappedReceiver:
        kind: Kind = transceiver.kind

        def on_packet(codec: str, packet: RtpPacket) -> None:
            self.stream.receive(
                self,
                kind,
                codec,
                packet.sequence_number,
                packet.timestamp,
                bool(packet.marker),
                packet.payload,
            )

        def on_clock(ntp_time: int, rtp_time: int) -> None:
            self.stream.heard_clock(self, kind, ntp_time, rtp_time)

        return TappedReceiver(transceiver, on_packet, on_clock)

    async def answer_viewer(self, offer: Offer, clock_s: Callable[[], float]) -> None:
        """Offer the room's tracks; they flow once the connection stands."""
        for kind in offer.kinds:
            transceiver = self.connection.addTransceiver(kind, "sendonly")
            transceiver.setCodecPreferences(preferences(kind))
            internals.install_sender(transceiver, self._sender(kind, transceiver.sender.transport, clock_s))
        await self.connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        await self._finish(offer)

    def _sender(self, kind: Kind, transport: Any, clock_s: Callable[[], float]) -> PacketSender:
        outlets: list[Outlet] = []

        def on_start(sender: PacketSender) -> None:
            if self.is_closing:
                return
            if self.transmitter is None:
                self.transmitter = Transmitter(sender.transport)
            outlet = Outlet(
                kind,
                self.transmitter,
                ssrc=sender.ssrc,
                repeat_ssrc=sender.repeat_ssrc,
                payload_types=sender.payload_types,
                repeat_types=sender.repeat_types,
                first_sequence=secrets.randbelow(1 << 15),
            )
            outlets.append(outlet)
            self.outlets.append(outlet)
            self.stream.add(outlet)

        def on_loss(sequences: list[int]) -> None:
            for outlet in outlets:
                self.stream.repeat(outlet, sequences)

        def on_report(fraction_lost: int) -> None:
            for outlet in outlets:
                outlet.heard_report(fraction_lost, clock_s())

        return PacketSender(
            kind,
            transport,
            on_start=on_start,
            on_loss=on_loss,
            on_key_frame_wanted=self.stream.want_key_frame,
            on_report=on_report,
        )

    async def _finish(self, offer: Offer) -> None:
        await self.connection.setLocalDescription()
        self.answer = self.connection.localDescription.sdp
        self.offered_ice_user = ice_user(offer.sdp)

    # -- another path

    @property
    def _transport(self) -> Any:
        return self.connection.getTransceivers()[0].receiver.transport

    async def restart_ice(self, user: str, password: str, within_s: float) -> tuple[str, asyncio.Task[bool]]:
        """Have the peer find another path, while media go on; gives our side of it as a fragment, and what becomes of it.

        A restart that is not done yet is given up for this one. Raises HttpProblem 422 for a session without a path to replace.
        """
        async with self._one_restart:
            await self._stop_restarting()
            if self.is_closing or not internals.NewPath.is_possible(self._transport):
                raise HttpProblem(422, "no_ice_restart", "This session has no path: begin a new one instead.")
            path = internals.NewPath(self._transport)
            own, candidates = await path.begin()
            remote = internals.IceCredentials(user, password)
            self._restarting = asyncio.ensure_future(path.settle(remote, within_s))
            self.offered_ice_user = user
            self.etag = _new_etag()
            return ice_fragment(self.answer, own.user, own.password, candidates), self._restarting

    async def _stop_restarting(self) -> None:
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.wait({self._restarting})
            self._restarting = None

    async def close(self, within_s: float) -> None:
        """End it: packets first, then the connection; gives back when it is closed or the time is over."""
        self.is_closing = True
        for outlet in self.outlets:
            self.stream.remove(outlet)
        if self.is_publisher:
            self.stream.detach(self)
        # Never cancelled: half closed, a connection would keep its sockets and tasks for good. In a crowd it may take a while.
        async with self._one_restart:
            await self._stop_restarting()
        closing = asyncio.ensure_future(self.connection.close())
        self._errands.add(closing)
        closing.add_done_callback(self._errands.discard)
        await asyncio.wait({closing}, timeout=within_s)
        if not closing.done() or closing.exception() is not None:
            log.warning("a media session did not close in order", extra={"session": self.session_id[:6]})
        if self.transmitter is not None:
            self.transmitter.close()
        for task in self._errands - {closing}:
            task.cancel()


class Sessions:
    """All sessions of a media process, bounded and reaped. `tick` must be called once a second."""

    def __init__(self, clock_s: Callable[[], float], bounds: Bounds | None = None) -> None:
        self.bounds = bounds or Bounds()
        self.streams: dict[str, RoomStream] = {}
        self.by_id: dict[str, Session] = {}
        self.opened = {"whip": 0, "whep": 0, "relay": 0}
        self.reaped = 0
        self.ice_restarts = {"done": 0, "failed": 0}
        self._clock_s = clock_s
        self._closing: set[asyncio.Task[None]] = set()
        self._taken_over: deque[str] = deque(maxlen=TAKEN_OVER_KNOWN)
        self._last_on_air_s: dict[str, float] = {}

    def stream(self, room_id: str) -> RoomStream:
        """The room's stream; made when first asked for. Raises HttpProblem 503 when there are too many."""
        found = self.streams.get(room_id)
        if found is None:
            if len(self.streams) >= self.bounds.rooms:
                raise _busy("This server has as many rooms as it can carry.")
            found = self.streams[room_id] = RoomStream(room_id, self._clock_s)
        return found

    def is_on_air(self, room_id: str) -> bool:
        """Whether the room publishes, or did within two minutes."""
        found = self.streams.get(room_id)
        if found is not None and (found.source is not None or found.is_publishing):
            return True
        last = self._last_on_air_s.get(room_id)
        return last is not None and self._clock_s() - last < self.bounds.away_s

    async def publish(self, token: MediaToken, signed: str, offer: Offer) -> Session:
        """Begin to publish, taking over from the same person's other device. Raises HttpProblem 409 while somebody else is at it."""
        stream = self.stream(token.room_id)
        before = stream.source
        if isinstance(before, Session) and before.subject != token.subject and stream.is_publishing:
            raise HttpProblem(409, "somebody_publishes", "Somebody else publishes in this room.")
        session = self._begin(token, signed, stream)
        await self._negotiate(session, session.answer_publisher(offer))
        displaced = stream.attach(session)
        if isinstance(displaced, Session):
            self._taken_over.append(displaced.session_id)
            self._end(displaced)
        return session

    async def relay(self, token: MediaToken, signed: str, offer: Offer) -> Session:
        """Hand a room that is published here to another media process. Raises HttpProblem 409 for any other: no packet makes two steps."""
        stream = self.streams.get(token.room_id)
        if stream is None or stream.is_relayed or not self.is_on_air(token.room_id):
            raise HttpProblem(409, "not_carried_here", "This room is not published to this process.")
        return await self.play(token, signed, offer)

    async def play(self, token: MediaToken, signed: str, offer: Offer) -> Session:
        """Begin to watch. Raises HttpProblem 409 `not_on_air` when there is nothing to see."""
        if not self.is_on_air(token.room_id):
            raise HttpProblem(
                409, "not_on_air", "Nobody publishes in this room now.", headers={"Retry-After": "2"}
            )
        session = self._begin(token, signed, self.stream(token.room_id))
        await self._negotiate(session, session.answer_viewer(offer, self._clock_s))
        return session

    def _begin(self, token: MediaToken, signed: str, stream: RoomStream) -> Session:
        own = [
            s
            for s in self.by_id.values()
            if s.subject == token.subject and s.token.audience == token.audience
        ]
        if len(own) >= self.bounds.per_subject:
            self._end(min(own, key=lambda s: s.began_at_s))
        of_kind = sum(s.token.audience == token.audience for s in self.by_id.values())
        most = {"whip": self.bounds.publishers, "relay": self.bounds.relays}
        if of_kind >= most.get(token.audience, self.bounds.viewers):
            raise _busy("This server has as many viewers as it can carry: watch by HLS.")
        if sum(s.is_half_open for s in self.by_id.values()) >= self.bounds.half_open:
            raise _busy("Too many connections are being set up.")
        session = Session(token, signed, stream, self._clock_s())
        self.by_id[session.session_id] = session
        return session

    async def _negotiate(self, session: Session, negotiation: Any) -> None:
        try:
            await asyncio.wait_for(negotiation, self.bounds.answer_s)
        except NEGOTIATION_ERRORS as error:
            self._end(session)
            log.info("an offer could not be answered: %s", error)
            raise HttpProblem(422, "unusable_offer", "This offer can't be answered.") from None
        except TimeoutError:
            self._end(session)
            raise _busy("The answer took too long.") from None
        except asyncio.CancelledError:
            self._end(session)
            raise
        self.opened[session.token.audience] += 1

    async def restart_ice(self, session: Session, user: str, password: str) -> str:
        """Another path for a session; gives our side of it. The one there is stays until the peer has found the new one."""
        fragment, settling = await session.restart_ice(user, password, self.bounds.connect_s)

        def count(done: asyncio.Task[bool]) -> None:
            is_good = not done.cancelled() and done.exception() is None and done.result()
            self.ice_restarts["done" if is_good else "failed"] += 1
            if is_good and not session.is_publisher:
                session.stream.want_key_frame()  # what went by the old path at the end is lost for good

        settling.add_done_callback(count)
        return fragment

    def find(self, session_id: str, room_id: str, audience: str) -> Session | None:
        """A living session under its address."""
        session = self.by_id.get(session_id)
        if session is None or session.token.room_id != room_id or session.token.audience != audience:
            return None
        return session

    def was_taken_over(self, session_id: str) -> bool:
        """Whether this session was ended because the same host began to publish from elsewhere; known for the last 200."""
        return session_id in self._taken_over

    async def end(self, session: Session) -> None:
        """End one session, now."""
        task = self._end(session)
        if task is not None:
            await asyncio.shield(task)

    def _end(self, session: Session) -> asyncio.Task[None] | None:
        if self.by_id.pop(session.session_id, None) is None:
            return None
        task = asyncio.ensure_future(session.close(self.bounds.close_s))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    def give_up(self, room_id: str) -> None:
        """Another process carries this room: whoever publishes here must go there; who watches may stay."""
        stream = self.streams.get(room_id)
        self._last_on_air_s.pop(room_id, None)
        if stream is None or stream.source is None or stream.is_relayed:
            return
        source = stream.source
        stream.detach(source)
        if isinstance(source, Session):
            self._end(source)

    def tick(self) -> None:
        """Once a second: reports to viewers, key frames still owed, and an end to what doesn't live any more."""
        now_s = self._clock_s()
        for session in list(self.by_id.values()):
            if self._is_dead(session, now_s):
                self.reaped += 1
                self._end(session)
        # A publisher whose answer is still being made has the stream already, and must find it in its room afterwards.
        used = {session.token.room_id for session in self.by_id.values()}
        for room_id, stream in list(self.streams.items()):
            stream.tick()
            stream.ask_if_due()
            if stream.is_publishing:
                self._last_on_air_s[room_id] = now_s
            elif not (stream.source or stream.is_wanted or room_id in used or self.is_on_air(room_id)):
                del self.streams[room_id]
                self._last_on_air_s.pop(room_id, None)

    def _is_dead(self, session: Session, now_s: float) -> bool:
        state = session.connection.connectionState
        if state in ("failed", "closed"):
            return True
        if session.is_half_open:
            return now_s - session.began_at_s > self.bounds.connect_s
        if session.is_publisher:
            heard = [t.last_packet_at_s or 0.0 for t in session.stream.tracks.values()]
            return now_s - max(*heard, session.began_at_s) > self.bounds.silent_publisher_s
        return False

    async def aclose(self) -> None:
        """End all of them."""
        for session in list(self.by_id.values()):
            self._end(session)
        if self._closing:
            await asyncio.wait(self._closing, timeout=self.bounds.close_s)


def _new_etag() -> str:
    return f'"{secrets.token_hex(8)}"'


def _busy(detail: str) -> HttpProblem:
    return HttpProblem(503, "media_busy", detail, headers={"Retry-After": "5"})


def preferences(kind: Kind) -> list[Any]:
    """H264 first, because HLS and recordings can take it as it is; only what we forward, with repeats."""
    order = {name: place for place, name in enumerate((*VIDEO_CODECS, *AUDIO_CODECS, "RTX"))}
    capabilities = RTCRtpReceiver.getCapabilities(kind)
    assert capabilities is not None
    known = [
        (order[codec.mimeType.split("/")[1].upper()], position, codec)
        for position, codec in enumerate(capabilities.codecs)
        if codec.mimeType.split("/")[1].upper() in order
    ]
    return [codec for _, _, codec in sorted(known, key=lambda entry: entry[:2])]
