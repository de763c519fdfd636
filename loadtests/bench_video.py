"""What one viewer of live video costs: packets forwarded by a real media process, beside decoding and encoding for each, in one run.

    python -m loadtests.bench_video [--viewers 40] [--seconds 6] [--listeners 4] [--no-browser]

The picture is 720x1280 at 30 a second in H264, about 2 Mbit/s, with Opus sound. `flashroom media` runs as an operator runs it; a publisher
and viewers are real WebRTC peers in processes of their own (video_peers): ICE, DTLS, SRTP, consent checks, receiver reports, sound. The
media process' own CPU time (user and system) with all viewers there, less that with the publisher alone, is their cost. One
core divided by a viewer's share is `viewers_per_core`: computed, and not a crowd that was there unless `--viewers` asks for one.

Everything is on loopback. There the kernel's way to the receiver is on the sender's account, and a network card on nobody's: where every
viewer listens (`--listeners`), a packet costs the media process about half as much again as where the kernel drops it for most of them.
Relaying is what one viewer costs where a track is relayed the plain way of aiortc: decode, encode, packetise; its SRTP and sends are
left out, to its favour.

Join is from the offer to the first packet of a key frame in the aiortc viewers, who come eight at a time, and to the first presented frame
in Chromium. The delay from glass to glass is read from a burnt-in clock in Chromium (glass.py), by WebRTC and by low-latency HLS beside it.
The last line is a JSON object; what could not be measured here (no Chromium, no hls.js) is not in it, or null.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Self

import av
from aiortc.codecs import h264

from live.media import tokens
from live.settings import Settings
from loadtests import glass, video_peers
from loadtests.bench_tools import cpu_s, free_port, resident_bytes, running_redis, wait_for_port
from loadtests.chromium import find_chromium

ROOM, GLASS_ROOM = "rm_bench", "rm_glass"
RECORDING_S: Final = 2
SETTLE_S: Final = 1.0
LEAST_SHARE: Final = 0.001
"""Of a core. Less than this can't be told from the publisher's own ups and downs: viewers are never said to cost less."""
START_TIMEOUT_S: Final = 60.0


class Media:
    """A `flashroom media` with a folder of its own."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.port = free_port()
        self.environment = {
            **os.environ,
            "FLASHROOM_ENV": "development",
            "FLASHROOM_DATA_DIR": str(folder),
            "FLASHROOM_REDIS_URL": redis_url,
            "FLASHROOM_MEDIA_PORT": str(self.port),
        }
        self._key = Settings.read(self.environment).key("media")
        self.url = f"http://127.0.0.1:{self.port}"
        self.pid = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        command = [sys.executable, "-m", "live.cli", "media"]
        process = subprocess.Popen(command, env=self.environment, stderr=subprocess.DEVNULL)
        self.pid = process.pid
        try:
            wait_for_port(self.port, START_TIMEOUT_S)
            yield self
        finally:
            process.terminate()
            process.wait(20)

    def publishing(self, room_id: str) -> tuple[str, str]:
        """Address and token to publish."""
        now_ms = int(time.time() * 1000)
        return f"{self.url}/whip/{room_id}", tokens.publish_token(self._key, room_id, "us_bench", now_ms)

    def playing(self, room_id: str, viewer: str) -> tuple[str, str]:
        """Address and token to watch."""
        now_ms = int(time.time() * 1000)
        return f"{self.url}/whep/{room_id}", tokens.play_token(self._key, room_id, viewer, now_ms)


class Peers:
    """A process of video_peers."""

    def __init__(self, *arguments: str, lines: list[str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtests.video_peers", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if lines is not None:
            self._write("\n".join(lines) + "\n\n")
        self.ready = self._read()

    def _write(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the peers ended with {self._process.wait()}")
        return dict(json.loads(line))

    def end(self, *, counted: bool) -> dict[str, Any]:
        self._write("end\n")
        said = self._read() if counted else {}
        self._process.wait(30)
        return said

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def share_of_a_core(pid: int, seconds: float) -> float:
    """CPU time a process uses in each second."""
    time.sleep(SETTLE_S)
    began_s, used_s = time.monotonic(), cpu_s(pid)
    time.sleep(seconds)
    return (cpu_s(pid) - used_s) / (time.monotonic() - began_s)


def cost_per_viewer(share: float, alone_share: float, viewers: int) -> float:
    """Share of a core for each viewer, out of the process' share with them and with the publisher alone."""
    return max(share - alone_share, LEAST_SHARE) / viewers


def forwarding(media: Media, viewers: int, seconds: float, listeners: int) -> dict[str, Any]:
    """What viewers cost the media process; `listeners` of them count what comes."""
    with contextlib.ExitStack() as stack:
        publisher = Peers("publish", *media.publishing(ROOM), str(RECORDING_S))
        stack.callback(publisher.kill)
        alone_share, alone_bytes = share_of_a_core(media.pid, seconds / 2), resident_bytes(media.pid)
        signed = [media.playing(ROOM, f"gu_{number}")[1] for number in range(viewers)]
        crowd = Peers("watch", f"{media.url}/whep/{ROOM}", str(listeners), lines=signed)
        stack.callback(crowd.kill)
        share, used_bytes = share_of_a_core(media.pid, seconds), resident_bytes(media.pid)
        counted = crowd.end(counted=True)
    per_viewer = cost_per_viewer(share, alone_share, viewers)
    expected = counted["received"] + counted["missing"]
    packets_per_s = expected / listeners / counted["seconds"]
    return {
        "kbit_per_s": publisher.ready["kbit_per_s"],
        "packets_per_s": round(packets_per_s),
        "viewers": viewers,
        "listeners": listeners,
        "viewers_connected": counted["connected"],
        "lost_share": round(counted["missing"] / max(1, expected), 5),
        "publisher_alone_core_share": round(alone_share, 4),
        "core_share_per_viewer": round(per_viewer, 6),
        "us_per_packet": round(per_viewer / packets_per_s * 1e6, 2),
        "viewers_per_core": round((1 - alone_share) / per_viewer),
        "kib_per_viewer": round((used_bytes - alone_bytes) / viewers / 1024),
        "join_to_key_frame_ms_p50": round(statistics.median(crowd.ready["join_s"]) * 1000),
    }


def relaying_share(seconds: int) -> float:
    """CPU time per second of video for one viewer who gets the recording decoded, encoded again and packetised."""
    pictures = video_peers.encoded(seconds)
    decoder = av.CodecContext.create("h264", "r")
    encoder = h264.H264Encoder()
    began_s = time.process_time()
    for number, picture in enumerate(pictures):
        for frame in decoder.decode(av.Packet(picture)):
            assert isinstance(frame, av.VideoFrame)
            frame.pts, frame.time_base = number, Fraction(1, video_peers.PICTURES_PER_S)
            encoder.encode(frame)
    return (time.process_time() - began_s) / seconds


def measure(
    viewers: int, seconds: float, *, with_browser: bool, listeners: int | None = None
) -> dict[str, Any]:
    """Everything, in the order of the table; without a number, one viewer in ten listens, and two at least."""
    listening = listeners if listeners is not None else max(2, viewers // 10)
    with tempfile.TemporaryDirectory() as folder, running_redis() as redis_url:
        with Media(Path(folder), redis_url).running() as media:
            result: dict[str, Any] = {"bench": "video", **forwarding(media, viewers, seconds, listening)}
            relayed = relaying_share(RECORDING_S)
            result["viewers_per_core_decode_encode"] = round(1 / relayed, 2)
            result["ratio"] = round(relayed / result["core_share_per_viewer"], 1)
            if with_browser and find_chromium():
                whep = [media.playing(GLASS_ROOM, f"gu_glass_{number}") for number in range(glass.JOINS)]
                result |= glass.glass_to_glass(
                    f"{media.url}/healthz",
                    media.publishing(GLASS_ROOM),
                    whep,
                    f"{media.url}/hls/{GLASS_ROOM}/index.m3u8",
                    frames=120,
                )
    return result


def main() -> None:
    """Print the table, and the JSON object as last line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--viewers", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--listeners", type=int, help="viewers who take every packet out of its encryption")
    parser.add_argument("--no-browser", action="store_true")
    arguments = parser.parse_args()
    result = measure(
        arguments.viewers,
        arguments.seconds,
        with_browser=not arguments.no_browser,
        listeners=arguments.listeners,
    )
    for name, value in result.items():
        print(f"{name:38} {value}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
