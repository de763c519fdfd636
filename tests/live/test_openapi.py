"""The OpenAPI document describes what is really served, and data made from it, good and bad, never breaks the server."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from live.api import ENDPOINTS
from live.openapi import document
from loadtests.show import Show

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
@pytest.mark.timeout(240)
def test_schemathesis_finds_no_server_error_and_no_undocumented_answer(tmp_path: Path) -> None:
    """A real web process, called as the owner of the room, with ids that exist so that the logic behind is reached."""
    with Show(tmp_path / "show", roles=("web",), environment={"FLASHROOM_RATE_LIMITS": "off"}) as show:
        token, sale_id = _prepare(show)
        config = tmp_path / "schemathesis.toml"
        config.write_text(
            f'[parameters]\n"path.room_id" = "rm_demo"\n"path.sale_id" = "{sale_id}"\n"path.provider" = "sandbox"\n'
        )
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
            timeout=200,
            check=False,
        )
        tail = show.log_path("web").read_text()[-2000:]
    assert done.returncode == 0, f"{done.stdout[-6000:]}\n{done.stderr[-2000:]}\n{tail}"
    assert "Tested:" in done.stdout


def _prepare(show: Show) -> tuple[str, str]:
    email, password = show.host_sign_in()
    with httpx.Client(base_url=show.web_url) as client:
        credentials = {"email": email, "password": password}
        client.post("/api/sessions", json=credentials, headers=_key()).raise_for_status()
        product = client.get("/api/rooms/rm_demo").json()["products"][0]["variants"][0]
        body = {"variant_id": product["variant_id"], "price_minor": 100, "quota": 5}
        sale = client.post("/api/rooms/rm_demo/sales", json=body, headers=_key()).json()
        return client.cookies["flashroom_session"], sale["sale_id"]


def _key() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}
