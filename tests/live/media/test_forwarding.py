"""Real peers: what one publishes, others see, as packets that nobody has decoded on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.media.peers import MediaServer, publisher, watcher
from tests.services import wait_until


@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_a_viewer_sees_and_hears_what_is_published(tmp_path: Path, codec: str) -> None:
    async with MediaServer(tmp_path).running() as server:
        async with publisher(server, codec=codec, brightness=90):
            await wait_until(lambda: server.sessions.is_on_air("rm_1"))
            async with watcher(server) as viewer:
                await wait_until(lambda: viewer.frames >= 3 and viewer.sounds >= 3)
                assert abs(viewer.brightness - 90) <= 4
                assert server.sessions.stream("rm_1").tracks["video"].codec == codec
