"""What the viewer's page costs a cheap phone: `python -m loadtests.bench_page [--rounds 5] [--seconds 15]`.

Real processes and headless Chromium. First load: CPU slowed down 4 times, 1.6 Mb/s with 150 ms round trips (Lighthouse's slow 4G), empty
cache; first paint from Chromium's own trace, first server state (a price that the server gave) by a mark that the page leaves in the
same trace. Busy room: 200 comments and 1,000 likes a second through Redis and the hub, at the same slow-down and without it; frames per
second, elements and script memory before and after.

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
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, sync_playwright

from loadtests.chromium import chromium
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

TRACED: Final = ("loading", "blink.user_timing")
"""Where Chromium writes the navigation, its paints, and the page's own marks; one clock for all."""
TRACE_BYTES_MAX: Final = 64 * 2**20
TRACE_WITHIN_S: Final = 20.0
STATE_MARK: Final = "flashroom-first-state"
_MARK_STATE: Final = f"""
new MutationObserver((_, observer) => {{
  if (!document.querySelector("[data-testid=price]")?.textContent.match(/\\d/)) return;
  performance.mark("{STATE_MARK}");
  observer.disconnect();
}}).observe(document, {{ subtree: true, childList: true, characterData: true }});
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


def trace_begin(session: CDPSession) -> None:
    """Start Chromium's tracing for this page. The trace waits in a stream of the browser's until it is asked for."""
    session.send(
        "Tracing.start",
        {"transferMode": "ReturnAsStream", "traceConfig": {"includedCategories": list(TRACED)}},
    )


def trace_end(session: CDPSession, page: Page) -> list[dict[str, Any]]:
    """The events since `trace_begin`, which end it. Raises RuntimeError for a trace that does not come, lost events or is above 64 MiB."""
    done: list[dict[str, Any]] = []
    session.on("Tracing.tracingComplete", lambda event: done.append(event))
    session.send("Tracing.end")
    until_s = time.monotonic() + TRACE_WITHIN_S
    while not done:
        if time.monotonic() > until_s:
            raise RuntimeError("Chromium did not give its trace")
        page.wait_for_timeout(20)
    if done[0].get("dataLossOccurred"):
        raise RuntimeError("Chromium lost a part of its trace")
    handle = done[0]["stream"]
    text, is_over = "", False
    while not is_over:
        part = session.send("IO.read", {"handle": handle})
        text += part["data"]
        is_over = part["eof"]
        if len(text) > TRACE_BYTES_MAX:
            raise RuntimeError("Chromium's trace is too long")
    session.send("IO.close", {"handle": handle})
    events: list[dict[str, Any]] = json.loads(text)["traceEvents"]
    return events


def times_of(events: Sequence[Mapping[str, Any]], url: str) -> dict[str, float]:
    """Milliseconds from the navigation to `url` to its first paint, first contentful paint and first server state.

    Trace timestamps are microseconds of one clock. Raises ValueError for what the trace does not have.
    """
    starts = [
        one
        for one in events
        if one["name"] == "navigationStart"
        and one.get("args", {}).get("data", {}).get("documentLoaderURL") == url
    ]
    if not starts:
        raise ValueError(f"the trace has no navigation to {url}")
    began = min(starts, key=lambda one: int(one["ts"]))
    frame, navigation = began["args"]["frame"], began["args"]["data"].get("navigationId")
    found: dict[str, float] = {}
    for one in sorted(events, key=lambda one: int(one.get("ts", 0))):
        at_ms = (int(one.get("ts", 0)) - int(began["ts"])) / 1000
        args = one.get("args", {})
        data = args.get("data", {})
        is_paint = (
            one["name"] in ("firstPaint", "firstContentfulPaint")
            and args.get("frame") == frame
            and data.get("navigationId") == navigation
        )
        if at_ms >= 0 and (is_paint or (one["name"] == STATE_MARK and one.get("pid") == began.get("pid"))):
            found.setdefault(one["name"], at_ms)
    missing = {"firstPaint", "firstContentfulPaint", STATE_MARK} - found.keys()
    if missing:
        raise ValueError(f"the trace has no {', '.join(sorted(missing))}")
    return found


def first_load(browser: Browser, show: Show) -> dict[str, float]:
    """Milliseconds to first paint and to the first server state, and what came over the link, in KB."""
    context = viewer(browser, show)
    page = context.new_page()
    page.add_init_script(_MARK_STATE)
    session = throttle(page, slow_down=SLOW_DOWN, link=True)
    kinds: dict[str, str] = {}
    received: dict[str, float] = {}
    session.on("Network.responseReceived", lambda event: kinds.update({event["requestId"]: event["type"]}))
    session.on(
        "Network.loadingFinished",
        lambda event: received.update({event["requestId"]: event["encodedDataLength"]}),
    )
    url = f"{show.web_url}/r/{ROOM}"
    tracing = browser.new_browser_cdp_session()  # a page's session has no IO domain
    trace_begin(tracing)
    page.goto(url)
    page.get_by_test_id("price").first.wait_for(timeout=60_000)
    page.wait_for_timeout(500)
    times = times_of(trace_end(tracing, page), url)
    tracing.detach()
    by_kind = {
        kind: sum(size for one, size in received.items() if kinds.get(one) == kind) / 1024
        for kind in ("Script", "Stylesheet", "Image")
    }
    context.close()
    return {
        "first_paint_ms": times["firstPaint"],
        "first_content_ms": times["firstContentfulPaint"],
        "first_state_ms": times[STATE_MARK],
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
    print(f"  first content       {result['first_content_ms']:8.0f} ms")
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
