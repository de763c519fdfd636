"""A short form of the video benchmark: a real media process, a few real peers, a real Chromium; no figure of it is a promise."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import pytest

from loadtests import bench_video, glass, video_peers
from loadtests.bench_tools import running_redis


def test_every_viewer_is_there_and_what_they_cost_is_compared_in_one_run() -> None:
    result = bench_video.measure(viewers=3, seconds=1.0, with_browser=False)
    assert result["viewers_connected"] == 3
    assert result["packets_per_s"] > 100, "picture and sound"
    assert result["lost_share"] < 0.05
    assert result["viewers_per_core_decode_encode"] > 0
    assert result["ratio"] > 1
    assert result["kib_per_viewer"] < 10_000


def test_viewers_whose_cost_is_lost_in_the_noise_still_cost_something() -> None:
    assert bench_video.cost_per_viewer(0.03 + 0.25, 0.03, 10) == pytest.approx(0.025)
    assert round(bench_video.cost_per_viewer(0.02, 0.03, 40), 6) > 0


@pytest.mark.browser
def test_the_delay_is_read_from_the_burnt_in_clock() -> None:
    with tempfile.TemporaryDirectory() as folder, running_redis() as redis_url:
        with bench_video.Media(Path(folder), redis_url).running() as media:
            whep = [media.playing("rm_glass", "gu_1")]
            found = glass.glass_to_glass(
                f"{media.url}/healthz",
                media.publishing("rm_glass"),
                whep,
                f"{media.url}/hls/rm_glass/index.m3u8",
                frames=60,
            )
    assert found["glass_to_glass_frames"] >= 25, "codes that could not be read"
    assert 0 < found["glass_to_glass_ms_p50"] < 5_000
    if glass.HLS_JS.is_file():
        assert found["hls_glass_to_glass_frames"] >= 25, "codes that could not be read by HLS"
        assert found["hls_glass_to_glass_ms_p50"] > 0


def test_numbers_that_never_came_are_counted_across_the_wrap() -> None:
    came = {number & 0xFFFF for number in range(65_500, 65_700)}
    assert video_peers.missing(came) == 0
    assert video_peers.missing(came - {65_510, 65_535, 10}) == 3
    assert video_peers.missing(set()) == 0


def test_the_kernel_drops_media_and_lets_reports_and_checks_through() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far,
    ):
        near.bind(("127.0.0.1", 0))
        near.settimeout(5)
        video_peers.drop_media(socket.fromfd(near.fileno(), near.family, near.type))
        check, media, sound, report, last = b"\x00\x01", b"\x80\xe6", b"\x80\x6f", b"\x80\xc9", b"\x16\xfe"
        for datagram in (check, media, sound, report, last):
            far.sendto(datagram + bytes(20), near.getsockname())
        assert [near.recv(100)[:2] for _ in range(3)] == [check, report, last]
