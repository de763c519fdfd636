"""Several media processes: each room is carried by one of them, and everybody finds it there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from live.media import places, tokens
from live.media.places import Place, Places
from live.processes import port_is_free
from live.settings import Settings, SettingsError
from realtime.broker import connect_redis
from tests.live.media.peers import KEY_SECRET, MediaServer, publisher, watcher
from tests.live.media.test_app import offer
from tests.services import free_port, wait_until


@pytest.fixture
async def registry(redis_url: str) -> AsyncIterator[Places]:
    redis = connect_redis(redis_url)
    await redis.delete(*places._KEYS)
    yield Places(redis)
    await redis.aclose()


def place(name: str, *, viewers: int = 0) -> Place:
    return Place(name, 8002, None, f"http://{name}", viewers, 500)


def new_room() -> str:
    return f"rm_{uuid.uuid4().hex}"


async def test_a_room_has_one_carrier_until_its_lease_is_over_and_then_a_higher_fence(
    registry: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        assert await registry.beat(place(name), 0, {}) == []
    owner, fence, _ = await registry.claim("one", "rm_1")
    assert owner == "one"
    assert (await registry.claim("two", "rm_1"))[:2] == ("one", fence), "it is taken"

    monkeypatch.setattr(places, "TIMEOUT_MS", 20)
    assert await registry.beat(place("one"), 0, {"rm_1": fence}) == []

    async def another_has_it() -> bool:
        return (await registry.claim("two", "rm_1"))[0] == "two"

    await wait_until(another_has_it, 5, "the lease to run out")
    monkeypatch.undo()
    await registry.beat(place("two"), 0, {})
    owner, higher, _ = await registry.claim("two", "rm_1")
    assert (owner, higher > fence) == ("two", True)
    assert await registry.beat(place("one"), 0, {"rm_1": fence}) == ["rm_1"], "who was frozen must let go"
    assert await registry.beat(place("two"), 0, {"rm_1": higher}) == []


async def test_a_lease_that_ran_out_is_renewed_where_nobody_took_it(registry: Places) -> None:
    await registry.beat(place("one"), 0, {})
    _, fence, _ = await registry.claim("one", "rm_1")
    redis = connect_redis_of(registry)
    await redis.delete(*places._KEYS)  # a Redis that forgot everything is no different
    assert await registry.beat(place("one"), 0, {"rm_1": fence}) == []
    assert (await registry.claim("two", "rm_1"))[:2] == ("one", fence)
    assert (await registry.claim("two", "rm_2"))[1] > fence, "fences go on growing"


def connect_redis_of(registry: Places) -> object:
    return registry._beat.registered_client


async def test_a_room_goes_to_the_least_loaded_where_the_difference_is_clear(registry: Places) -> None:
    await registry.beat(place("busy"), 100, {})
    await registry.beat(place("idle"), 3, {})
    assert (await registry.find("rm_1")).for_publisher == place("idle")
    assert (await registry.claim("busy", "rm_1"))[0] == "idle"
    await registry.beat(place("idle"), 90, {})
    assert (await registry.claim("busy", "rm_2"))[0] == "busy", "not worth a redirect"


async def test_viewers_are_sent_to_the_carrier_while_it_has_space(registry: Places) -> None:
    await registry.beat(place("idle"), 0, {})
    await registry.beat(place("owner"), 10, {})
    _, fence, _ = await registry.claim("owner", "rm_1")
    assert (await registry.find("rm_1")).for_viewer == place("owner")
    await registry.beat(place("owner", viewers=500), 510, {"rm_1": fence})
    await registry.find("rm_2")
    fresh = await Places(registry._beat.registered_client).find("rm_1")
    assert fresh.for_viewer == place("idle")
    assert fresh.for_publisher == place("owner", viewers=500)


async def test_a_process_that_is_started_again_does_not_wait_for_its_own_lease(registry: Places) -> None:
    await registry.beat(place("one"), 0, {})
    await registry.claim("one", "rm_1")
    again = Place("again", 8002, None, place("one").peer_url, 0, 500)
    await registry.beat(again, 0, {}, is_first=True)
    assert (await registry.claim("again", "rm_1"))[0] == "again"
    assert (await registry.find("rm_1")).places == (again,)


async def test_who_leaves_gives_its_rooms_away_at_once(registry: Places) -> None:
    await registry.beat(place("one"), 0, {})
    await registry.beat(place("two"), 0, {})
    _, fence, _ = await registry.claim("one", "rm_1")
    await registry.release("one", {"rm_1": fence + 1}, ends=False)
    assert (await registry.claim("two", "rm_1"))[0] == "one", "another fence lets nothing go"
    await registry.release("one", {"rm_1": fence}, ends=True)
    assert (await registry.claim("two", "rm_1"))[0] == "two"
    assert [p.process_id for p in (await registry.find("rm_1")).places] == ["two"]


async def two_processes(stack: AsyncExitStack, folder: Path, redis_url: str) -> list[MediaServer]:
    servers = []
    for number in range(2):
        server = MediaServer(folder / str(number), redis_url=redis_url)
        servers.append(await stack.enter_async_context(server.running()))
        await wait_until(lambda: servers[-1].carrier.is_known, 10, "Redis")
    return servers


async def test_a_publisher_at_the_wrong_process_is_led_to_the_right_one_and_may_end_there(
    registry: Places, redis_url: str, tmp_path: Path
) -> None:
    room_id = new_room()
    async with AsyncExitStack() as stack:
        one, two = await two_processes(stack, tmp_path, redis_url)
        async with publisher(one, room_id=room_id):
            await wait_until(lambda: one.sessions.is_on_air(room_id))
            token = two.token("whip", room_id)
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
            async with httpx.AsyncClient() as http:
                answer = await http.post(f"{two.url}/whip/{room_id}", content=await offer(), headers=headers)
            assert answer.status_code == 307
            assert answer.headers["location"].startswith(f"{one.url}/whip/{room_id}?ticket=")
            assert answer.headers["access-control-allow-origin"] == "*"
            async with publisher(two, room_id=room_id) as again:  # another device of the same host
                assert again.address.startswith(one.url)
                [session] = [s for s in one.sessions.by_id.values() if s.is_publisher]
                assert session.session_id in again.address, "httpx, like browsers, kept its token to itself"
                assert await again.end() == 200
        assert two.sessions.by_id == {}


async def test_a_process_that_lost_a_room_ends_its_publisher_and_says_nothing_more(
    registry: Places, redis_url: str, tmp_path: Path
) -> None:
    room_id = new_room()
    async with MediaServer(tmp_path, redis_url=redis_url).running() as server:
        await wait_until(lambda: server.carrier.is_known, 10, "Redis")
        async with publisher(server, room_id=room_id):
            await wait_until(lambda: server.sessions.is_on_air(room_id))
            redis = registry._beat.registered_client
            await registry.beat(place("other"), 0, {})
            await redis.hset(places._KEYS[4], room_id, "other 999999")  # as if we had been frozen
            await wait_until(lambda: server.carrier.lost == 1, 5, "the loss to be noticed")
            await wait_until(lambda: not server.sessions.by_id, 5, "the publisher's session to end")
            assert not server.sessions.is_on_air(room_id)


@contextmanager
def media_processes(folder: Path, redis_url: str, first_port: int) -> Iterator[None]:
    environment = {
        **os.environ,
        "FLASHROOM_DATA_DIR": str(folder),
        "FLASHROOM_SECRET": KEY_SECRET,
        "FLASHROOM_REDIS_URL": redis_url,
        "FLASHROOM_MEDIA_PORT": str(first_port),
        "FLASHROOM_MEDIA_PROCESSES": "2",
        "FLASHROOM_RECORDINGS": "off",
    }
    command = [sys.executable, "-m", "live.cli", "media"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(15)


def two_free_ports() -> int:
    """The first of two ports that follow each other."""
    while True:
        first = free_port()
        try:
            Settings.read({"FLASHROOM_MEDIA_PORT": str(first), "FLASHROOM_MEDIA_PROCESSES": "2"})
        except SettingsError:
            continue
        if port_is_free("127.0.0.1", first + 1):
            return first


class Door:
    """Where `web` would send somebody."""

    def __init__(self, registry: Places, key: bytes) -> None:
        self.url = ""
        self._registry, self._key = registry, key

    async def look(self, room_id: str) -> Place:
        found = (await self._registry.find(room_id)).for_publisher
        assert found is not None
        self.url = found.url("127.0.0.1")
        return found

    def token(self, audience: tokens.Audience, room_id: str, subject: str) -> str:
        return tokens.sign(self._key, tokens.MediaToken(audience, room_id, subject, 1 << 60))


async def test_a_killed_process_gives_its_rooms_to_another_and_video_goes_on_there(
    registry: Places, redis_url: str, tmp_path: Path
) -> None:
    room_id, first_port = new_room(), two_free_ports()
    with media_processes(tmp_path, redis_url, first_port):
        await wait_until(lambda: has_processes(registry, 2), 30, "two processes on two ports")
        settings = Settings.read({"FLASHROOM_SECRET": KEY_SECRET, "FLASHROOM_DATA_DIR": str(tmp_path)})
        door = Door(registry, settings.key("media"))
        before = await door.look(room_id)
        async with publisher(door, room_id=room_id):
            os.kill(listener_of(before.port), signal.SIGKILL)
        await wait_until(
            lambda: publishes_again(door, room_id), 60, "a host who only tries again to be on air"
        )
        assert (await registry.find(room_id)).owner != before


async def publishes_again(door: Door, room_id: str) -> bool:
    """One try of a page: ask where, go there, and see one's picture as a viewer does."""
    try:
        await door.look(room_id)
        async with publisher(door, room_id=room_id), watcher(door, room_id=room_id) as viewer:
            await wait_until(lambda: viewer.frames >= 1, 5, "a picture")
    except (httpx.HTTPError, AssertionError):
        return False
    return True


async def has_processes(registry: Places, count: int) -> bool:
    return len((await registry.find("rm_nobody")).places) == count


def listener_of(port: int) -> int:
    """The process that listens on a port of loopback, by /proc."""
    wanted = f"0100007F:{port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    [inode] = [line[9] for line in lines if line[1] == wanted and line[3] == "0A"]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            links = [os.readlink(one) for one in (folder / "fd").iterdir()]
        except OSError:
            continue
        if f"socket:[{inode}]" in links:
            return int(folder.name)
    raise AssertionError(f"nobody listens on {port}")


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"FLASHROOM_MEDIA_PORT": "7999", "FLASHROOM_MEDIA_PROCESSES": "2"}, "takes ports from"),
        ({"FLASHROOM_MEDIA_PORT": "65535", "FLASHROOM_MEDIA_PROCESSES": "2"}, "beyond port 65535"),
        (
            {"FLASHROOM_PUBLIC_MEDIA_URL": "https://media.example", "FLASHROOM_MEDIA_PROCESSES": "2"},
            "needs {n}",
        ),
        ({"FLASHROOM_MEDIA_ORIGINS": "https://a.example;script-src"}, "which is no origin"),
    ],
)
def test_settings_that_clash_are_refused(tmp_path: Path, environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        Settings.read({"FLASHROOM_DATA_DIR": str(tmp_path), **environment})
