"""A host goes live from the console's own button, and a viewer sees the picture move."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from live.media.finish import finish
from live.media.recorder import Recorder
from live.media.recordings import Shelf
from live.media.show_captions import CaptionLog
from live.media.show_events import EventLog
from loadtests.screenshots import Desk
from loadtests.show import Show
from tests.browser.pictures import Comparison, clock_ms
from tests.browser.test_accessible import violations
from tests.browser.test_the_last_unit import join, sign_in
from tests.live.media.test_feed import Host
from tests.services import wait_until_sync

NewPage = Callable[..., Page]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Show]:
    """A show that carries video."""
    roles = ("web", "hub", "worker", "media")
    with Show(tmp_path_factory.mktemp("filmed"), roles=roles) as running:
        yield running


def frames(page: Page) -> int:
    return int(
        page.get_by_test_id("video").evaluate("video => video.getVideoPlaybackQuality().totalVideoFrames")
    )


def shown_ms(page: Page) -> int:
    """The time of day (ms, modulo 2^24) that the test picture shows."""
    return clock_ms(page.get_by_test_id("video")) or 0


def size(page: Page) -> list[int]:
    found: list[int] = page.get_by_test_id("video").evaluate("video => [video.videoWidth, video.videoHeight]")
    return found


def test_a_host_publishes_a_camera_from_the_console_and_viewers_see_it(
    filmed: Show, new_page: NewPage
) -> None:
    viewer = join(new_page, filmed, "Ann")
    viewer.get_by_test_id("video").wait_for(state="attached")
    wait_until_sync(lambda: frames(viewer) > 3, 20, "the test picture to move")
    expect(viewer.get_by_test_id("sound")).to_have_attribute("data-muted", "true")
    viewer.keyboard.press("m")
    expect(viewer.get_by_test_id("sound")).to_have_attribute("data-muted", "false")
    wait_until_sync(
        lambda: not viewer.get_by_test_id("video").evaluate("video => video.muted"), 10, "the sound"
    )
    first = shown_ms(viewer)
    wait_until_sync(
        lambda: 200 < (shown_ms(viewer) - first) % 2**24 < 20_000, 20, "its burnt-in clock to go on"
    )
    shown = shown_ms(viewer)
    assert (time.time() * 1000 - shown) % 2**24 < 5_000, "it is not the time of day"

    console = sign_in(new_page, filmed)
    console.get_by_test_id("tab-video").click()
    state = console.get_by_test_id("publish-state")
    expect(state).to_have_attribute("data-state", "off")
    console.get_by_test_id("publish-camera").click()
    expect(state).to_have_attribute("data-state", "live")
    expect(console.get_by_test_id("lamp-video")).to_have_class("lamp lamp-good")
    before = frames(viewer)
    wait_until_sync(lambda: frames(viewer) > before + 10, 20, "the camera's picture to move")
    same = Comparison(console.locator(".video-preview"), viewer.get_by_test_id("video"))
    wait_until_sync(lambda: same.look() >= 3, 60, "three different pictures of the host's own camera")

    console.get_by_test_id("publish-mute").click()
    expect(console.get_by_test_id("publish-mute")).to_have_attribute("aria-pressed", "true")
    console.get_by_test_id("tab-chat").click()  # another panel does not end the show
    before = frames(viewer)
    wait_until_sync(lambda: frames(viewer) > before + 10, 20, "the picture to go on")

    filmed.kill("media")
    expect(viewer.get_by_test_id("host-away")).to_be_visible()
    filmed.start("media")
    wait_until_sync(lambda: _moves(viewer), 40, "the picture to come back by itself")
    expect(viewer.get_by_test_id("host-away")).to_be_hidden()

    console.get_by_test_id("tab-video").click()
    again = Comparison(console.locator(".video-preview"), viewer.get_by_test_id("video"))
    wait_until_sync(lambda: again.look() >= 2, 30, "the host's camera after the media process was killed")
    console.get_by_test_id("publish-stop").click()
    expect(state).to_have_attribute("data-state", "off")


def _moves(page: Page) -> bool:
    before = frames(page)
    page.wait_for_timeout(400)
    return frames(page) > before


def prepared(new_page: NewPage, prepare: Callable[[Page], object]) -> NewPage:
    """Pages that something was done to before they open anything."""

    def make(**options: int | str) -> Page:
        page = new_page(**options)
        prepare(page)
        return page

    return make


def recorder(urls: list[str]) -> Callable[[Page], object]:
    return lambda page: page.on("request", lambda request: urls.append(request.url))


WITHOUT_WEBRTC = "delete globalThis.RTCPeerConnection; delete globalThis.webkitRTCPeerConnection;"

# Only relayed paths are allowed and there is no relay: every check of ICE fails, as behind a firewall that lets no UDP out.
WITHOUT_UDP = """
const Peer = globalThis.RTCPeerConnection;
globalThis.RTCPeerConnection = class extends Peer {
  constructor(configuration) { super({ ...configuration, iceTransportPolicy: "relay" }); }
};
"""


def way(page: Page) -> str | None:
    pill = page.get_by_test_id("video-delay")
    return pill.get_attribute("data-way") if pill.count() else None


def code_ms(page: Page) -> int | None:
    """The time of day that the test picture shows (ms, modulo 2^24), read from the pixels; None when there are none."""
    found: int | None = page.get_by_test_id("video").evaluate(
        """video => {
          if (!video.videoWidth) return null;
          const canvas = document.createElement("canvas");
          canvas.width = video.videoWidth; canvas.height = 16;
          const pen = canvas.getContext("2d");
          pen.drawImage(video, 0, 0);
          const block = video.videoWidth / 24;
          let value = 0;
          for (let bit = 0; bit < 24; bit++) {
            const pixel = pen.getImageData(Math.floor(bit * block + block / 2), 8, 1, 1).data;
            value = value * 2 + (pixel[1] > 128 ? 1 : 0);
          }
          return value;
        }"""
    )
    return found


def glass_to_glass_ms(page: Page) -> int | None:
    shown = code_ms(page)
    return None if shown is None else (int(time.time() * 1000) - shown) % 2**24


@pytest.mark.parametrize("hindered", [WITHOUT_WEBRTC, WITHOUT_UDP], ids=["no WebRTC", "no way for UDP"])
def test_a_browser_that_webrtc_cannot_reach_plays_hls_and_says_how_late_it_is(
    filmed: Show, new_page: NewPage, hindered: str
) -> None:
    fetched: list[str] = []

    def prepare(page: Page) -> None:
        page.add_init_script(hindered)
        recorder(fetched)(page)

    viewer = join(prepared(new_page, prepare), filmed, "Bea")
    wait_until_sync(lambda: frames(viewer) > 10, 30, "the picture to move by HLS")
    wait_until_sync(lambda: way(viewer) == "hls", 10, "the page to say it")
    before = frames(viewer)
    wait_until_sync(lambda: frames(viewer) > before + 60, 20, "the picture to go on")
    said = int(viewer.get_by_test_id("video-delay").get_attribute("data-ms") or 0)
    true_ms = glass_to_glass_ms(viewer)
    assert true_ms is not None
    assert true_ms < 10_000
    assert abs(said - true_ms) < 1_500, f"the page says {said} ms, the burnt-in clock {true_ms} ms"
    assert any("_HLS_part=" in url for url in fetched), "low latency: the playlist is asked for in advance"


def on_card(page: Page) -> tuple[str, int]:
    """The product on the card and the quota of its stock bar (0 without a sale), read in one moment."""
    title, quota = page.get_by_test_id("hero").evaluate(
        """card => [
          card.querySelector(".hero-title").textContent,
          Number(card.querySelector("[data-testid=stock]")?.dataset.quota ?? 0),
        ]"""
    )
    return title, quota


def test_a_card_waits_for_a_late_picture_its_stock_does_not_and_the_host_sees_how_late_it_is(
    filmed: Show, new_page: NewPage
) -> None:
    desk = Desk(filmed)
    viewer = join(prepared(new_page, lambda page: page.add_init_script(WITHOUT_WEBRTC)), filmed, "Ira")
    console = sign_in(new_page, filmed)
    wait_until_sync(lambda: way(viewer) == "hls", 40, "the picture by HLS")
    sale_id = desk.fire_named("pr_scarf", quota=5, countdown_ms=0)
    wait_until_sync(lambda: on_card(viewer)[1] == 5, 10, "the sale to be on the card")
    scarf, quota = on_card(viewer)
    for _ in range(3):  # a machine that stood still for as long as the picture is late shows nothing
        pin(desk, "pr_tea_tin")
        desk.call("POST", f"/api/sales/{sale_id}/stock", {"delta": 1})
        wait_until_sync(lambda quota=quota: on_card(viewer) != (scarf, quota), 20, "news on the card")
        was_held = on_card(viewer) == (scarf, quota + 1)
        wait_until_sync(lambda: on_card(viewer)[0] != scarf, 20, "the picture to come to the cue")
        if was_held:
            break
        pin(desk, "pr_scarf")
        quota += 1
        wait_until_sync(lambda quota=quota: on_card(viewer) == (scarf, quota), 20, "the card as before")
    assert was_held

    # Captions wait like cards.
    viewer.evaluate(
        """() => {
          globalThis.captionsSeen = [];
          setInterval(() => {
            const text = document.querySelector("[data-testid=captions]")?.textContent ?? "";
            if (globalThis.captionsSeen.at(-1)?.[0] !== text) globalThis.captionsSeen.push([text, Date.now()]);
          }, 50);
        }"""
    )
    delay_ms = int(viewer.get_by_test_id("video-delay").get_attribute("data-ms") or 0)
    assert delay_ms > 1_000
    said_ms = viewer.evaluate("Date.now()")
    desk.call("POST", "/api/rooms/rm_demo/captions", {"text": "thirty left", "language": "en"})
    expect(viewer.get_by_test_id("captions")).to_have_text("thirty left")
    viewer.wait_for_timeout(100)  # the page looks each 50 ms
    seen = dict(viewer.evaluate("globalThis.captionsSeen"))
    assert seen["thirty left"] - said_ms > 0.6 * delay_ms, "it came before its words were heard"
    # Words that a slow recogniser gives only now belong to a moment that this picture has come to already.
    said_ms = viewer.evaluate("Date.now()")
    desk.call("POST", "/api/rooms/rm_demo/captions", {"text": "late words", "delay_ms": 15_000})
    expect(viewer.get_by_test_id("captions")).to_have_text("late words")
    viewer.wait_for_timeout(100)
    seen = dict(viewer.evaluate("globalThis.captionsSeen"))
    assert seen["late words"] - said_ms < 0.6 * delay_ms

    def is_counted() -> bool:
        viewer.wait_for_timeout(200)  # an account may ask 1,200 times a minute
        return bool(desk.http.get("/api/rooms/rm_demo/charts/delays").json()["hls"]["pages"] == 1)

    # The page tells it with a ping each 10 s, the hub each 5 s.
    wait_until_sync(is_counted, 30, "the page to be counted")
    console.get_by_test_id("plot-latency").click()
    console.get_by_test_id("latency-pictures").click()
    expect(console.get_by_test_id("delays-note")).to_contain_text("HLS: 1 watching")


def pin(desk: Desk, product_id: str) -> None:
    desk.call("PUT", "/api/rooms/rm_demo/pin", {"product_id": product_id})


def test_a_viewer_beyond_the_capacity_gets_hls_and_webrtc_when_there_is_room_again(
    tmp_path_factory: pytest.TempPathFactory, new_page: NewPage
) -> None:
    roles = ("web", "hub", "worker", "media")
    full = {"FLASHROOM_MEDIA_VIEWERS": "1"}
    with Show(tmp_path_factory.mktemp("full"), roles=roles, environment=full) as show:
        first = join(new_page, show, "Ann")
        wait_until_sync(lambda: way(first) == "webrtc", 30, "the first one to watch by WebRTC")
        loaded: list[str] = []
        second = join(prepared(new_page, recorder(loaded)), show, "Bob")
        wait_until_sync(lambda: way(second) == "hls" and frames(second) > 10, 30, "the second one by HLS")
        assert any("video-hls" in url for url in loaded)
        first.close()
        wait_until_sync(lambda: way(second) == "webrtc", 60, "the second one to come back to WebRTC")
        before = frames(second)
        wait_until_sync(lambda: frames(second) > before + 10, 20, "the picture to move")


def test_a_camera_published_by_chromium_is_seen_by_hls_without_being_encoded_again(
    filmed: Show, new_page: NewPage
) -> None:
    console = sign_in(new_page, filmed)
    console.get_by_test_id("tab-video").click()
    console.get_by_test_id("publish-camera").click()
    state = console.get_by_test_id("publish-state")
    expect(state).to_have_attribute("data-state", "live")
    viewer = join(prepared(new_page, lambda page: page.add_init_script(WITHOUT_WEBRTC)), filmed, "Dan")
    wait_until_sync(lambda: way(viewer) == "hls" and frames(viewer) > 30, 40, "the camera's picture by HLS")
    for _ in range(
        3
    ):  # the camera's encoder changes its picture's size while it finds out what the network carries
        before = frames(viewer)
        wait_until_sync(lambda before=before: frames(viewer) > before + 60, 20, "the picture to go on")
    assert size(viewer)[0] > 0
    index = httpx.get(f"{filmed.media_url}/hls/rm_demo/index.m3u8").text
    assert 'CODECS="avc1.' in index
    console.get_by_test_id("publish-stop").click()
    expect(state).to_have_attribute("data-state", "off")


def test_who_watches_by_webrtc_never_loads_the_hls_player(filmed: Show, new_page: NewPage) -> None:
    loaded: list[str] = []
    viewer = join(prepared(new_page, recorder(loaded)), filmed, "Cyd")
    wait_until_sync(lambda: way(viewer) == "webrtc", 30, "the picture by WebRTC")
    assert not [url for url in loaded if "video-hls" in url or "/hls/" in url]


def test_the_owner_downloads_a_film_in_the_console(filmed: Show, new_page: NewPage) -> None:
    folder = filmed.folder / "recordings" / "rm_demo" / "1795000000000"
    folder.mkdir(parents=True)
    (folder / "show-1.mp4").write_bytes(b"a film" * 1000)
    files = [{"name": "show-1.mp4", "duration_s": 61.0, "size_bytes": 6000, "spans": []}]
    finished = {"finished_at_ms": int(time.time() * 1000), "files": files}
    (folder / "finished.json").write_text(json.dumps(finished))
    console = sign_in(new_page, filmed)
    console.get_by_test_id("tab-video").click()
    console.get_by_test_id("recordings").locator("summary").click()
    with console.expect_download() as waiting:
        console.get_by_test_id("recording").get_by_role("link").click()
    assert waiting.value.suggested_filename == "rm_demo-1795000000000-show-1.mp4"
    assert waiting.value.path().read_bytes() == b"a film" * 1000
    console.on("dialog", lambda dialog: dialog.accept())
    console.get_by_test_id("delete-recording").click()
    expect(console.get_by_test_id("recording")).to_have_count(0)
    assert not folder.exists()


def test_when_a_show_has_ended_it_can_be_watched_again_with_its_chat_stock_and_chapters(
    filmed: Show, new_page: NewPage
) -> None:
    # An hour ago: samples of stock older than 30 days are dropped by the worker.
    host, shelf = Host(wall_ms=int(time.time() * 1000) - 3_600_000), Shelf(filmed.folder / "recordings")
    recorder = Recorder(shelf.open("rm_demo", 1_795_000_000_001))
    host.feed.remove(host.sink)
    host.feed.add(recorder)
    host.report()
    host.show(24)
    host.feed.remove(recorder)
    recorder.write(recorder.collect())
    recorder.close()
    [film] = finish(recorder.recording.folder, 0)["files"]
    began_ms = film["spans"][0]["wall_ms"]
    EventLog(recorder.recording.folder).append(
        "e",
        [
            (1, "comment", {"id": "c1", "name": "Ann", "text": "early words", "at_ms": began_ms + 100}),
            (2, "pin", {"product_id": "pr_mug", "at_ms": began_ms + 20_000}),
            (3, "comment", {"id": "c2", "name": "Bob", "text": "late words", "at_ms": began_ms + 21_000}),
        ],
    )
    lines = [(1.0, "early caption"), (20.5, "late caption")]
    CaptionLog(recorder.recording.folder).append(
        [
            (f"{n}-0", {"text": text, "language": "en", "at_ms": began_ms + int(at_s * 1000)})
            for n, (at_s, text) in enumerate(lines, 1)
        ],
        began_ms,
    )
    desk = Desk(filmed)
    sale_id = desk.fire_named("pr_mug", quota=9, countdown_ms=0)
    sale = f"/api/sales/{sale_id}"
    wait_until_sync(lambda: desk.http.get(sale).json()["state"] == "open", 20, "the sale to open")
    console = sign_in(new_page, filmed)
    with sqlite3.connect(filmed.folder / "flashroom.db") as database:
        database.execute("UPDATE room SET rehearsal = 0")
        opened = (began_ms + 15_000, began_ms + 21_000, sale_id)
        database.execute("UPDATE sale SET opened_at_ms = ?, closed_at_ms = ? WHERE sale_id = ?", opened)
        database.executemany(
            "INSERT INTO stock_sample (sale_id, at_ms, available, held, sold) VALUES (?, ?, ?, ?, ?)",
            [(sale_id, began_ms + 16_000, 6, 2, 1), (sale_id, began_ms + 20_500, 4, 2, 3)],
        )
    answer = console.request.post(
        f"{filmed.web_url}/api/rooms/rm_demo/status",
        data={"status": "ended"},
        headers={"Idempotency-Key": "ends-for-the-replay"},
    )
    assert answer.ok, answer.text()

    viewer = join(new_page, filmed, "Eve")
    viewer.get_by_test_id("watch-again").click()
    lines, stock = viewer.get_by_test_id("replay-comment"), viewer.get_by_test_id("replay-stock")
    expect(lines).to_have_text(["Ann early words"])
    expect(stock).to_have_count(0)
    viewer.get_by_test_id("chapter").click()
    expect(stock).to_have_attribute("data-sale", sale_id)
    expect(lines).to_have_text(["Ann early words", "Bob late words"])
    expect(stock.get_by_test_id("stock")).to_have_attribute("data-sold", "3")
    expect(stock).to_contain_text("closed")
    expect(stock).to_contain_text(re.compile(r"was .+ at \d\d:\d\d"))
    expect(viewer.get_by_test_id("replay-burn")).to_be_visible()
    shown = viewer.get_by_test_id("replay-video").evaluate("video => [video.currentTime, video.error]")
    assert shown[0] >= 20
    assert shown[1] is None
    cues = """video => [...(video.textTracks[0]?.activeCues ?? [])].map((cue) => cue.getCueAsHTML().textContent)"""
    film = viewer.get_by_test_id("replay-video")
    film.evaluate("video => { video.pause(); video.currentTime = 21; }")
    wait_until_sync(lambda: film.evaluate(cues) == ["late caption"], 10, "the caption of that moment")
    film.evaluate("video => { video.currentTime = 2; }")
    wait_until_sync(lambda: film.evaluate(cues) == ["early caption"], 10, "the caption of another moment")
    viewer.keyboard.press("Escape")
    viewer.keyboard.press("g")
    item = viewer.get_by_role("listitem").filter(has=viewer.locator("[data-product=pr_mug]"))
    item.get_by_test_id("moment").click()
    shown_from = """video => video.currentTime >= 20"""
    wait_until_sync(
        lambda: viewer.get_by_test_id("replay-video").evaluate(shown_from), 10, "the moment of the item"
    )
    viewer.keyboard.press("Escape")

    _edit(console, desk)
    viewer.get_by_test_id("watch-again").click()
    expect(viewer.get_by_test_id("chapter")).to_have_text(["00:03 Hello", "00:17 The mug, held up"])
    film = viewer.get_by_test_id("replay-video")
    wait_until_sync(lambda: film.evaluate("video => video.currentTime >= 3"), 10, "the host's beginning")
    expect(viewer.get_by_test_id("cut-time")).to_contain_text("/ 00:19")
    viewer.get_by_test_id("chapter").nth(1).click()
    expect(lines).to_have_text(["Ann early words", "Bob late words"])
    expect(stock.get_by_test_id("stock")).to_have_attribute("data-sold", "3")
    stops = "video => video.paused && video.currentTime > 21.5 && video.currentTime < 22.4"
    wait_until_sync(lambda: film.evaluate(stops), 15, "the host's end")
    viewer.get_by_test_id("cut-play").click()
    wait_until_sync(lambda: film.evaluate("video => video.currentTime < 20"), 10, "it to begin again")
    assert not violations(viewer)
    viewer.keyboard.press("Escape")
    viewer.keyboard.press("g")
    item.get_by_test_id("moment").click()
    wait_until_sync(lambda: film.evaluate("video => video.currentTime >= 20"), 10, "the item's chapter")
    viewer.keyboard.press("Escape")

    console.get_by_role("switch").uncheck()
    console.get_by_test_id("replay-save").click()
    expect(console.get_by_test_id("replay-state")).to_have_attribute("data-state", "saved")
    viewer.get_by_test_id("watch-again").click()
    expect(viewer.get_by_test_id("replay-sheet")).to_contain_text(
        "has not made the replay of this show public"
    )
    expect(film).to_have_count(0)
    console.keyboard.press("Escape")
    console.get_by_test_id("tab-log").click()
    expect(console.get_by_test_id("audit-entry").first).to_contain_text("edited the replay of")


def _edit(console: Page, desk: Desk) -> None:
    """The owner names and adds a chapter and cuts the film, while somebody else saves it too."""
    console.get_by_test_id("tab-video").click()
    console.get_by_test_id("recordings").locator("summary").click()
    console.get_by_test_id("edit-replay").click()
    rows, state = console.get_by_test_id("replay-chapter"), console.get_by_test_id("replay-state")
    expect(rows).to_have_count(1)
    expect(rows.locator("[name=starts]")).to_have_value("00:20")
    expect(rows.locator("[name=title_zh]")).to_have_value("潮汐粗陶杯")
    expect(state).to_have_attribute("data-state", "saved")
    rows.locator("[name=title]").fill("The mug, held up")
    expect(state).to_have_attribute("data-state", "changed")
    console.get_by_test_id("replay-film").evaluate("video => { video.currentTime = 5; }")
    console.get_by_role("button", name="Add a chapter at 00:05").click()
    added = rows.first
    expect(added.locator("[name=title]")).to_be_focused()
    console.keyboard.type("Hello")
    expect(added.locator("[name=title]")).to_have_value("Hello")
    added.get_by_test_id("starts-on").click()
    expect(added.locator("[name=starts]")).to_have_value("00:06")
    console.locator("[name=from]").fill("00:03")
    console.locator("[name=until]").fill("99:00")
    console.get_by_test_id("replay-save").click()
    expect(console.locator("[name=until]")).to_be_focused()
    expect(state).to_have_attribute("data-state", "wrong")
    assert not violations(console)
    console.locator("[name=until]").fill("00:22")

    other = {"version": 0, "film_length_ms": 24_000, "from_film_ms": 0, "until_film_ms": None}
    path = "/api/rooms/rm_demo/replays/1795000000001"
    desk.call("PUT", path, {**other, "hidden": True, "chapters": None})
    console.get_by_test_id("replay-save").click()
    expect(console.get_by_test_id("replay-theirs")).to_be_visible()
    console.get_by_test_id("replay-keep-mine").click()
    expect(state).to_have_attribute("data-state", "saved")
    assert desk.http.get(path).json()["version"] == 2
