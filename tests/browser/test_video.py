"""A host goes live from the console's own button, and a viewer sees the picture move."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from loadtests.show import Show
from tests.browser.pictures import Comparison, clock_ms
from tests.browser.test_the_last_unit import join, sign_in
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
    expect(state).to_have_attribute("data-state", "live", timeout=20_000)
    before = frames(viewer)
    wait_until_sync(lambda: frames(viewer) > before + 10, 20, "the camera's picture to move")
    same = Comparison(console.locator(".video-preview"), viewer.get_by_test_id("video"))
    wait_until_sync(lambda: same.look() >= 3, 30, "three different pictures of the host's own camera")

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
