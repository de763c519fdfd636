"""`flashroom dev`, which is `make run`: from a folder with a virtual environment to a running show, with its links."""

from __future__ import annotations

import asyncio
import http.client
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from honcho.environ import parse_procfile

from live import pages_build, processes, redis_server
from live.processes import CannotStart
from live.settings import Settings
from live.show_manager import ShowManager

ROOT: Final = Path(__file__).parent.parent
READY_WITHIN_S: Final = 60.0
SPARE_WITHIN_S: Final = 10.0
PROBE_TIMEOUT_S: Final = 1.0
WITHOUT_TABLES: Final = ("redis", "hub", "media")
"""These start while the tables are still being made; the others need them."""
SPARE: Final = ("media", "ghosts")
"""The show goes on without these: planes fail apart (DESIGN.md section 1)."""
LATER: Final = ("ghosts",)
"""These come when the show is on, so that nobody waits for them."""


def run(settings: Settings) -> int:
    """Bring the show up and stay until Ctrl-C. Raises CannotStart in words that say what to do."""
    if settings.is_production:
        raise CannotStart(
            "FLASHROOM_ENV is production. Run the processes of the Procfile under a supervisor of your own there; this is for development."
        )
    stop = _Stop()
    started_s = time.monotonic()
    say(f"Flashroom: bringing up the show. Data lies in {_short(settings.data_dir)}.")
    check_ports(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    if pages_build.build_if_needed(say):
        say("the pages are built")
    manager = ShowManager(settings.data_dir / "logs", say)
    commands = procfile(settings)
    environment = processes.environment_for_children(processes.must_not_outlive_us())
    try:
        say(f"starting {', '.join(commands)}")

        def start(names: list[str]) -> None:
            for name in names:
                manager.start(name, commands[name], environment, ROOT)

        start([name for name in commands if name in WITHOUT_TABLES])
        prepare(settings)
        start([name for name in commands if name not in (*WITHOUT_TABLES, *LATER)])
        if not wait_until_ready(settings, manager, stop, list(commands)):
            return 0
        start([name for name in commands if name in LATER])
        say(links(settings, time.monotonic() - started_s))
        while not stop.asked.is_set():
            manager.handle_events(0.2)
            _give_up_when_hopeless(manager)
        return 0
    finally:
        say("stopping")
        manager.stop(hurry=lambda: stop.times > 1)
        say(f"stopped. Data stays in {_short(settings.data_dir)}; `make reset` forgets it.")


class _Stop:
    """Ctrl-C or SIGTERM once: stop in order. A second time: at once."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.times = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, *_: object) -> None:
        self.times += 1
        self.asked.set()


def say(text: str) -> None:
    """Tell the person at the terminal; nothing happens when nobody reads any more."""
    try:
        print(text, flush=True)
    except (BrokenPipeError, ValueError):
        sys.stdout = sys.stderr


def check_ports(settings: Settings) -> None:
    """Raise CannotStart when a port of the show is taken, with the setting that moves it."""
    wanted = [
        ("web", settings.host, settings.web_port, "FLASHROOM_WEB_PORT"),
        ("hub", settings.host, settings.hub_port, "FLASHROOM_HUB_PORT"),
        *(("media", settings.host, port, "FLASHROOM_MEDIA_PORT") for port in settings.media_ports),
    ]
    if settings.worker_port:
        wanted.append(("worker", settings.host, settings.worker_port, "FLASHROOM_WORKER_PORT"))
    if redis_server.is_ours_to_run(settings.redis_url):
        redis_server.find_redis_server()
        wanted.append(("redis", *processes.redis_address(settings.redis_url), "FLASHROOM_REDIS_URL"))
    taken = [entry for entry in wanted if not processes.port_is_free(entry[1], entry[2])]
    if not taken:
        return
    lines = [
        f"Port {port} is taken, so {name} can't start: set {setting} to another"
        + (f" (redis://127.0.0.1:{port + 1}/0)." if name == "redis" else f" ({setting}={port + 10}).")
        for name, _, port, setting in taken
    ]
    if len(taken) > 1:
        lines.append("Perhaps a show is running already: stop it with Ctrl-C in its terminal.")
    raise CannotStart("\n".join(lines))


def procfile(settings: Settings) -> dict[str, str]:
    """The processes to run, by name: the Procfile's, less those that have nothing to do here."""
    commands = dict(parse_procfile((ROOT / "Procfile").read_text()).processes)
    if not redis_server.is_ours_to_run(settings.redis_url):
        commands.pop("redis", None)
    if not settings.ghosts:
        commands.pop("ghosts", None)
    return commands


def prepare(settings: Settings) -> None:
    """Tables and sample show, while Redis and the hub are starting."""
    from live import tasks

    say("bringing the tables up to date")
    tasks.migrate(settings)
    say("putting the sample show in place")
    tasks.seed(settings)


def wait_until_ready(settings: Settings, manager: ShowManager, stop: _Stop, names: list[str]) -> bool:
    """True when web, hub and worker are at work, False when told to stop; raises CannotStart when that takes too long."""
    began_ms = time.time() * 1000
    checks: dict[str, Callable[[], bool]] = {
        "hub": lambda: _answers(settings.host, settings.hub_port),
        "web": lambda: _answers(settings.host, settings.web_port),
        "media": lambda: _answers(settings.host, settings.media_port, "/healthz"),
        "worker": lambda: _has_beaten(settings.redis_url, "worker", began_ms),
    }
    waiting = [name for name in checks if name in names]
    until_s = time.monotonic() + READY_WITHIN_S
    while waiting:
        manager.handle_events(0.1)
        if stop.asked.is_set():
            return False
        _give_up_when_hopeless(manager)
        for name in [name for name in waiting if checks[name]()]:
            waiting.remove(name)
            say(f"{name} is ready")
        if (
            waiting
            and not set(waiting) - set(SPARE)
            and time.monotonic() > until_s - READY_WITHIN_S + SPARE_WITHIN_S
        ):
            say(f"going on without {', '.join(waiting)} for now")
            return True
        if waiting and time.monotonic() > until_s:
            tails = "\n".join(f"  {name}: {manager.log_path(name)}\n{manager.tail(name)}" for name in waiting)
            raise CannotStart(f"Not ready within {READY_WITHIN_S:.0f} s: {', '.join(waiting)}.\n{tails}")
    return True


def _give_up_when_hopeless(manager: ShowManager) -> None:
    name = manager.hopeless(SPARE)
    if name is not None:
        raise CannotStart(
            f"{name} does not stay alive, so the show was stopped. Its log: {manager.log_path(name)}\n{manager.tail(name)}"
        )


def links(settings: Settings, seconds: float) -> str:
    """What a person wants to know once the show is up."""
    from live.seed import PASSWORD_FILE, ROOM_ID, read_sign_in

    sign_in = read_sign_in(settings.data_dir / PASSWORD_FILE)
    email, password = sign_in or ("host@flashroom.local", f"see {PASSWORD_FILE}")
    return f"""
The show is on, {seconds:.1f} s after its start.

  Watch and buy    {settings.web_url}/r/{ROOM_ID}
  Host's console   {settings.web_url}/console
                   e-mail    {email}
                   password  {password}

  Data             {_short(settings.data_dir)}    logs in {_short(settings.data_dir / "logs")}
  Stop             Ctrl-C. Data stays; `make reset` starts anew.
"""


def _answers(host: str, port: int, path: str = "/readyz") -> bool:
    connection = http.client.HTTPConnection(
        "127.0.0.1" if host in ("0.0.0.0", "::") else host, port, timeout=PROBE_TIMEOUT_S
    )
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _has_beaten(redis_url: str, role: str, since_ms: float) -> bool:
    from redis.exceptions import RedisError

    from realtime.broker import connect_redis

    async def read() -> Any:
        redis = connect_redis(redis_url)
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                return await redis.get(processes.heartbeat_key(role))
        finally:
            await redis.aclose()

    try:
        raw = asyncio.run(read())
    except (RedisError, OSError):
        return False
    return isinstance(raw, bytes) and int(raw.split()[1]) >= since_ms


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
