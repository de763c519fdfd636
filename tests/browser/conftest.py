"""A running show and a real Chromium for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from loadtests.chromium import chromium
from loadtests.show import Show

PATIENCE_MS = 60_000
"""Longer than anything takes, also where three browsers share two slow cores; only a failing test waits that long."""
expect.set_options(timeout=PATIENCE_MS)

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]


@pytest.fixture(scope="session")
def show(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Show]:
    """Redis, web, two hub processes and the worker, seeded with the sample show, without ghosts."""
    assert Path("live/web/dist").is_dir(), "the pages are not built: run `make test-web`"
    # All of these browsers share one address, and sign in more often than ten times a minute.
    environment = {"FLASHROOM_RATE_LIMITS": "off"}
    with Show(tmp_path_factory.mktemp("show"), hub_processes=2, environment=environment) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium per file. Not per session: while it lives, its event loop keeps async tests of this process from running."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """A page in a context of its own (its own cookies): `new_page(width=390, height=844, locale="en-GB")`."""
    contexts = []

    def make(width: int = 390, height: int = 844, locale: str = "en-GB") -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, locale=locale)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()
