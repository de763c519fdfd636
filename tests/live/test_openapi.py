"""The OpenAPI document describes what is really served, and data made from it, good and bad, never breaks the server."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from commerce.clock import wall_clock_ms
from commerce.hold_tokens import HoldToken, sign
from live.api import ENDPOINTS
from live.openapi import document
from live.settings import Settings
from loadtests.show import Show
from tests.live.conftest import ADDRESS

CHECKS = ",".join(
    (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "unsupported_method",
    )
)


def test_the_document_lists_every_endpoint_with_its_roles_and_its_key() -> None:
    made = document(ENDPOINTS, "1")
    for endpoint in ENDPOINTS:
        operation = made["paths"][endpoint.path][endpoint.method.lower()]
        headers = {one["name"] for one in operation["parameters"] if one["in"] == "header"}
        assert ("Idempotency-Key" in headers) == endpoint.needs_key
        assert ("security" in operation) == (endpoint.roles is not None)
    json.dumps(made)


def test_operation_ids_are_unique() -> None:
    made = document(ENDPOINTS, "1")
    ids = [operation["operationId"] for path in made["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.slow
@pytest.mark.timeout(1_200)  # thousands of calls, one after another
def test_schemathesis_finds_no_server_error_and_no_undocumented_answer(tmp_path: Path) -> None:
    """A real web process, called as the host of the room, with a sale and a paid order that exist, so that the logic behind is reached."""
    with Show(tmp_path / "show", roles=("web",), environment={"FLASHROOM_RATE_LIMITS": "off"}) as show:
        token, sale_id, order_id = _prepare(show)
        config = tmp_path / "schemathesis.toml"
        known = {"room_id": "rm_demo", "sale_id": sale_id, "order_id": order_id, "provider": "sandbox"}
        lines = [f'"path.{name}" = "{value}"' for name, value in known.items()]
        config.write_text("\n".join(["[parameters]", *lines, ""]))
        done = subprocess.run(
            [
                *(str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(config)),
                *("run", f"{show.web_url}/api/openapi.json"),
                *("-H", f"Authorization: Bearer {token}"),
                *("--phases", "examples,coverage,fuzzing", "-n", "5", "--generation-deterministic"),
                *("--checks", CHECKS, "--warnings", "off", "--exclude-path", "/api/sessions/current"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=1_000,
            check=False,
        )
        tail = show.log_path("web").read_text()[-2000:]
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}\n{tail}"
    assert "Tested:" in done.stdout


def _prepare(show: Show) -> tuple[str, str, str]:
    """The host's session token, a running sale and a paid order in it."""
    email, password = show.host_sign_in()
    with httpx.Client(base_url=show.web_url) as host:

        def post(path: str, body: dict[str, Any]) -> Any:
            answer = host.post(path, json=body, headers={"Idempotency-Key": uuid.uuid4().hex})
            assert answer.is_success, answer.text
            return answer.json()

        user_id = post("/api/sessions", {"email": email, "password": password})["user"]["user_id"]
        product = host.get("/api/rooms/rm_demo").json()["products"][0]["variants"][0]
        terms = {"variant_id": product["variant_id"], "price_minor": 100, "quota": 5, "countdown_ms": 0}
        sale = post("/api/rooms/rm_demo/sales", {**terms, "duration_ms": 3_600_000})
        for action in ("arm", "fire"):
            sale = post(f"/api/sales/{sale['sale_id']}/{action}", {})
        order = post(
            "/api/orders",
            {"hold_token": _hold(show, sale, user_id), "name": "Ann", "address": ADDRESS},
        )
        paid = post(
            f"/api/orders/{order['order_id']}/payments", {"method": "card", "card_number": "4242424242424242"}
        )
        assert paid["order"]["state"] == "paid"
        return host.cookies["flashroom_session"], sale["sale_id"], order["order_id"]


def _hold(show: Show, sale: dict[str, Any], buyer_id: str) -> str:
    """What the hub, which does not run here, would have granted."""
    now_ms = wall_clock_ms()
    hold = HoldToken(
        hold_id=f"hd_{uuid.uuid4().hex}",
        sale_id=sale["sale_id"],
        room_id="rm_demo",
        epoch=1,
        seq=1,
        buyer_id=buyer_id,
        quantity=1,
        price_minor=sale["price_minor"],
        currency=sale["currency"],
        granted_at_ms=now_ms,
        expires_at_ms=now_ms + 120_000,
        ghost=False,
    )
    return sign(Settings.read(show.environment).key("hold token"), hold)
