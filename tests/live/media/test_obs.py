"""OBS 30 and newer: its WHIP offer, as libdatachannel writes it: credentials and fingerprint for the whole session, one codec each.

The vector has, line for line, the form of what was captured of OBS 30.1.0 (kevmo314/tinywhip, issue 2); ids and addresses are ours.
"""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from aiortc.sdp import SessionDescription

from live.media.ice import CREDENTIAL_TTL_S, servers
from live.settings import Settings, SettingsError
from tests.live.media.peers import MediaServer

OFFER = (Path(__file__).parent / "vectors" / "obs-30-offer.sdp").read_text().replace("\n", "\r\n")


async def test_obs_gets_an_answer_with_its_own_codecs_and_no_ice_restart(tmp_path: Path) -> None:
    async with MediaServer(tmp_path).running() as server, httpx.AsyncClient(base_url=server.url) as http:
        headers = {"Authorization": f"Bearer {server.token('whip')}", "Content-Type": "application/sdp"}
        answer = await http.post("/whip/rm_1", content=OFFER, headers=headers)
        assert answer.status_code == 201, answer.text
        parsed = SessionDescription.parse(answer.text)
        assert [(m.kind, m.direction) for m in parsed.media] == [("audio", "recvonly"), ("video", "recvonly")]
        codecs = [[(c.payloadType, c.name) for c in media.rtp.codecs] for media in parsed.media]
        assert codecs == [[(111, "opus")], [(96, "H264")]]
        assert {media.dtls.role for media in parsed.media if media.dtls} == {"client"}
        assert "a=rtcp-fb:96 nack pli" in answer.text, "it may be asked for key frames"
        # OBS ends by DELETE to the Location, which it takes relative to the endpoint.
        assert (await http.delete(answer.headers["location"], headers=headers)).status_code == 200


async def test_stun_and_turn_are_told_by_link_headers(tmp_path: Path) -> None:
    server = MediaServer(tmp_path)
    environment = {
        "FLASHROOM_DATA_DIR": str(tmp_path),
        "FLASHROOM_ICE_SERVERS": "stun:stun.example.org:3478, turn:turn.example.org:3478?transport=tcp",
        "FLASHROOM_TURN_SECRET": "shared with coturn",
    }
    server.app.state.settings = Settings.read(environment)
    async with server.running(), httpx.AsyncClient(base_url=server.url) as http:
        headers = {"Authorization": f"Bearer {server.token('whip')}", "Content-Type": "application/sdp"}
        answer = await http.post("/whip/rm_1", content=OFFER, headers=headers)
    stun, turn = answer.headers.get_list("link")
    assert stun == '<stun:stun.example.org:3478>; rel="ice-server"'
    assert turn.startswith('<turn:turn.example.org:3478?transport=tcp>; rel="ice-server"; username="')
    assert turn.endswith('credential-type="password"')


def test_a_turn_credential_is_what_coturn_computes(tmp_path: Path) -> None:
    # printf 1043200:flashroom | openssl dgst -sha1 -hmac secret -binary | base64
    environment = {
        "FLASHROOM_DATA_DIR": str(tmp_path),
        "FLASHROOM_ICE_SERVERS": "turn:turn.example.org",
        "FLASHROOM_TURN_SECRET": "secret",
    }
    [turn] = servers(Settings.read(environment), (1_043_200 - CREDENTIAL_TTL_S) * 1000)
    assert turn.username == "1043200:flashroom"
    assert turn.credential == "lcOVFH6a+AnAO6xeueGF9VKIv9U="


def test_what_is_no_ice_server_is_a_mistake_at_the_start() -> None:
    with pytest.raises(SettingsError, match="FLASHROOM_ICE_SERVERS"):
        Settings.read({"FLASHROOM_ICE_SERVERS": 'stun:a.example, http://x"y'})
