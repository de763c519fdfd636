"""Runs the Procfile through honcho, calmly: every line goes to a log file, warnings also to the terminal, and what dies is started again.

honcho's own manager ends everything when one process ends, sends the same signal to all at once, and prints every line. A show needs
Redis to go last, so that what the others write at their end is kept, and one crash must not end it.
"""

from __future__ import annotations

import logging
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any, Final

from honcho.manager import Manager
from honcho.process import Process

from live.logs import short_line

STOP_WITHIN_S: Final = 10.0
RESTART_MIN_S: Final = 0.5
RESTART_MAX_S: Final = 8.0
DEATHS_MAX: Final = 5
DEATHS_WITHIN_S: Final = 60.0
LOG_BYTES_MAX: Final = 20 * 1024 * 1024
TAIL_LINES: Final = 12
LAST: Final = "redis"


class Watched(Process):  # type: ignore[misc]  # honcho has no types
    """A honcho process that is run again after it died, until `wanted` is cleared."""

    def __init__(self, name: str, command: str, environment: Mapping[str, str], cwd: Path) -> None:
        super().__init__(command, name=name, env=dict(environment), cwd=str(cwd))
        self.wanted = threading.Event()
        self.wanted.set()
        self.thread: threading.Thread | None = None
        self.deaths: deque[float] = deque(maxlen=DEATHS_MAX)

    def keep_running(self, events: queue.Queue[Any]) -> None:
        """Run, and run again after a pause that grows with deaths in a row."""
        pause_s = RESTART_MIN_S
        while self.wanted.is_set():
            started_s = time.monotonic()
            self.run(events)
            self.deaths.append(time.monotonic())
            if time.monotonic() - started_s > DEATHS_WITHIN_S:
                pause_s = RESTART_MIN_S
            until_s = time.monotonic() + pause_s
            while self.wanted.is_set() and time.monotonic() < until_s and not self.is_hopeless:
                time.sleep(0.05)
            if self.is_hopeless:
                return
            pause_s = min(RESTART_MAX_S, pause_s * 2)

    @property
    def is_hopeless(self) -> bool:
        """Whether it died so often in a short time that starting it once more makes no sense."""
        return len(self.deaths) == DEATHS_MAX and self.deaths[-1] - self.deaths[0] < DEATHS_WITHIN_S


class ShowManager(Manager):  # type: ignore[misc]  # honcho has no types
    """Processes of the show by name. `start` each, then `watch` until told to `stop`; all from one thread."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        super().__init__()
        self.events: queue.Queue[Any] = queue.Queue()
        self._folder = folder
        self._say = say
        self._watched: dict[str, Watched] = {}
        self._files: dict[str, Any] = {}
        self._tails: dict[str, deque[str]] = {}
        self.stopping = False

    def log_path(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def start(self, name: str, command: str, environment: Mapping[str, str], cwd: Path) -> None:
        """Start a process that is kept running."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._files[name] = self.log_path(name).open("ab")
        self._tails[name] = deque(maxlen=TAIL_LINES)
        process = self._watched[name] = Watched(name, command, environment, cwd)
        self._processes[name] = {"obj": process}
        process.thread = threading.Thread(
            target=process.keep_running, args=(self.events,), name=f"process {name}", daemon=True
        )
        process.thread.start()

    def handle_events(self, wait_s: float) -> None:
        """Deal with what processes said and did, for `wait_s` at least."""
        until_s = time.monotonic() + wait_s
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                message = self.events.get(timeout=min(0.1, left_s))
            except queue.Empty:
                continue
            if message.type == "start":
                self._processes[message.name]["pid"] = message.data["pid"]
            elif message.type == "line":
                self._take_line(message.name, message.data)
            elif message.type == "stop":
                self._processes[message.name].pop("pid", None)
                self._tell_death(message.name, message.data["returncode"])

    def hopeless(self, spare: Container[str] = ()) -> str | None:
        """The name of a process that does not stay alive, or None; those in `spare` are left out."""
        watched = ((name, process) for name, process in self._watched.items() if name not in spare)
        return next((name for name, process in watched if process.is_hopeless), None)

    def tail(self, name: str) -> str:
        """The last lines a process wrote, for a person."""
        return "\n".join(f"    {line}" for line in self._tails.get(name, ()))

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """SIGTERM to all but Redis, then to Redis; SIGKILL to what has not gone within 10 s, or at once when `hurry()`."""
        self.stopping = True
        for process in self._watched.values():
            process.wanted.clear()
        self._end([name for name in self._watched if name != LAST], hurry)
        self._end([name for name in self._watched if name == LAST], hurry)
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _end(self, names: list[str], hurry: Callable[[], bool]) -> None:
        self._signal(names, signal.SIGTERM)
        until_s = time.monotonic() + STOP_WITHIN_S
        while any(self._is_alive(name) for name in names):
            self.handle_events(0.05)
            if hurry() or time.monotonic() > until_s:
                self._signal(names, signal.SIGKILL)
                until_s = time.monotonic() + STOP_WITHIN_S
        self.handle_events(0.01)

    def _is_alive(self, name: str) -> bool:
        thread = self._watched[name].thread
        return thread is not None and thread.is_alive()

    def _signal(self, names: list[str], number: signal.Signals) -> None:
        for name in names:
            pid = self._processes[name].get("pid")
            if pid is not None:
                (self._procmgr.kill if number == signal.SIGKILL else self._procmgr.terminate)(pid)

    def _take_line(self, name: str, raw: bytes | str) -> None:
        line = raw.decode(errors="replace") if isinstance(raw, bytes) else raw
        file = self._files.get(name)
        if file is not None:
            if file.tell() > LOG_BYTES_MAX:
                file = self._turn_over(name)
            file.write(line.encode())
            file.flush()
        text, level = short_line(line.rstrip(), name)
        self._tails[name].append(text)
        if level >= logging.WARNING and not self.stopping:
            self._say(f"{logging.getLevelName(level).lower()}  {text}")

    def _turn_over(self, name: str) -> Any:
        """Keep one older file, so that logs don't fill the disk."""
        self._files[name].close()
        self.log_path(name).replace(self.log_path(name).with_suffix(".log.1"))
        self._files[name] = self.log_path(name).open("ab")
        return self._files[name]

    def _tell_death(self, name: str, code: int) -> None:
        if self.stopping or not self._watched[name].wanted.is_set():
            return
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        self._say(
            f"{name} ended {how}; it is started again. Its log: {self.log_path(name)}\n{self.tail(name)}"
        )
