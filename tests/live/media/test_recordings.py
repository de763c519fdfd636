"""Recordings: whole after a kill -9, films that can be sought in, the disk never filled, and for the right people."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import httpx
import pytest

from live.media import show_captions, tokens
from live.media.finish import BUSY, NO_SPACE, finish, whole_bytes
from live.media.recorder import Recorder, Recordings, ShowNow
from live.media.recordings import Recording, Shelf
from live.settings import Settings
from loadtests.show import Show
from realtime.broker import Broker
from tests.live.media.peers import MediaServer, publisher
from tests.live.media.test_feed import Host
from tests.live.media.test_frames import Camera
from tests.services import wait_until

STARTED_MS = 1_795_000_000_000


def record(host: Host, shelf: Shelf) -> Recorder:
    """Record what the host shows from now on."""
    recorder = Recorder(shelf.open("rm_1", STARTED_MS))
    host.feed.remove(host.sink)
    host.feed.add(recorder)
    return recorder


def write(recorder: Recorder) -> None:
    recorder.write(recorder.collect())


@dataclass
class Film:
    pictures: int
    sounds: int
    duration_s: float
    begins_with_index: bool


def examine(path: Path) -> Film:
    """Decode all of it."""
    content = path.read_bytes()
    pictures = sounds = 0
    with av.open(str(path)) as film:
        assert film.duration is not None
        duration_s = film.duration / 1_000_000
        for frame in film.decode():
            if isinstance(frame, av.VideoFrame):
                pictures += 1
            else:
                sounds += 1
    return Film(pictures, sounds, duration_s, content.find(b"moov") < content.find(b"mdat"))


def test_a_film_has_all_that_was_shown_and_begins_with_its_index(tmp_path: Path) -> None:
    host, shelf = Host(), Shelf(tmp_path)
    host.report()
    recorder = record(host, shelf)
    for _ in range(22):
        host.show(1)
        write(recorder)
    host.feed.remove(recorder)
    write(recorder)
    recorder.close()
    content = finish(recorder.recording.folder, 0)
    [file] = content["files"]
    film = examine(recorder.recording.folder / file["name"])
    assert film.pictures == 550
    assert film.sounds > 1000
    assert abs(film.duration_s - 22) < 0.2
    assert film.begins_with_index, "a browser can seek before it has all of it"
    assert len(file["spans"]) == 1
    assert abs(file["spans"][0]["wall_ms"] - (1_000_000 + 50_010)) < 50
    assert not recorder.recording.parts(), "the parts are not kept twice"
    with av.open(str(recorder.recording.folder / file["name"])) as opened:
        opened.seek(21_000_000)
        frame = next(opened.decode(video=0))
        assert frame.time is not None
        assert 9 < frame.time <= 21


def test_what_was_half_written_at_a_crash_is_left_out_and_the_rest_plays(tmp_path: Path) -> None:
    host, shelf = Host(), Shelf(tmp_path)
    host.report()
    recorder = record(host, shelf)
    host.show(6)
    write(recorder)
    recorder.close()
    [part] = recorder.recording.parts()
    whole = part.stat().st_size
    assert whole_bytes(part) == whole
    for cut in (3, 40, 2000):
        os.truncate(part, whole - cut)
        kept = whole_bytes(part)
        assert whole - 60_000 < kept < whole
    finish(recorder.recording.folder, 0)
    assert examine(recorder.recording.folder / "show-1.mp4").pictures > 4 * 25


def test_a_pause_is_taken_out_and_the_spans_say_so(tmp_path: Path) -> None:
    host, shelf = Host(), Shelf(tmp_path)
    host.report()
    recorder = record(host, shelf)
    host.show(4)
    host.now_s += 60
    host.report()
    host.show(6)
    write(recorder)
    recorder.close()
    [file] = finish(recorder.recording.folder, 0)["files"]
    assert file["duration_s"] < 11
    first, second = file["spans"]
    assert 3.5 < second["at_s"] < 4.5
    assert 63_000 < second["wall_ms"] - first["wall_ms"] < 66_000
    assert abs(examine(recorder.recording.folder / "show-1.mp4").duration_s - file["duration_s"]) < 0.3


def test_a_picture_of_another_size_goes_on_in_the_same_film_and_another_codec_in_a_second(
    tmp_path: Path,
) -> None:
    host, shelf = Host(), Shelf(tmp_path)
    host.report()
    recorder = record(host, shelf)
    host.show(3)
    host._camera, host._wants_key = Camera("H264", 96, 64), True
    host.show(3)
    host._camera, host._wants_key, host.codec = Camera("VP8", 96, 64), True, "VP8"
    host.show(4)
    host.feed.remove(recorder)
    write(recorder)
    recorder.close()
    files = finish(recorder.recording.folder, 0)["files"]
    assert [file["video_codec"] for file in files] == ["h264", "vp8"]
    assert examine(recorder.recording.folder / "show-1.mp4").pictures == 150
    assert files[1]["name"] == "show-2.webm", "FFmpeg writes no VP8 into MP4"
    assert examine(recorder.recording.folder / "show-2.webm").pictures >= 95


def test_finishing_can_be_killed_and_begun_again(tmp_path: Path) -> None:
    host, shelf = Host(), Shelf(tmp_path)
    host.report()
    recorder = record(host, shelf)
    host.show(3)
    write(recorder)
    recorder.close()
    folder = recorder.recording.folder
    (folder / "show-1.making.mp4").write_bytes(b"half a film")
    kept = folder.parent / "copy"
    shutil.copy(recorder.recording.parts()[0], kept)
    finish(folder, 0)
    film = (folder / "show-1.mp4").stat().st_size
    shutil.move(
        kept, recorder.recording.new_part(0)
    )  # killed after the description was there, before the parts were gone
    finish(folder, 0)
    assert not recorder.recording.parts()
    assert (folder / "show-1.mp4").stat().st_size == film


def test_a_film_is_not_made_into_the_last_free_space(tmp_path: Path) -> None:
    host, shelf = Host(), Shelf(tmp_path)
    host.report()
    recorder = record(host, shelf)
    host.show(3)
    write(recorder)
    recorder.close()
    floor = shutil.disk_usage(tmp_path).free + (1 << 40)
    command = [sys.executable, "-m", "live.media.finish", str(recorder.recording.folder), str(floor)]
    assert subprocess.run(command, check=False, timeout=60).returncode == NO_SPACE
    assert recorder.recording.parts(), "nothing is lost: it is made when there is space"


def test_only_finished_ones_of_more_days_ago_are_deleted(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    now_s = 10_000_000.0
    for name, days_ago in (("1", 31), ("2", 29)):
        recording = shelf.open("rm_1", int(name))
        finished = {"finished_at_ms": (now_s - days_ago * 86_400) * 1000, "files": []}
        (recording.folder / "finished.json").write_text(json.dumps(finished))
    shelf.open("rm_1", 3)
    assert shelf.delete_older(0, now_s) == []
    assert [r.folder.name for r in shelf.delete_older(30, now_s)] == ["1"]
    assert [r.folder.name for r in shelf.of_room("rm_1")] == ["3", "2"]


# -- a running media app


class Recorded(MediaServer):
    """A media app whose rooms' shows are what the test says."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.show: ShowNow | None = ShowNow(True, False, False, STARTED_MS)
        self.recordings: Recordings = self.app.state.recordings
        self.recordings.show_now = self._show_now
        self.recordings._floor_bytes = 0

    async def _show_now(self, _: str) -> ShowNow | None:
        return self.show

    def recording(self) -> Recording:
        found = self.recordings.shelf.find("rm_1", str(STARTED_MS))
        assert found is not None
        return found


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Recorded]:
    server = Recorded(tmp_path)
    stop = asyncio.Event()
    async with server.running():
        running = asyncio.create_task(server.recordings.run(stop))
        yield server
        stop.set()
        await running


async def test_a_show_is_recorded_from_its_first_picture_to_its_end_and_becomes_a_film(
    server: Recorded,
) -> None:
    async with publisher(server, codec="H264"):
        await wait_until(lambda: server.recordings.written_bytes > 4000, 20)
        assert server.recordings.state("rm_1") == "on"
    server.show = ShowNow(False, False, True, STARTED_MS)
    await wait_until(lambda: server.recording().is_finished, 20)
    assert server.recordings.state("rm_1") == "off"
    assert examine(server.recording().folder / "show-1.mp4").pictures > 30


async def test_a_rehearsal_is_not_recorded(server: Recorded) -> None:
    server.show = ShowNow(True, True, False, STARTED_MS)
    async with publisher(server, codec="H264"):
        await wait_until(lambda: server.sessions.is_on_air("rm_1"))
        await server.recordings.look()
    assert server.recordings.shelf.all() == []


async def test_recording_stops_before_the_disk_is_full_and_goes_on_when_there_is_space(
    server: Recorded,
) -> None:
    async with publisher(server, codec="H264"):
        await wait_until(lambda: server.recordings.written_bytes > 0, 20)
        server.recordings._floor_bytes = 1 << 60
        await wait_until(lambda: server.recordings.state("rm_1") == "no_space", 20)
        size = server.recording().size()
        await server.recordings.look()
        assert server.recording().size() == size
        assert server.sessions.stream("rm_1").is_publishing, "the show goes on"
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"{server.url}/metrics")).text
        assert 'flashroom_media_recordings{state="no_space"} 1.0' in text
        server.recordings._floor_bytes = 0
        await wait_until(lambda: server.recordings.state("rm_1") == "on", 20)
        await wait_until(lambda: len(server.recording().parts()) == 2, 20)


async def test_a_disk_that_fails_ends_the_recording_and_not_the_show(server: Recorded) -> None:
    async with publisher(server, codec="H264"):
        await wait_until(lambda: server.recordings.written_bytes > 0, 20)
        [running] = server.recordings._running.values()
        assert running.recorder._file is not None
        running.recorder._file.close()
        running.recorder._file = Path("/dev/full").open("wb")  # noqa: ASYNC230, SIM115
        await wait_until(lambda: server.recordings.failures > 0, 20)
        assert server.sessions.stream("rm_1").is_publishing
        await wait_until(lambda: len(server.recording().parts()) == 2, 20)


async def test_who_may_see_and_have_what(server: Recorded) -> None:
    folder = server.recordings.shelf.open("rm_1", STARTED_MS).folder
    film = bytes(range(256)) * 40
    (folder / "show-1.mp4").write_bytes(film)
    files = [{"name": "show-1.mp4", "duration_s": 1.0, "size_bytes": len(film), "spans": []}]
    (folder / "finished.json").write_text(
        json.dumps({"finished_at_ms": int(time.time() * 1000), "files": files})
    )
    server.recordings.shelf.open("rm_1", STARTED_MS + 1)
    owner, viewer = server.token("recordings"), server.token("replay")
    address = f"/recordings/rm_1/{STARTED_MS}"
    async with httpx.AsyncClient(base_url=server.url) as http:

        async def listed(token: str) -> list[dict[str, Any]]:
            answer = await http.get("/recordings/rm_1", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 200
            found: list[dict[str, Any]] = answer.json()["recordings"]
            return found

        assert [r["state"] for r in await listed(owner)] == ["unfinished", "finished"]
        [shown] = await listed(viewer)
        url = shown["files"][0]["url"]
        for bad in ("", "nonsense", server.token("whep"), server.token("recordings", "rm_2")):
            assert (await http.get(url, params={"token": bad})).status_code == 401
        part = await http.get(url, params={"token": viewer}, headers={"Range": "bytes=256-511"})
        assert (part.status_code, part.content) == (206, film[256:512])
        saved = await http.get(url, params={"token": owner, "download": "1"})
        assert "attachment" in saved.headers["content-disposition"]
        assert saved.content == film
        for name in ("finished.json", "part-1-0001.mp4", "..%2Ffinished.json", "show-1.vtt"):
            assert (await http.get(f"{address}/{name}", params={"token": owner})).status_code == 404
        assert shown["files"][0]["captions_url"] is None, "nobody wrote down what was said"
        line = {"text": "hello", "language": None, "at_ms": STARTED_MS}
        show_captions.CaptionLog(folder).append([("1-0", line)], STARTED_MS)
        [shown] = await listed(viewer)
        track = shown["files"][0]["captions_url"]
        assert (await http.get(track)).status_code == 401
        assert (await http.get(track, params={"token": viewer})).status_code == 200
        assert (await http.get(f"{address}/show-2.vtt", params={"token": owner})).status_code == 404
        now_ms = int(time.time() * 1000)
        without = tokens.replay_token(server.settings.key("media"), "rm_1", "gu_1", now_ms, [STARTED_MS])
        [hidden] = await listed(without)
        assert (hidden["recording_id"], hidden["state"], hidden["files"]) == (str(STARTED_MS), "hidden", [])
        for name in ("show-1.mp4", "show-1.vtt", "events.json"):
            refused = await http.get(f"{address}/{name}", params={"token": without})
            assert (refused.status_code, refused.json()["code"]) == (403, "hidden")
        deleted: list[tuple[str, int]] = []

        async def hear(room_id: str, started_at_ms: int) -> None:
            deleted.append((room_id, started_at_ms))

        server.recordings.on_deleted = hear
        assert (await http.delete(address, params={"token": viewer})).status_code == 403
        assert (await http.delete(address, params={"token": owner})).status_code == 204
        assert not folder.exists()
        assert deleted == [("rm_1", STARTED_MS)]


# -- a real process, killed


class MediaProcess:
    """`flashroom media` with a Redis, as an operator runs it."""

    def __init__(self, show: Show) -> None:
        self.show = show
        self.url = show.media_url
        self.key = Settings.read(show.environment).key("media")

    def token(self, audience: tokens.Audience, room_id: str = "rm_1", subject: str = "us_1") -> str:
        now_ms = int(time.time() * 1000)
        return tokens.sign(self.key, tokens.MediaToken(audience, room_id, subject, now_ms + 600_000))

    async def say(self, status: str, version: int) -> None:
        broker = await Broker.connect(self.show.redis_url)
        room = {"status": status, "rehearsal": False, "started_at_ms": STARTED_MS}
        at_ms = int(time.time() * 1000)
        for number in (1, 2):
            comment = {
                "id": f"{status}{number}",
                "viewer_id": "gu_1",
                "name": "Ann",
                "text": "hi",
                "at_ms": at_ms,
            }
            await broker.publish("rm_1", events=[("comment", comment)])
            line = {"text": f"{status} {number}", "language": None, "at_ms": at_ms + number}
            await show_captions.put(broker.redis, "rm_1", line)
        await broker.publish("rm_1", events=[("comment_deleted", {"id": f"{status}2"})])
        await broker.publish("rm_1", values={"room": (version, room)})
        await broker.aclose()


async def test_kill_9_loses_a_few_seconds_and_the_next_process_makes_the_film(tmp_path: Path) -> None:
    with Show(tmp_path, roles=("media",)) as show:
        process: Any = MediaProcess(show)
        await process.say("live", 1)
        shelf = Shelf(tmp_path / "recordings")
        async with publisher(process, codec="H264"):
            began_s = time.monotonic()

            def recorded() -> int:
                found = shelf.find("rm_1", str(STARTED_MS))
                return found.size() if found is not None else 0

            await wait_until(lambda: recorded() > 12_000, 40)
            shown_s = time.monotonic() - began_s
            show.signal("media", signal.SIGKILL)
            show.processes["media"].wait(10)
        recording = shelf.find("rm_1", str(STARTED_MS))
        assert recording is not None
        assert [path.name[-8:] for path in recording.parts()] == ["0001.mp4"]
        await asyncio.to_thread(show.start, "media")
        await asyncio.to_thread(show.wait_until_ready)
        async with publisher(process, codec="H264"):
            await wait_until(lambda: len(recording.parts()) == 2, 20)
            first = recording.parts()[1].stat().st_size
            await wait_until(lambda: recording.parts()[1].stat().st_size > first + 4000, 20)
        await process.say("ended", 2)
        await wait_until(lambda: recording.is_finished, 30)
        [file] = recording.finished()["files"]
        lost_s = shown_s - file["spans"][1]["at_s"]
        assert lost_s < 5, f"{shown_s:.1f} s were shown before the kill, {lost_s:.1f} s of it are lost"
        film = examine(recording.folder / file["name"])
        assert abs(film.duration_s - file["duration_s"]) < 0.5
        assert film.pictures > 25 * file["duration_s"] * 0.8
        async with httpx.AsyncClient(base_url=show.media_url) as http:
            viewer = {"Authorization": f"Bearer {process.token('replay')}"}
            answer = await http.get("/recordings/rm_1", headers=viewer)
            assert answer.json()["recordings"][0]["files"][0]["spans"] == file["spans"]
            answer = await http.get(
                f"/recordings/rm_1/{STARTED_MS}/events.json", params={"token": process.token("replay")}
            )
            events = answer.json()["events"]
            assert [event["data"]["id"] for event in events] == ["live1", "ended1"], (
                "deleted ones are left out"
            )
            assert "viewer_id" not in events[0]["data"]
            kept = (recording.folder / show_captions.CAPTIONS).read_text().splitlines()
            assert [json.loads(line)["text"] for line in kept] == ["live 1", "live 2", "ended 1", "ended 2"]
            [listed] = (await http.get("/recordings/rm_1", headers=viewer)).json()["recordings"]
            track = await http.get(
                listed["files"][0]["captions_url"], params={"token": process.token("replay")}
            )
            assert track.headers["content-type"].startswith("text/vtt")
            assert track.text.startswith("WEBVTT")


def test_a_film_is_made_by_one_process_and_not_while_another_still_writes(tmp_path: Path) -> None:
    recording = Shelf(tmp_path).open("rm_1", STARTED_MS)
    command = [sys.executable, "-m", "live.media.finish", str(recording.folder), "0"]
    with recording.lock(alone=False), recording.lock(alone=False):  # a show that moved: two have written
        assert subprocess.run(command, check=False).returncode == BUSY
    with recording.lock(alone=True), pytest.raises(BlockingIOError):
        recording.lock(alone=False)


async def test_a_process_that_stops_does_not_wait_for_a_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Recorded(tmp_path)
    host = Host()
    host.report()
    recorder = record(host, server.recordings.shelf)
    host.show(3)
    write(recorder)
    recorder.close()
    endless = tmp_path / "endless"
    endless.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    endless.chmod(0o700)
    monkeypatch.setattr("live.media.recorder.sys.executable", str(endless))
    server.show = ShowNow(False, False, True, STARTED_MS)
    stop = asyncio.Event()
    running = asyncio.create_task(server.recordings.run(stop))
    await wait_until((tmp_path / "pid").exists, 20)
    stop.set()
    await asyncio.wait_for(running, 20)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert server.recording().parts(), "the next process makes it"
