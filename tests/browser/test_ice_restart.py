"""Chromium's own ICE restart against ours: the same session, another path, and the picture goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from loadtests.chromium import chromium
from tests.browser.conftest import CHROMIUM_ARGUMENTS
from tests.live.media.peers import MediaServer, publisher
from tests.services import wait_until

pytestmark = pytest.mark.browser

WATCH_AND_RESTART = """async ([url, token]) => {
  const video = document.body.appendChild(document.createElement("video"));
  video.muted = true;
  const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  for (const kind of ["video", "audio"]) peer.addTransceiver(kind, { direction: "recvonly" });
  peer.ontrack = event => {
    if (event.track.kind === "video") { video.srcObject = new MediaStream([event.track]); void video.play(); }
  };
  const found = async (type, holds = () => true) =>
    [...(await peer.getStats()).values()].find(one => one.type === type && holds(one));
  const decoded = async () => (await found("inbound-rtp", one => one.kind === "video"))?.framesDecoded ?? 0;
  const until = async (count) => {
    for (let tries = 0; await decoded() < count; tries++) {
      if (tries > 400) throw new Error(`${await decoded()} pictures`);
      await new Promise(resolve => setTimeout(resolve, 50));
    }
  };
  const send = (method, to, type, body, more) =>
    fetch(to, { method, body, headers: { "Content-Type": type, Authorization: `Bearer ${token}`, ...more } });
  const ownLine = name => peer.localDescription.sdp.split("\\r\\n").find(line => line.startsWith(name));

  await peer.setLocalDescription(await peer.createOffer());
  const begun = await send("POST", url, "application/sdp", peer.localDescription.sdp);
  const answer = await begun.text();
  await peer.setRemoteDescription({ type: "answer", sdp: answer });
  await until(5);
  const before = (await found("transport")).selectedCandidatePairId;

  await peer.setLocalDescription(await peer.createOffer({ iceRestart: true }));
  const credentials = `${ownLine("a=ice-ufrag:")}\\r\\n${ownLine("a=ice-pwd:")}\\r\\n`;
  const session = new URL(begun.headers.get("Location"), begun.url);
  const restarted = await send(
    "PATCH", session, "application/trickle-ice-sdpfrag", credentials, { "If-Match": "*" });
  const fragment = (await restarted.text()).split("\\r\\n");
  const ofIce = line => /^a=(ice-ufrag|ice-pwd|candidate|end-of-candidates)/.test(line);
  const renewed = answer.split("\\r\\n").filter(line => !ofIce(line))
    .flatMap(line => line.startsWith("a=mid:") ? [line, ...fragment.filter(ofIce)] : [line]);
  await peer.setRemoteDescription({ type: "answer", sdp: renewed.join("\\r\\n") });
  await until(await decoded() + 30);
  return [restarted.status, before !== (await found("transport")).selectedCandidatePairId, peer.connectionState];
}"""


async def test_chromium_restarts_ice_and_the_picture_goes_on_in_the_same_session(tmp_path: Path) -> None:
    async with MediaServer(tmp_path).running() as server, publisher(server, codec="H264"):
        await wait_until(lambda: server.sessions.stream("rm_1").is_publishing, 10, "packets")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
            page = await browser.new_page()
            await page.goto(f"{server.url}/healthz")
            whep = [f"{server.url}/whep/rm_1", server.token("whep", subject="gu_1")]
            assert await page.evaluate(WATCH_AND_RESTART, whep) == [200, True, "connected"]
            await browser.close()
        assert server.sessions.ice_restarts == {"done": 1, "failed": 0}
