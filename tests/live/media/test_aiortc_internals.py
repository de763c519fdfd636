"""The private parts of aiortc and aioice that we use are still there; when a release breaks this, mend aiortc_internals.py."""

from __future__ import annotations

import inspect
from importlib.metadata import version

import aioice.ice
from aiortc import RTCDtlsTransport, RTCRtpReceiver, RTCRtpSender
from aiortc.rtcdtlstransport import RtpRouter

from live.media import aiortc_internals as internals
from tests.live.media.peers import new_peer


def test_the_release_is_the_one_this_was_written_for() -> None:
    assert version("aiortc").startswith("1.16."), (
        "read aiortc_internals.py against the new release, then move this"
    )


async def test_a_receiver_has_the_buffer_that_the_tap_replaces() -> None:
    connection = new_peer()
    receiver = connection.addTransceiver("video", "recvonly").receiver
    buffer = receiver._RTCRtpReceiver__jitter_buffer  # type: ignore[attr-defined]
    assert list(inspect.signature(buffer.add).parameters) == ["packet"]
    source = inspect.getsource(RTCRtpReceiver._handle_rtp_packet)
    assert "pli_flag, encoded_frame = self.__jitter_buffer.add(packet)" in source
    assert "if encoded_frame is not None and self.__decoder_thread" in source
    assert inspect.iscoroutinefunction(RTCRtpReceiver._send_rtcp_pli)
    await connection.close()


async def test_a_transceiver_has_the_sender_that_ours_replaces() -> None:
    connection = new_peer()
    transceiver = connection.addTransceiver("video", "sendonly")
    sender = internals.PacketSender(
        "video",
        transceiver.sender.transport,
        on_start=lambda _: None,
        on_loss=lambda _: None,
        on_key_frame_wanted=lambda: None,
        on_report=lambda _: None,
    )
    internals.install_sender(transceiver, sender)
    assert transceiver.sender is sender
    assert connection.getSenders() == [sender]
    await connection.close()


def test_transports_have_what_the_transmitter_reads() -> None:
    assert "self._tx_srtp = Session(tx_policy)" in inspect.getsource(RTCDtlsTransport._setup_srtp)
    assert "self._tx_srtp.protect(data)" in inspect.getsource(RTCDtlsTransport._send_rtp)
    assert "self._nominated.get(component)" in inspect.getsource(aioice.ice.Connection.sendto)
    assert "pair.protocol.send_data(data, active_pair.remote_addr)" in inspect.getsource(
        aioice.ice.Connection.sendto
    )
    assert "self.senders.get(packet.media_ssrc)" in inspect.getsource(RtpRouter.route_rtcp)
    assert "self._ssrc = random32()" in inspect.getsource(RTCRtpSender.__init__)


async def test_candidates_come_from_the_function_that_is_replaced() -> None:
    original = aioice.ice.get_host_addresses
    try:
        internals.listen_on(["127.0.0.1"])
        connection = new_peer()
        connection.addTransceiver("video", "recvonly")
        await connection.setLocalDescription(await connection.createOffer())
        lines = [line for line in connection.localDescription.sdp.splitlines() if "a=candidate" in line]
        assert len(lines) == 1
        assert " 127.0.0.1 " in lines[0]
        await connection.close()
    finally:
        aioice.ice.get_host_addresses = original
