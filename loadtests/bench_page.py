"""What the viewer's page costs a cheap phone: `python -m loadtests.bench_page [--rounds 5] [--seconds 15]`.

Real processes and headless Chromium. First load: CPU slowed down 4 times, 1.6 Mb/s with 150 ms round trips (Lighthouse's slow 4G), empty
cache; first paint and first server state (a price that the server gave) by the page's own clock. Busy room: 200 comments and 1,000 likes
a second through Redis and the hub, at the same slow-down and without it; frames per second, elements and script memory before and after.

The last line is one JSON object. Fails when comments did not arrive, or the page kept more and more of them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, sync_playwright

from loadtests.screenshots import ARGUMENTS, PHONE, Desk
from loadtests.show import Show
from realtime.broker import Broker

ROOM: Final = "rm_demo"
SLOW_DOWN: Final = 4
LINK_BYTES_PER_S: Final = 1_600_000 // 8
LINK_DELAY_MS: Final = 150
COMMENTS_PER_S: Final = 200
LIKES_PER_S: Final = 1_000
STEP_S: Final = 0.05

_WATCH_LOAD: Final = """
window.__marks = {};
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.__marks[entry.name] = entry.startTime;
}).observe({ type: "paint", buffered: true });
new MutationObserver(() => {
  if (!("state" in window.__marks) && document.querySelector("[data-testid=price]")?.textContent.match(/\\d/))
    window.__marks.state = performance.now();
  if (!("door" in window.__marks) && document.querySelector("[data-testid=join], [data-testid=hero]"))
    window.__marks.door = performance.now();
}).observe(document, { subtree: true, childList: true, characterData: true });
"""
_COUNT_FRAMES: Final = """
(seconds) => new Promise((resolve) => {
  const began = performance.now();
  const gaps = [];
  let last = began;
  const look = (now) => {
    gaps.push(now - last);
    last = now;
    if (now - began < seconds * 1000) requestAnimationFrame(look);
    else resolve({ frames: gaps.length, seconds: (now - began) / 1000, longest: Math.max(...gaps.slice(1)),
      late: gaps.filter((gap) => gap > 50).length });
  };
  requestAnimationFrame(look);
})
"""


def throttle(page: Page, *, slow_down: int, link: bool) -> CDPSession:
    """Make this page's machine slower, and its link where asked."""
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": slow_down})
    session.send("Network.enable")
    session.send("Performance.enable")
    if link:
        session.send(
            "Network.emulateNetworkConditions",
            {
                "offline": False,
                "latency": LINK_DELAY_MS,
                "downloadThroughput": LINK_BYTES_PER_S,
                "uploadThroughput": LINK_BYTES_PER_S // 2,
            },
        )
    return session


def viewer(browser: Browser, show: Show) -> BrowserContext:
    """A phone that was here before, with nothing in its cache."""
    context = browser.new_context(viewport={"width": PHONE[0], "height": PHONE[1]}, device_scale_factor=2)
    answer = context.request.post(
        f"{show.web_url}/api/guests",
        data={"nickname": "Bench"},
        headers={"Idempotency-Key": uuid.uuid4().hex, "Origin": show.web_url},
    )
    assert answer.status == 201, answer.text()
    return context


def first_load(browser: Browser, show: Show) -> dict[str, float]:
    """Milliseconds to first paint and to the first server state, and what came over the link, in KB."""
    context = viewer(browser, show)
    page = context.new_page()
    page.add_init_script(_WATCH_LOAD)
    session = throttle(page, slow_down=SLOW_DOWN, link=True)
    kinds: dict[str, str] = {}
    received: dict[str, float] = {}
    session.on("Network.responseReceived", lambda event: kinds.update({event["requestId"]: event["type"]}))
    session.on(
        "Network.loadingFinished",
        lambda event: received.update({event["requestId"]: event["encodedDataLength"]}),
    )
    page.goto(f"{show.web_url}/r/{ROOM}")
    page.get_by_test_id("price").first.wait_for(timeout=60_000)
    page.wait_for_timeout(500)
    marks: dict[str, float] = page.evaluate("window.__marks")
    by_kind = {
        kind: sum(size for one, size in received.items() if kinds.get(one) == kind) / 1024
        for kind in ("Script", "Stylesheet", "Image")
    }
    context.close()
    return {
        "first_paint_ms": marks["first-contentful-paint"],
        "first_state_ms": marks["state"],
        "script_kb": by_kind["Script"],
        "style_kb": by_kind["Stylesheet"],
    }


@contextlib.contextmanager
def crowd(show: Show) -> Iterator[None]:
    """Comments and likes through Redis, from a thread of its own, until the block ends."""
    stop = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_publish(show.redis_url, stop)), name="crowd")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


async def _publish(redis_url: str, stop: threading.Event) -> None:
    broker = await Broker.connect(redis_url)
    number = 0
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    steps = 0
    while not stop.is_set():
        events: list[Any] = []
        for _ in range(round(COMMENTS_PER_S * STEP_S)):
            number += 1
            data = {
                "id": f"co_bench{number:08d}",
                "viewer_id": f"gu_bench{number % 50}",
                "name": f"viewer {number % 50}",
                "role": "viewer",
                "text": f"comment {number}: is the serum good for dry skin?",
                "at_ms": 0,
            }
            events.append(("comment", data))
        await broker.publish(ROOM, events=events)
        await broker.add_likes(ROOM, round(LIKES_PER_S * STEP_S))
        steps += 1
        await asyncio.sleep(max(0.0, began_s + steps * STEP_S - loop.time()))
    await broker.aclose()


def _metrics(session: CDPSession, page: Page) -> dict[str, float]:
    session.send("HeapProfiler.enable")
    session.send("HeapProfiler.collectGarbage")
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    elements: int = page.evaluate("document.querySelectorAll('*').length")
    return {"elements": elements, "heap_mb": found["JSHeapUsedSize"] / 2**20}


def busy_room(browser: Browser, show: Show, seconds: float, slow_down: int) -> dict[str, float]:
    """Frames per second while the room is busy, and what the page keeps of it."""
    context = viewer(browser, show)
    page = context.new_page()
    session = throttle(page, slow_down=slow_down, link=False)
    page.goto(f"{show.web_url}/r/{ROOM}")
    page.get_by_test_id("price").first.wait_for(timeout=30_000)
    page.get_by_test_id("comment-input").first.wait_for(timeout=30_000)
    page.wait_for_timeout(2_000)
    quiet = page.evaluate(_COUNT_FRAMES, 2)
    with crowd(show):
        page.wait_for_timeout(4_000)
        before = _metrics(session, page)
        busy = page.evaluate(_COUNT_FRAMES, seconds)
        after = _metrics(session, page)
        shown = page.get_by_text("is the serum good for dry skin?").count()
    context.close()
    return {
        "fps": busy["frames"] / busy["seconds"],
        "quiet_fps": quiet["frames"] / quiet["seconds"],
        "longest_frame_ms": busy["longest"],
        "late_frames": busy["late"],
        "comments_shown": shown,
        "elements": after["elements"],
        "elements_grown": after["elements"] - before["elements"],
        "heap_mb": after["heap_mb"],
        "heap_mb_grown": after["heap_mb"] - before["heap_mb"],
    }


def run(folder: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """Everything; the figures by name. First load is the median of the rounds."""
    with Show(folder) as show, sync_playwright() as playwright:
        desk = Desk(show)
        desk.fire(0, countdown_ms=0, quota=200)
        httpx.get(f"{show.web_url}/readyz").raise_for_status()
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        loads = [first_load(browser, show) for _ in range(rounds)]
        result: dict[str, Any] = {
            name: round(statistics.median(load[name] for load in loads), 1) for name in loads[0]
        }
        for name, slow_down in (("busy", 1), ("busy_slow", SLOW_DOWN)):
            found = busy_room(browser, show, seconds, slow_down)
            result |= {f"{name}_{key}": round(value, 1) for key, value in found.items()}
        browser.close()
    return result


def chromium() -> str:
    from shutil import which

    found = which("chromium") or which("google-chrome")
    assert found is not None, "no Chromium on PATH: see make browser"
    return found


def verdict(result: dict[str, Any]) -> list[str]:
    """What is wrong with these figures; empty when nothing is."""
    wrong = []
    for name in ("busy", "busy_slow"):
        if not result[f"{name}_comments_shown"]:
            wrong.append(f"{name}: no comment arrived on the page")
        if result[f"{name}_elements_grown"] > 200:
            wrong.append(f"{name}: the page keeps more and more elements")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=15.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flashroom-page-") as folder:
        result = run(Path(folder), asked.rounds, asked.seconds)
    print(f"first load at {SLOW_DOWN}x CPU slow-down, 1.6 Mb/s, {LINK_DELAY_MS} ms, median of {asked.rounds}")
    print(f"  first paint         {result['first_paint_ms']:8.0f} ms")
    print(f"  first server state  {result['first_state_ms']:8.0f} ms")
    print(
        f"  script              {result['script_kb']:8.1f} KB compressed, style {result['style_kb']:.1f} KB"
    )
    print(f"busy room: {COMMENTS_PER_S} comments/s and {LIKES_PER_S} likes/s for {asked.seconds:g} s")
    for name, title in (("busy", "this machine"), ("busy_slow", f"{SLOW_DOWN}x slower")):
        found = {key.removeprefix(f"{name}_"): value for key, value in result.items() if key.startswith(name)}
        print(
            f"  {title:<14} {found['fps']:5.1f} frames/s (quiet {found['quiet_fps']:.1f}),"
            f" longest {found['longest_frame_ms']:.0f} ms,"
            f" {found['elements']:.0f} elements ({found['elements_grown']:+.0f}),"
            f" heap {found['heap_mb']:.1f} MB ({found['heap_mb_grown']:+.1f})"
        )
    wrong = verdict(result)
    for one in wrong:
        print(f"FAILED: {one}")
    print(json.dumps(result))
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
