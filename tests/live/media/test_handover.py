"""A room handed over to another WHIP server by a setting: a second Flashroom stands for it, which knows nothing of the first."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from live.media import handover
from live.settings import Settings, SettingsError
from tests.live.media.peers import MediaServer, publisher, watcher
from tests.services import wait_until


async def test_what_a_host_publishes_is_shown_by_the_other_server_until_he_ends(tmp_path: Path) -> None:
    other = MediaServer(tmp_path / "other")
    other.sessions.bounds = other.sessions.bounds.__class__(away_s=0.0)
    async with other.running():
        here = MediaServer(
            tmp_path / "here",
            FLASHROOM_MEDIA_FORWARD_URL=f"{other.url}/whip/{{room}}",
            FLASHROOM_MEDIA_FORWARD_TOKEN=other.token("whip", "rm_1"),
        )
        here.sessions.bounds = other.sessions.bounds
        async with here.running():
            async with publisher(here, codec="H264", brightness=90) as host:
                await wait_until(lambda: other.sessions.is_on_air("rm_1"), 15, "the other server to have it")
                async with watcher(other) as viewer:
                    await wait_until(
                        lambda: viewer.frames >= 3 and viewer.sounds >= 3, 15, "the picture there"
                    )
                    assert abs(viewer.brightness - 90) <= 4
                assert other.sessions.stream("rm_1").tracks["video"].codec == "H264"
                async with httpx.AsyncClient(base_url=here.url) as http:
                    assert (await http.get("/healthz")).json()["forwards"] == {"rm_1": "forwarding"}
                    assert (
                        'flashroom_media_forwards{state="forwarding"} 1.0'
                        in (await http.get("/metrics")).text
                    )
                await host.end()
            await wait_until(lambda: not here.app.state.forwards.by_room, 15, "the hand-over to end")
            await wait_until(lambda: not other.sessions.by_id, 5, "the session there to be ended")


async def test_a_server_that_refuses_or_is_lost_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "FIRST_PAUSE_S", 0.05)
    other = MediaServer(tmp_path / "other")
    here = MediaServer(
        tmp_path / "here",
        FLASHROOM_MEDIA_FORWARD_URL=f"{other.url}/whip/{{room}}",
        FLASHROOM_MEDIA_FORWARD_TOKEN=other.token("whip", "rm_1"),
    )
    forwards = here.app.state.forwards
    async with here.running(), publisher(here):
        await wait_until(lambda: forwards.failures >= 2, 15, "tries to reach who isn't there")
        assert forwards.by_room["rm_1"].state in ("waiting", "connecting")
        async with other.running():
            await wait_until(lambda: forwards.count("forwarding") == 1, 15, "the hand-over")
            [session] = other.sessions.by_id.values()
            failures = forwards.failures
            await other.sessions.end(session)
            await wait_until(lambda: forwards.failures > failures, 15, "the loss to be seen")
            await wait_until(lambda: forwards.count("forwarding") == 1, 15, "the next session")


def test_the_address_must_say_where_the_room_goes(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"needs \{room\}"):
        Settings.read(
            {
                "FLASHROOM_DATA_DIR": str(tmp_path),
                "FLASHROOM_MEDIA_FORWARD_URL": "https://sfu.example/whip",
            }
        )


def test_the_token_is_never_shown(tmp_path: Path) -> None:
    settings = Settings.read(
        {"FLASHROOM_DATA_DIR": str(tmp_path), "FLASHROOM_MEDIA_FORWARD_TOKEN": "not for logs"}
    )
    assert "not for logs" not in repr(settings)
