"""The web process as an ASGI app: the HTTP API, the pages, health and metrics."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from live import pages, problems
from live.answers import Answers
from live.api import ENDPOINTS
from live.api.endpoint import Endpoint, serve
from live.limits import Limits
from live.openapi import document
from live.settings import Settings
from live.shared_reads import SharedReads
from live.tellers import Tellers
from live.wiring import Wiring, connected

log = logging.getLogger("flashroom.web")

SECURITY_HEADERS: Final = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),  # pages bring their own
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(self), display-capture=(self), geolocation=()"),
)
STRICT_TRANSPORT: Final = ((b"strict-transport-security", b"max-age=31536000"),)


class Metrics:
    """The web process' numbers for Prometheus."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "flashroom_http_requests",
            "Answered requests",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "flashroom_http_request_seconds",
            "Time until the answer was complete",
            ["method", "route"],
            buckets=(0.005, 0.025, 0.1, 0.25, 1, 5),
            registry=self.registry,
        )


def create_app(settings: Settings) -> Starlette:
    """The app; its lifespan opens SQL and Redis, and raises CannotStart when they are not there."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with connected(settings) as wiring:
            attach(app, wiring)
            yield
            await app.state.tellers.aclose()

    app = Starlette(
        routes=[*_api_routes(), *_service_routes(), *pages.ROUTES],
        lifespan=lifespan,
        middleware=[Middleware(_Envelope, secure=settings.web_url.startswith("https://"))],
        exception_handlers={HTTPException: _http_error},
    )
    app.router.redirect_slashes = (
        False  # a path with a slash too many is not ours; the Host header leads nobody anywhere
    )
    app.state.metrics = Metrics()
    return app


def attach(app: Starlette, wiring: Wiring) -> None:
    """Give the app its parts."""
    app.state.wiring = wiring
    app.state.limits = Limits(wiring.redis, enabled=wiring.settings.web_limits)
    app.state.answers = Answers(wiring.database)
    app.state.tellers = Tellers()
    app.state.room_pages = SharedReads[bytes]()
    app.state.previews = SharedReads[pages.RoomLook]()


def _api_routes() -> list[Route]:
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in ENDPOINTS:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [Route(path, _dispatcher(methods), methods=list(methods)) for path, methods in by_path.items()]


def _dispatcher(methods: dict[str, Endpoint]) -> Callable[[Request], Awaitable[Response]]:
    async def dispatch(request: Request) -> Response:
        return await serve(methods["GET" if request.method == "HEAD" else request.method], request)

    return dispatch


def _service_routes() -> list[Route]:
    @cache  # made when first asked for: it takes longer than all else of a start
    def openapi() -> str:
        return json.dumps(document(ENDPOINTS, version("flashroom")), ensure_ascii=False)

    async def openapi_json(_: Request) -> Response:
        return Response(openapi(), media_type="application/json")

    return [
        Route("/api/openapi.json", openapi_json),
        Route("/healthz", _health),
        Route("/readyz", _readiness),
        Route("/metrics", _metrics),
    ]


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _readiness(request: Request) -> Response:
    wiring: Wiring = request.app.state.wiring
    missing = []
    try:
        async with wiring.database.read() as c:
            await c.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError):
        missing.append("sql")
    try:
        await wiring.redis.ping()
    except (RedisError, OSError, TimeoutError):
        missing.append("redis")
    if missing:
        return problems.answer(503, "not_ready", f"No answer from: {', '.join(missing)}.")
    return JSONResponse({"status": "ready"})


async def _metrics(request: Request) -> Response:
    return Response(
        generate_latest(request.app.state.metrics.registry), media_type="text/plain; version=0.0.4"
    )


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: ("not_found", "There is nothing here."), 405: ("wrong_method", "Not with this method.")}
    code, detail = codes.get(error.status_code, ("refused", str(error.detail)))
    return problems.answer(error.status_code, code, detail, headers=dict(error.headers or {}))


class _Envelope:
    """A request id, the security headers, the numbers and the log, around every request. What escaped from below becomes a 500."""

    def __init__(self, app: ASGIApp, secure: bool) -> None:
        self.app = app
        self.headers = SECURITY_HEADERS + (STRICT_TRANSPORT if secure else ())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        started_s = time.perf_counter()
        status: int | None = None

        async def enveloped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.setdefault("headers", [])
                headers.append((b"x-request-id", request_id.encode()))
                present = {name for name, _ in headers}
                headers.extend(pair for pair in self.headers if pair[0] not in present)
            await send(message)

        try:
            await self.app(scope, receive, enveloped)
        except Exception:
            log.exception("request %s failed: %s %s", request_id, scope["method"], _route(scope))
            if status is not None:
                raise  # half an answer is out: only closing the connection tells that it isn't whole
            detail = "That failed on our side. Try again; tell the operator the request id."
            ours = problems.answer(500, "internal", detail, request_id=request_id)
            await ours(scope, receive, enveloped)
        finally:
            self._count(scope, status or 500, time.perf_counter() - started_s, request_id)

    def _count(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        metrics: Metrics = scope["app"].state.metrics
        route = _route(scope)
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        metrics.requests.labels(method, route, str(status)).inc()
        metrics.seconds.labels(method, route).observe(seconds)
        if method not in _QUIET:
            # The route, not the path: what is in a path or a query is the caller's own business.
            log.info(
                "%s %s %s",
                method,
                route,
                status,
                extra={"request_id": request_id, "milliseconds": round(seconds * 1000, 1)},
            )


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "") or "unmatched"


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET: Final = frozenset({"GET", "HEAD", "OPTIONS"})
