"""A whole show as real processes on free ports with a folder of its own: for browser tests, chaos and screenshots.

    with Show(folder, hub_processes=2) as show:
        httpx.get(show.web_url + "/readyz")
        show.kill("worker"); show.start("worker")

Every process is started from the same command line an operator uses (`flashroom ROLE`). Stops what it started, and only that.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Self

import httpx

from loadtests.ports import free_ports

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0


class Show:
    """Processes of one show. `roles` are started in order; `redis` first and `migrate` before the rest are implied."""

    def __init__(
        self,
        folder: Path,
        *,
        hub_processes: int = 1,
        roles: tuple[str, ...] = ("web", "hub", "worker"),
        ghosts: int = 0,
        environment: dict[str, str] | None = None,
    ) -> None:
        redis, web, hub, media = free_ports(4)
        self.folder = folder
        self.roles = roles
        self.hub_processes = hub_processes
        self.redis_url = f"redis://127.0.0.1:{redis}/0"
        self.web_url = f"http://127.0.0.1:{web}"
        self.hub_url = f"ws://127.0.0.1:{hub}/v1"
        self.media_url = f"http://127.0.0.1:{media}"
        self.environment = {
            **os.environ,
            "FLASHROOM_ENV": "development",
            "FLASHROOM_DATA_DIR": str(folder),
            "FLASHROOM_REDIS_URL": self.redis_url,
            "FLASHROOM_WEB_PORT": str(web),
            "FLASHROOM_HUB_PORT": str(hub),
            "FLASHROOM_MEDIA_PORT": str(media),
            "FLASHROOM_HUB_PROCESSES": "1",  # one operating-system process per entry in `processes`
            "FLASHROOM_GHOSTS": str(ghosts),
            **(environment or {}),
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: dict[str, IO[bytes]] = {}

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self.start("redis")
            self.run("migrate")
            self.run("seed")
            for role in self.roles:
                if role == "hub":
                    for number in range(self.hub_processes):
                        self.start(f"hub.{number}")
                else:
                    self.start(role)
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def log_path(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def start(self, name: str) -> None:
        """Start (again) the process `name`: a role, or `hub.N`. Its output goes to `NAME.log` in the folder."""
        log = self._logs.get(name)
        if log is None:
            log = self._logs[name] = self.log_path(name).open("ab")
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-m", "live.cli", name.split(".")[0]],
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if name == "redis":
            self._wait("redis answers", self._redis_answers)

    def run(self, *arguments: str) -> str:
        """Run a command of `flashroom` to its end and give its output; raises CalledProcessError with it on failure."""
        done = subprocess.run(
            [sys.executable, "-m", "live.cli", *arguments],
            env=self.environment,
            check=False,
            capture_output=True,
            timeout=READY_TIMEOUT_S,
        )
        output = (done.stdout + done.stderr).decode()
        if done.returncode:
            raise RuntimeError(f"flashroom {' '.join(arguments)} ended with {done.returncode}:\n{output}")
        return output

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process and all it started."""
        process = self.processes[name]
        if process.poll() is None:
            os.killpg(process.pid, number)

    def kill(self, name: str) -> None:
        """kill -9, and wait until it is gone."""
        self.signal(name, signal.SIGKILL)
        self.processes[name].wait(STOP_TIMEOUT_S)

    def stop(self) -> None:
        """SIGTERM to all, Redis last; SIGKILL to what has not gone within the bound."""
        for name in [*(n for n in self.processes if n != "redis"), "redis"]:
            process = self.processes.get(name)
            if process is None:
                continue
            self.signal(name, signal.SIGCONT)
            self.signal(name, signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill(name)
        for log in self._logs.values():
            log.close()

    def wait_until_ready(self) -> None:
        """Until web and hub answer /readyz; raises TimeoutError with the tail of the logs."""
        urls = {"web": self.web_url, "hub": self.hub_url.replace("ws://", "http://").removesuffix("/v1")}
        urls["media"] = self.media_url
        for role in self.roles:
            if role in urls:
                self._wait(f"{role} is ready", lambda url=urls[role]: _answers(f"{url}/readyz"))

    def _redis_answers(self) -> bool:
        port = int(self.redis_url.rsplit(":", 1)[1].split("/")[0])
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def _wait(self, what: str, holds: Callable[[], bool]) -> None:
        until = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < until:
            if holds():
                return
            for name, process in self.processes.items():
                if process.poll() not in (None, 0):
                    raise RuntimeError(
                        f"{name} ended with {process.returncode} while waiting: {what}\n{self.tails()}"
                    )
            time.sleep(0.05)
        raise TimeoutError(f"not within {READY_TIMEOUT_S} s: {what}\n{self.tails()}")

    def tails(self) -> str:
        """The last lines of every process, for a failing test's message."""
        parts = []
        for name in self.processes:
            text = self.log_path(name).read_text(errors="replace")[-2000:]
            parts.append(f"--- {name}\n{text}")
        return "\n".join(parts)

    def host_sign_in(self) -> tuple[str, str]:
        """E-mail and password of the demo host."""
        lines = (self.folder / "demo-host.txt").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        return fields.get("email", "host@flashroom.local").strip(), fields["password"].strip()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
