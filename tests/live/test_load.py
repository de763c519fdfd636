"""The load run's verdict: it must be able to fail. locust patches sockets and threads, so it runs in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

WELL = {"quota": 10, "available": 4, "held": 1, "sold": 5}
CODE = """
import json, sys
from types import SimpleNamespace
from loadtests import locustfile
environment = SimpleNamespace(process_exit_code=None, stats=SimpleNamespace(total=SimpleNamespace(num_requests=1)))
for sale in json.loads(sys.argv[1]):
    locustfile.check_sums(environment, sale)
locustfile.fail_when_oversold(environment)
sys.exit(environment.process_exit_code or 0)
"""


def verdict(*sales: dict[str, Any]) -> int:
    command = [sys.executable, "-c", CODE, json.dumps(sales)]
    return subprocess.run(command, timeout=60, check=False, capture_output=True).returncode


def sale(**stock: int) -> dict[str, Any]:
    return {"sale_id": "sl_1", "quota": 10, "stock": {**WELL, **stock}}


def test_sums_that_hold_pass() -> None:
    assert verdict(sale(), {"sale_id": "sl_2", "quota": 10, "stock": None}) == 0


@pytest.mark.parametrize(
    "stock",
    [{"sold": 6}, {"sold": 11, "available": 0, "held": 0, "quota": 11}, {"available": -1, "sold": 10}],
    ids=["a sum that does not hold", "more sold than offered", "a negative number"],
)
def test_an_oversold_sale_fails_the_run(stock: dict[str, int]) -> None:
    assert verdict(sale(), sale(**stock)) == 2
