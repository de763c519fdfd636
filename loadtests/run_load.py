"""`make load`: locust against the show that is running, with the demo host's sign-in, then the invariants in SQL.

    python -m loadtests.run_load [--ui] [--users N] [--spawn-rate N] [--run-time 30s] [--host URL]

Ends with the exit code of the first thing that failed: locust (a failed request, an oversold sale) or `flashroom doctor`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import httpx

HERE = Path(__file__).parent


def demo_password(data_folder: Path) -> str | None:
    """The demo host's password as `flashroom dev` wrote it, or None where no show was ever started."""
    try:
        lines = (data_folder / "demo-host.txt").read_text().splitlines()
    except FileNotFoundError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return fields.get("password", lines[-1] if lines else "").strip()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make load", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument("--host", default=f"http://127.0.0.1:{os.environ.get('FLASHROOM_WEB_PORT', '8000')}")
    parser.add_argument("--users", type=int, default=60)
    parser.add_argument("--spawn-rate", type=float, default=20)
    parser.add_argument("--run-time", default="45s")
    parser.add_argument(
        "--ui", action="store_true", help="locust's web page on http://127.0.0.1:8089 instead of headless"
    )
    options = parser.parse_args()
    data_folder = Path(os.environ.get("FLASHROOM_DATA_DIR", ".data"))
    password = os.environ.get("FLASHROOM_LOAD_HOST_PASSWORD") or demo_password(data_folder)
    try:
        httpx.get(f"{options.host}/readyz", timeout=5).raise_for_status()
    except httpx.HTTPError as error:
        print(f"No show answers at {options.host} ({error}). Start one with `make run` in another terminal.")
        return 1
    if not password:
        print(
            f"The demo host's password is not in {data_folder}/demo-host.txt: set FLASHROOM_LOAD_HOST_PASSWORD."
        )
        return 1
    command = [sys.executable, "-m", "locust", "-f", str(HERE / "locustfile.py"), "--host", options.host]
    if options.ui:
        command += ["--web-host", "127.0.0.1"]
    else:
        command += ["--headless", "--users", str(options.users), "--spawn-rate", str(options.spawn_rate)]
        command += ["--run-time", options.run_time, "--stop-timeout", "10", "--only-summary"]
    outcome = subprocess.run(
        command, env={**os.environ, "FLASHROOM_LOAD_HOST_PASSWORD": password}, check=False
    )
    doctor = subprocess.run([sys.executable, "-m", "live.cli", "doctor"], check=False)
    return outcome.returncode or doctor.returncode


if __name__ == "__main__":
    sys.exit(main())
