"""ICE restart by PATCH (RFC 9725 4.3.1): a peer whose path goes away finds another, and its session goes on as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from live.media.aiortc_internals import IceCredentials, NewPath
from live.media.sessions import Bounds
from tests.live.media.networks import Network
from tests.live.media.peers import MediaServer, Peer, publisher, watcher
from tests.services import wait_until

FRAGMENT = "application/trickle-ice-sdpfrag"


async def ask(peer: Peer, body: str, match: str) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.patch(
            peer.address,
            content=body,
            headers={"Authorization": f"Bearer {peer.token}", "Content-Type": FRAGMENT, "If-Match": match},
        )


def values(body: str, name: str) -> list[str]:
    return [line[len(name) :] for line in body.split("\r\n") if line.startswith(name)]


async def restart(peer: Peer) -> httpx.Response:
    """As a browser does it whose network has changed: new credentials there and here, and checks from a new socket."""
    transport: Any = peer.connection.getTransceivers()[0].receiver.transport
    path = NewPath(transport)
    own, _ = await path.begin()
    answer = await ask(peer, f"a=ice-ufrag:{own.user}\r\na=ice-pwd:{own.password}\r\n", "*")
    if answer.status_code != 200:
        await path.give_up()
    assert answer.status_code == 200, answer.text
    [user], [password] = values(answer.text, "a=ice-ufrag:"), values(answer.text, "a=ice-pwd:")
    candidates = values(answer.text, "a=candidate:")
    assert await path.settle(IceCredentials(user, password), 10, candidates)
    return answer


async def test_a_viewer_whose_path_is_gone_goes_on_by_another_in_the_same_session(tmp_path: Path) -> None:
    async with MediaServer(tmp_path).running() as server, publisher(server):
        await wait_until(lambda: server.sessions.is_on_air("rm_1"))
        network = Network()
        async with watcher(server, network=network) as viewer:
            await wait_until(lambda: viewer.frames >= 3, 10, "a picture")
            [session] = [s for s in server.sessions.by_id.values() if not s.is_publisher]
            network.up.is_dead = network.down.is_dead = True
            answer = await restart(viewer)
            shown, sounds = viewer.frames, viewer.sounds
            await wait_until(lambda: viewer.sounds > sounds + 5, 20, "the sound again")
            # aiortc asks for a lost packet once: if that was lost too, the picture stands until its buffer of 128 packets is full.
            await wait_until(lambda: viewer.frames > shown + 5, 40, "the picture again")
            assert list(server.sessions.by_id.values()).count(session) == 1
            assert viewer.connection.connectionState == "connected"
            assert session.connection.connectionState == "connected"
            await wait_until(lambda: server.sessions.ice_restarts["done"] == 1, 5, "the server to know")

            assert answer.headers["content-type"].startswith(FRAGMENT)
            assert answer.headers["etag"] == session.etag != viewer.etag
            assert (await ask(viewer, "a=end-of-candidates\r\n", viewer.etag)).status_code == 412
            assert (await ask(viewer, "a=end-of-candidates\r\n", session.etag)).status_code == 204

            await restart(viewer)  # and once more, from the path that was new
            shown = viewer.frames
            await wait_until(lambda: viewer.frames > shown + 5, 40, "the picture after the second one")
            assert await viewer.end() == 200
            await wait_until(lambda: session.connection.connectionState == "closed", 5, "its end")


async def test_a_publisher_goes_on_by_another_path(tmp_path: Path) -> None:
    async with MediaServer(tmp_path).running() as server:
        network = Network()
        async with publisher(server, network=network) as host:
            stream = server.sessions.stream("rm_1")
            await wait_until(lambda: stream.is_publishing, 10, "packets")
            network.up.is_dead = network.down.is_dead = True
            await restart(host)
            packets = stream.tracks["video"].packets
            await wait_until(
                lambda: stream.tracks["video"].packets > packets + 20, 10, "packets by the new path"
            )
            assert stream.attached == 1, "nobody came anew"


async def test_a_restart_that_nobody_follows_leaves_the_session_as_it_was(tmp_path: Path) -> None:
    async with MediaServer(tmp_path, Bounds(connect_s=1.0)).running() as server, publisher(server):
        await wait_until(lambda: server.sessions.is_on_air("rm_1"))
        async with watcher(server) as viewer:
            await wait_until(lambda: viewer.frames >= 3, 10, "a picture")
            for number in range(3):  # each gives up the one before
                body = f"a=ice-ufrag:nobody{number}\r\na=ice-pwd:{'x' * 24}\r\n"
                assert (await ask(viewer, body, "*")).status_code == 200
            await wait_until(lambda: server.sessions.ice_restarts["failed"] == 3, 20, "the time to be over")
            shown = viewer.frames
            await wait_until(lambda: viewer.frames > shown + 5, 20, "the picture, as before")
            [session] = [s for s in server.sessions.by_id.values() if not s.is_publisher]
            assert (await ask(viewer, "a=ice-ufrag:last\r\na=ice-pwd:" + "x" * 24, "*")).status_code == 200
            await server.sessions.end(session)  # in the middle of one
            assert session.connection.connectionState == "closed"
            assert not session.is_half_open


async def test_a_path_that_ends_while_another_is_looked_for_ends_the_session(tmp_path: Path) -> None:
    async with MediaServer(tmp_path, Bounds(connect_s=1.0)).running() as server, publisher(server):
        await wait_until(lambda: server.sessions.is_on_air("rm_1"))
        async with watcher(server) as viewer:
            await wait_until(lambda: viewer.frames >= 1, 10, "a picture")
            [session] = [s for s in server.sessions.by_id.values() if not s.is_publisher]
            transport: Any = session.connection.getTransceivers()[0].receiver.transport
            old = transport.transport._connection
            assert (await ask(viewer, "a=ice-ufrag:last\r\na=ice-pwd:" + "x" * 24, "*")).status_code == 200
            await old.close()  # as after 30 s without an answer to a check
            assert session.connection.connectionState == "connected", "not yet: it looks for another"
            await wait_until(lambda: session.session_id not in server.sessions.by_id, 10, "it to be reaped")
