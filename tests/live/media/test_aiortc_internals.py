"""The private parts of aiortc and aioice that we use are still there; when a release breaks this, mend aiortc_internals.py."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import aioice
import aioice.ice
import aiortc
import pytest
from aiortc import RTCDtlsTransport, RTCIceTransport, RTCRtpReceiver, RTCRtpSender
from aiortc.rtcdtlstransport import RtpRouter
from packaging.requirements import Requirement

from live.media import aiortc_internals as internals
from tests.live.media.peers import new_peer

READ_AGAINST = {"aiortc": "1.16", "aioice": "0.13", "pylibsrtp": "1.0"}
"""Where private parts are used. A new release: read aiortc_internals.py against it, then move these and the pins of pyproject.toml."""
PUBLIC_MODULES = {"aiortc", "aiortc.exceptions", "aiortc.rtp", "aiortc.sdp", "aiortc.codecs.h264"}
"""What the rest of `live` may import of them."""
LIVE = Path(internals.__file__).parents[1]


@pytest.mark.parametrize(("package", "release"), READ_AGAINST.items())
def test_the_releases_are_those_this_was_written_for(package: str, release: str) -> None:
    assert version(package).startswith(f"{release}."), (
        f"read aiortc_internals.py against {package} {version(package)}, then move READ_AGAINST"
    )


@pytest.mark.parametrize("package", READ_AGAINST)
def test_the_supported_range_is_pinned_and_includes_what_is_installed(package: str) -> None:
    project = tomllib.loads((LIVE.parent / "pyproject.toml").read_text())["project"]
    [pinned] = [one for one in map(Requirement, project["dependencies"]) if one.name == package]
    assert pinned.specifier.contains(version(package))
    major, minor = map(int, READ_AGAINST[package].split("."))
    following = f"{major}.{minor + 1}.0" if package != "pylibsrtp" else f"{major + 1}.0.0"
    assert not pinned.specifier.contains(following), f"{package} {following} was never read"


def private_names(tree: ast.AST) -> set[str]:
    """Names with a leading underscore that are reached for on anything but oneself, and those that stand in strings."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    }


def own_names(tree: ast.AST) -> set[str]:
    """What a module's own classes keep for themselves."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
        and isinstance(node.ctx, ast.Store)
    }


def test_every_private_part_we_reach_for_is_there() -> None:
    tree = ast.parse(Path(internals.__file__).read_text())
    reached = private_names(tree)
    assert {
        "_nominated",
        "_tx_srtp",
        "_codecs",
        "_handle_rtcp_packet",
        "_RTCRtpReceiver__jitter_buffer",
    } <= reached
    source = "".join(
        path.read_text()
        for package in (aiortc, aioice)
        for path in Path(inspect.getfile(package)).parent.glob("*.py")
    )
    gone = [name for name in reached if re.sub(r"^_[A-Za-z]+(?=__)", "", name) not in source]
    assert not gone, f"aiortc {version('aiortc')} has no {gone} any more: mend aiortc_internals.py"


def test_nobody_else_reaches_into_aiortc() -> None:
    found = []
    for path in LIVE.rglob("*.py"):
        if path == Path(internals.__file__) or "node_modules" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        imported = {
            name
            for node in ast.walk(tree)
            for name in (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else []
            )
            if name.split(".")[0] in READ_AGAINST
        }
        found += [f"{path.name} imports {name}" for name in imported - PUBLIC_MODULES]
        if imported:
            found += [f"{path.name} uses {name}" for name in private_names(tree) - own_names(tree)]
    assert not found


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


def test_a_transport_can_be_given_another_path() -> None:
    connection, transport = aioice.ice.Connection, inspect.getsource(RTCIceTransport)
    assert "self._recv = self._connection.recv" in transport
    assert "self._send = self._connection.send" in transport
    assert "event = await self._connection.get_event()" in transport
    assert "await asyncio.shield(self._event_waiter)" in inspect.getsource(connection.get_event)
    assert "if self._event_waiter is not None:" in inspect.getsource(connection._emit_event)
    assert "self._queue.put_nowait((data, component))" in inspect.getsource(connection.data_received)
    assert "await self._queue.get()" in inspect.getsource(connection.recvfrom)
    closing = inspect.getsource(connection.close)
    assert "self._closing = True" in closing
    assert "self._nominated.clear()" in closing
    assert "data = await self.transport._recv()" in inspect.getsource(RTCDtlsTransport._recv_next)
    assert "await self.transport._send(data)" in inspect.getsource(RTCDtlsTransport._send_rtp)
