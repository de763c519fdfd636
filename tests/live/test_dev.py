"""`flashroom dev`, end to end: it says its links, survives a crash, stops in order, and leaves nobody behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from loadtests.show import free_ports
from tests.services import wait_until_sync

READY_WITHIN_S = 240.0
STOP_WITHIN_S = 90.0


class Dev:
    """`flashroom dev` in a folder of its own, with what it says."""

    def __init__(self, folder: Path) -> None:
        redis, web, hub, media = free_ports(4)
        self.web, self.hub = web, hub
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FLASHROOM_")},
            "FLASHROOM_DATA_DIR": str(folder),
            "FLASHROOM_REDIS_URL": f"redis://127.0.0.1:{redis}/0",
            "FLASHROOM_WEB_PORT": str(web),
            "FLASHROOM_HUB_PORT": str(hub),
            "FLASHROOM_MEDIA_PORT": str(media),
            "FLASHROOM_GHOSTS": "2",
            "PYTHONUNBUFFERED": "1",
        }
        self.said = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self.said = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "live.cli", "dev"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self.reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.said += line

    def wait_for(self, pattern: str, timeout_s: float = READY_WITHIN_S) -> re.Match[str]:
        def holds() -> bool:
            assert self.process is not None
            found = re.search(pattern, self.said)
            assert found or self.process.poll() is None, f"dev ended: {self.said}"
            return found is not None

        wait_until_sync(holds, timeout_s, f"{pattern!r} in:\n{self.said}")
        found = re.search(pattern, self.said)
        assert found is not None
        return found

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(STOP_WITHIN_S)
        self.reader.join(5)
        return code

    def ours(self) -> list[int]:
        """Every living process that was started with this folder in its environment or arguments."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                known = (entry / "environ").read_bytes()
                dead = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
            except OSError:
                continue
            if str(self.folder).encode() in known and not dead:
                found.append(int(entry.name))
        return found


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    made = Dev(tmp_path / "data")
    yield made
    for pid in made.ours():
        os.kill(pid, signal.SIGKILL)


def test_from_nothing_to_links_through_a_crash_to_an_orderly_end_and_again(dev: Dev) -> None:
    dev.start()
    dev.wait_for("The show is on")
    assert f"http://127.0.0.1:{dev.web}/r/rm_demo" in dev.said
    assert f"http://127.0.0.1:{dev.web}/console" in dev.said
    email = dev.wait_for(r"e-mail +(\S+)")[1]
    password = dev.wait_for(r"password +(\S+)")[1]
    assert "Ctrl-C" in dev.said
    signed_in = httpx.post(
        f"http://127.0.0.1:{dev.web}/api/sessions",
        json={"email": email, "password": password},
        headers={"Idempotency-Key": "a-test-signs-in"},
    )
    assert signed_in.status_code == 201
    assert httpx.get(f"http://127.0.0.1:{dev.web}/r/rm_demo").status_code == 200

    worker = next(pid for pid in dev.ours() if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(worker, signal.SIGKILL)
    dev.wait_for("worker ended by signal 9; it is started again")

    assert dev.stop() == 0
    assert "Traceback" not in dev.said
    assert "stopped. Data stays" in dev.said
    assert dev.ours() == []
    assert (dev.folder / "redis" / "appendonly.aof").stat().st_size > 0

    dev.start()
    dev.wait_for("The show is on")
    assert dev.wait_for(r"password +(\S+)")[1] == password, "the same show as before"
    assert dev.stop(signal.SIGTERM) == 0
    assert dev.ours() == []


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_killing_dev_leaves_nobody_behind(dev: Dev) -> None:
    dev.start()
    dev.wait_for("starting redis")
    wait_until_sync(lambda: len(dev.ours()) >= 3, 30, "some processes")
    assert dev.process is not None
    dev.process.kill()
    dev.process.wait()
    wait_until_sync(lambda: dev.ours() == [], STOP_WITHIN_S, "everybody to be gone")


def test_ctrl_c_before_it_is_ready_stops_it_too(dev: Dev) -> None:
    dev.start()
    dev.wait_for("starting redis")
    assert dev.stop() == 0
    assert "Traceback" not in dev.said
    assert dev.ours() == []
