"""Our own names on the web, and calls from somebody else's pages."""

from __future__ import annotations

from pathlib import Path

import pytest

from live import origins
from live.pages import content_security_policy
from live.settings import Settings


def settings(folder: Path, **environment: str) -> Settings:
    return Settings.read({"FLASHROOM_DATA_DIR": str(folder), **environment})


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("127.0.0.1:8000", "127.0.0.1"),
        ("shop.example", "shop.example"),
        ("[::1]:8000", "[::1]"),
        (None, "127.0.0.1"),
        ("", "127.0.0.1"),
        ("[", "127.0.0.1"),
        ("a b", "127.0.0.1"),
        ("x;script-src *", "127.0.0.1"),
        ("x'unsafe-inline'", "127.0.0.1"),
        ("user@evil.example", "127.0.0.1"),
        ("x\n", "127.0.0.1"),
    ],
)
def test_only_a_host_name_is_taken_from_the_host_header(header: str | None, name: str) -> None:
    assert origins.host_name(header) == name


def test_the_policy_and_the_hubs_address_follow_the_name_that_the_browser_used(tmp_path: Path) -> None:
    here = settings(tmp_path)
    assert origins.hub_url(here, "[::1]:8000") == "ws://[::1]:8001/v1"
    assert "connect-src 'self' ws://shop.lan:8001 http://shop.lan:8002" in content_security_policy(
        here, "shop.lan:8000"
    )


def test_a_public_hub_wins_over_every_host_header(tmp_path: Path) -> None:
    public = settings(tmp_path, FLASHROOM_PUBLIC_HUB_URL="wss://hub.example/v1")
    assert origins.hub_url(public, "evil.example") == "wss://hub.example/v1"
    assert "wss://hub.example " in content_security_policy(public, "evil.example")


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "https://evil.example"}, True),
        ({"origin": "null"}, True),
        ({"origin": "http://127.0.0.1:9999"}, True),
        ({"origin": "http://127.0.0.1:8000.evil.example"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-site"}, True),
    ],
)
def test_only_our_own_pages_act_with_our_cookies(
    tmp_path: Path, headers: dict[str, str], foreign: bool
) -> None:
    headers = {"host": "127.0.0.1:8000", **headers}
    assert origins.is_foreign(settings(tmp_path), "http", headers) is foreign


def test_behind_a_proxy_only_the_public_address_is_ours(tmp_path: Path) -> None:
    public = settings(tmp_path, FLASHROOM_PUBLIC_WEB_URL="https://shop.example")
    host = {"host": "10.0.0.7:8000"}
    assert not origins.is_foreign(public, "http", {**host, "origin": "https://shop.example"})
    assert origins.is_foreign(public, "http", {**host, "origin": "http://10.0.0.7:8000"})
