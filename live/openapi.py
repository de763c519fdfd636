"""The OpenAPI 3.1 document, made from the endpoints' own declarations."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from pydantic.json_schema import models_json_schema

from live.api.endpoint import SOURCE_HEADER, Endpoint
from live.api.models import Problem
from live.identity import SOURCES

# Declared once for all calls that change something, and named in the document's description: beside every single one it would say
# the same ninety times, and a tester made from the document would try each of its values at each of them.
_SOURCE = {
    "name": SOURCE_HEADER,
    "in": "header",
    "required": False,
    "description": "How it was done, for the room's action log; without it, or with another value, `api`.",
    "schema": {"type": "string", "enum": list(SOURCES), "default": "api"},
}
_REFERENCE = "#/components/schemas/{model}"


def document(endpoints: Iterable[Endpoint], version: str) -> dict[str, Any]:
    """The whole document as JSON-ready data."""
    listed = list(endpoints)
    models = {model for e in listed for model in (e.body, e.answer) if model is not None} | {Problem}
    schemas, definitions = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template=_REFERENCE,
    )
    references = {model: schema for (model, _), schema in schemas.items()}
    paths: dict[str, Any] = {}
    for endpoint in listed:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Flashroom",
            "version": version,
            "description": (
                "Money is integer minor units, times are UTC milliseconds. Everything refused is a problem (RFC 9457). "
                f"A call that changes something may carry `{SOURCE_HEADER}` (see components)."
            ),
        },
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "parameters": {"source": _SOURCE},
            "securitySchemes": {
                "viewer": {"type": "apiKey", "in": "cookie", "name": "flashroom_viewer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "flashroom_session"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(endpoint: Endpoint, references: dict[Any, Any]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern}}
        for name, pattern in endpoint.parameters().items()
    ]
    for query in endpoint.queries:
        schema: dict[str, Any] = {"type": "string", "pattern": query.pattern}
        if query.is_integer:
            schema = {"type": "integer", "minimum": 1, "maximum": 200}
        parameters.append(
            {
                "name": query.name,
                "in": "query",
                "required": False,
                "description": query.description,
                "schema": schema,
            }
        )
    if endpoint.needs_key:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "description": "Repeat it when you repeat the call: the call is done once, the answer is the same.",
                "schema": {"type": "string", "pattern": r"^[\x21-\x7e]{8,255}$"},
            }
        )
    operation: dict[str, Any] = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "parameters": parameters,
        "responses": _responses(endpoint, references),
    }
    if endpoint.body is not None:
        content = {"application/json": {"schema": references[endpoint.body]}}
        operation["requestBody"] = {"required": bool(_required(endpoint)), "content": content}
    if endpoint.raw:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": {}}}}
    if endpoint.roles == "viewer":
        operation["security"] = [{"viewer": []}, {"session": []}, {"bearer": []}]
    elif endpoint.roles is not None:
        operation["security"] = [{"session": []}, {"bearer": []}]
        operation["description"] = f"Roles: {', '.join(sorted(endpoint.roles))}."
    return operation


def _required(endpoint: Endpoint) -> list[str]:
    assert endpoint.body is not None
    return [name for name, field in endpoint.body.model_fields.items() if field.is_required()]


def _responses(endpoint: Endpoint, references: dict[Any, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    good: dict[str, Any] = {"description": HTTPStatus(endpoint.status).phrase}
    if endpoint.answer is not None:
        good["content"] = {endpoint.media_type: {"schema": references[endpoint.answer]}}
    elif endpoint.media_type != "application/json":
        good["content"] = {endpoint.media_type: {"schema": {"type": "string"}}}
    responses[str(endpoint.status)] = good
    statuses = {400, 404, 422, 429, 503}
    if endpoint.is_unsafe:
        statuses |= {409, 413}
        if not endpoint.raw:
            statuses |= {403}
    if endpoint.body is not None:
        statuses |= {415}
    if endpoint.roles is not None or endpoint.path == "/api/sessions":
        statuses |= {401, 403}
    for status in sorted(statuses):
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": {"schema": references[Problem]}},
        }
    return responses


def _operation_id(endpoint: Endpoint) -> str:
    words = [word.strip("{}") for word in endpoint.path.removeprefix("/api/").split("/")]
    return "_".join([endpoint.method.lower(), *words]).replace("-", "_").replace(".", "_")
