"""Delay from glass to glass, read in a real Chromium: a picture says when it was drawn, and its pixels are read as it is shown.

One page draws the test picture's code of the time of day (rehearsal_picture) on a canvas 30 times a second and publishes it by WHIP,
encoded by Chromium like a camera. Another plays it by WHEP, then by HLS, and reads the code from each frame that is presented. Nothing of
our pages is in it: this is the media process and two browsers' WebRTC, and for HLS the hls.js that our page uses, set as our page sets it.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any, Final

from loadtests.chromium import chromium

READ_CLOCK: Final = """video => {
  if (!video.videoWidth) return null;
  const bits = 24, across = 8;  // rehearsal_picture.CODE_BITS
  const canvas = globalThis.__clock ??= new OffscreenCanvas(bits * across, 4);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(video, 0, 4, video.videoWidth, 8, 0, 0, bits * across, 4);
  const pixels = pen.getImageData(0, 2, bits * across, 1).data;
  let value = 0;
  for (let bit = 0; bit < bits; bit++) value = value * 2 + (pixels[(bit * across + across / 2) * 4 + 1] > 128 ? 1 : 0);
  return value;
}"""
"""The test picture's time in ms, modulo 2^24; null without a picture."""

_NEGOTIATE = """async (peer, url, token) => {
  await peer.setLocalDescription(await peer.createOffer());
  const answer = await fetch(url, { method: "POST", body: peer.localDescription.sdp,
    headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${token}` } });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
  await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
}"""

_PUBLISH = f"""async ([url, token]) => {{
  const canvas = document.createElement("canvas");
  canvas.width = 360; canvas.height = 640;
  const pen = canvas.getContext("2d");
  const draw = () => {{
    const now = Date.now();
    pen.fillStyle = `hsl(${{now / 20 % 360}} 40% 40%)`;
    pen.fillRect(0, 16, 360, 624);
    pen.fillStyle = "#fff";
    pen.fillRect(now / 10 % 300, 200, 60, 200);
    for (let bit = 0; bit < 24; bit++) {{
      pen.fillStyle = Math.floor(now / 2 ** (23 - bit)) % 2 ? "#fff" : "#000";
      pen.fillRect(bit * 15, 0, 15, 16);
    }}
  }};
  setInterval(draw, 1000 / 30);
  draw();
  const peer = globalThis.peer = new RTCPeerConnection({{ bundlePolicy: "max-bundle" }});
  for (const track of canvas.captureStream(30).getTracks()) peer.addTransceiver(track, {{ direction: "sendonly" }});
  await ({_NEGOTIATE})(peer, url, token);
}}"""

_WATCH = f"""async ([url, token, frames]) => {{
  const beganMs = performance.now();
  const video = document.createElement("video");
  video.muted = video.playsInline = true;
  document.body.replaceChildren(video);
  const peer = new RTCPeerConnection({{ bundlePolicy: "max-bundle" }});
  peer.addTransceiver("video", {{ direction: "recvonly" }});
  peer.ontrack = event => {{ video.srcObject = new MediaStream([event.track]); void video.play(); }};
  const delays = [];
  let joinMs = null;
  const done = new Promise((resolve, reject) => {{
    setTimeout(() => reject(new Error(`${{delays.length}} frames in 30 s`)), 30_000);
    const onFrame = () => {{
      joinMs ??= performance.now() - beganMs;
      const shown = ({READ_CLOCK})(video);
      delays.push(((Date.now() - shown) % 2 ** 24 + 2 ** 24) % 2 ** 24);
      if (delays.length >= frames) resolve(); else video.requestVideoFrameCallback(onFrame);
    }};
    video.requestVideoFrameCallback(onFrame);
  }});
  await ({_NEGOTIATE})(peer, url, token);
  await done;
  peer.close();
  return {{ join_ms: joinMs, delays_ms: delays }};
}}"""

_WATCH_HLS = f"""async ([url, frames, settlingMs]) => {{
  const beganMs = performance.now();
  const video = document.createElement("video");
  video.muted = video.playsInline = true;
  document.body.replaceChildren(video);
  const hls = new Hls({{ lowLatencyMode: true, enableWorker: false, backBufferLength: 10 }});  // as in video-hls.ts
  const delays = [];
  let joinMs = null;
  const done = new Promise((resolve, reject) => {{
    setTimeout(() => reject(new Error(`${{delays.length}} frames in 60 s`)), 60_000);
    hls.on(Hls.Events.ERROR, (_, data) => data.fatal && reject(new Error(data.details)));
    const onFrame = () => {{
      const nowMs = performance.now();
      joinMs ??= nowMs - beganMs;
      const shown = ({READ_CLOCK})(video);
      if (nowMs - beganMs - joinMs > settlingMs) delays.push(((Date.now() - shown) % 2 ** 24 + 2 ** 24) % 2 ** 24);
      if (delays.length >= frames) resolve(); else video.requestVideoFrameCallback(onFrame);
    }};
    video.requestVideoFrameCallback(onFrame);
  }});
  hls.on(Hls.Events.MANIFEST_PARSED, () => void video.play());
  hls.loadSource(url);
  hls.attachMedia(video);
  try {{ await done; }} finally {{ hls.destroy(); }}
  return {{ join_ms: joinMs, delays_ms: delays }};
}}"""

_ARGUMENTS: Final = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
JOINS: Final = 5
SETTLING_FRAMES: Final = 30
"""The first second of a session: the player's buffer finds its size."""
HLS_SETTLING_MS: Final = 5_000
"""hls.js begins behind its aim and catches up, by playing a little faster."""
ODD_MS: Final = 10_000
"""A code that was read while two pictures were mixed is not a delay."""


HLS_JS: Final = Path(__file__).parent.parent / "live/web/node_modules/hls.js/dist/hls.light.min.js"


def glass_to_glass(
    origin: str, whip: tuple[str, str], whep: list[tuple[str, str]], hls: str, frames: int
) -> dict[str, Any]:
    """Publish once, watch as often as `whep` has (url, token) pairs, then by the playlist `hls`, where hls.js is (`make test-web` gets it).

    `origin` is any page that a secure context can be had from.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=_ARGUMENTS)
        publisher, viewer = browser.new_page(), browser.new_context().new_page()
        publisher.goto(origin)
        viewer.goto(origin)
        publisher.evaluate(_PUBLISH, list(whip))
        publisher.wait_for_function("peer.connectionState === 'connected'")
        seen = [viewer.evaluate(_WATCH, [*one, frames]) for one in whep]
        by_hls: list[dict[str, Any]] = []
        if HLS_JS.is_file():
            viewer.add_script_tag(path=HLS_JS)
            by_hls = [viewer.evaluate(_WATCH_HLS, [hls, frames, HLS_SETTLING_MS])]
        browser.close()
    webrtc = [ms for one in seen for ms in one["delays_ms"][SETTLING_FRAMES:]]
    return {
        "chromium_join_to_first_frame_ms_p50": round(statistics.median(one["join_ms"] for one in seen)),
        **_delays("glass_to_glass", webrtc),
        "hls_join_to_first_frame_ms": round(by_hls[0]["join_ms"]) if by_hls else None,
        **_delays("hls_glass_to_glass", [ms for one in by_hls for ms in one["delays_ms"]]),
    }


def _delays(name: str, read_ms: list[float]) -> dict[str, Any]:
    """Of what was read; None where it was too little to say anything."""
    delays = [ms for ms in read_ms if ms < ODD_MS]
    cuts = statistics.quantiles(delays, n=100) if len(delays) > 1 else None
    return {
        f"{name}_ms_p50": round(cuts[49]) if cuts else None,
        f"{name}_ms_p95": round(cuts[94]) if cuts else None,
        f"{name}_frames": len(delays),
    }
