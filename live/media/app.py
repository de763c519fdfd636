"""The media process' HTTP: WHIP (RFC 9725) to publish, WHEP (draft-ietf-wish-whep) and HLS to watch, health and metrics.

A token in the `Authorization` header is the only key, and no cookie is looked at, so any page may call from any origin.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from commerce.clock import wall_clock_ms
from live import problems
from live.media import ice, tokens
from live.media.announcer import Announcer
from live.media.carrier import Carrier
from live.media.cascade import Pulls
from live.media.feed import Feeds
from live.media.handover import Forwards
from live.media.hls import HlsRooms
from live.media.hls_routes import hls_routes
from live.media.metrics import MediaMetrics
from live.media.offers import MAX_SDP_BYTES, Fragment, read_fragment, read_offer
from live.media.places import Place
from live.media.recorder import Recordings
from live.media.recordings import Shelf
from live.media.recordings_routes import recordings_routes
from live.media.sessions import Bounds, Session, Sessions
from live.media.tokens import Audience, MediaToken
from live.problems import HttpProblem
from live.settings import Settings

log = logging.getLogger("flashroom.media")

TICK_S: Final = 1.0
BODY_WITHIN_S: Final = 5.0
HANG_UP_BYTES: Final = 1 << 20
SDP: Final = "application/sdp"
FRAGMENT: Final = "application/trickle-ice-sdpfrag"
AUDIENCES: Final[dict[str, Audience]] = {"whip": "whip", "whep": "whep", "relay": "relay"}
_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Location, ETag, Link, Retry-After, Accept-Patch",
}
_PREFLIGHT: Final = {
    **_CORS,
    "Access-Control-Allow-Methods": "POST, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Max-Age": "86400",
    "Accept-Post": SDP,
}
_HANG_UP: Final = {"Connection": "close"}


def create_media_app(
    settings: Settings,
    sessions: Sessions | None = None,
    announcer: Announcer | None = None,
    clock_ms: Callable[[], int] = wall_clock_ms,
    carrier: Carrier | None = None,
) -> Starlette:
    """The app. Its lifespan ticks the sessions and ends them; `announcer` tells rooms what is on air, None tells nobody; `carrier` knows
    of other media processes, None knows none."""
    carried = (
        sessions if sessions is not None else Sessions(time.monotonic, Bounds(viewers=settings.media_viewers))
    )
    feeds = Feeds(carried.stream, time.monotonic, clock_ms)
    hls = HlsRooms(feeds, time.monotonic, clock_ms)
    recordings = Recordings(
        carried,
        feeds,
        Shelf(settings.data_dir / "recordings"),
        floor_bytes=settings.recording_free_mb << 20,
        days=settings.recording_days,
    )

    known = carrier if carrier is not None else Carrier(settings, carried, time.monotonic)
    pulls = Pulls(settings, carried, known, time.monotonic, clock_ms)
    forwards = Forwards(
        carried,
        settings.media_forward_url,
        settings.media_forward_token,
        settings.media_forward_rooms,
        time.monotonic,
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(_tick((carried, feeds, hls), stop), name="media sessions")
            group.create_task(pulls.run(stop), name="media pulls")
            group.create_task(forwards.run(stop), name="media forwards")
            if announcer is not None:
                group.create_task(announcer.run(stop), name="media announcer")
            try:
                yield
            finally:
                stop.set()
        await carried.aclose()

    app = Starlette(
        routes=[
            Route("/{protocol:str}/{room_id}", _endpoint, methods=["POST", "OPTIONS"]),
            Route(
                "/{protocol:str}/{room_id}/sessions/{session_id}",
                _session,
                methods=["PATCH", "DELETE", "OPTIONS"],
            ),
            *hls_routes(),
            *recordings_routes(),
            Route("/healthz", _health),
            Route("/readyz", _health),
            Route("/metrics", _metrics),
        ],
        lifespan=lifespan,
        exception_handlers={HTTPException: _http_error},
    )
    app.state.settings = settings
    app.state.key = settings.key("media")
    app.state.sessions = carried
    app.state.feeds = feeds
    app.state.hls = hls
    app.state.recordings = recordings
    app.state.metrics = MediaMetrics(carried, hls, feeds, recordings, known, pulls, forwards)
    app.state.clock_ms = clock_ms
    app.state.carrier = known
    app.state.pulls = pulls
    app.state.forwards = forwards
    app.state.prefix = urlsplit(settings.media_base() or "").path
    return app


class _Ticking(Protocol):
    def tick(self) -> None: ...


async def _tick(parts: Sequence[_Ticking], stop: asyncio.Event) -> None:
    while not stop.is_set():
        for part in parts:
            part.tick()
        try:
            await asyncio.wait_for(stop.wait(), TICK_S)
        except TimeoutError:
            continue


async def _endpoint(request: Request) -> Response:
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=_PREFLIGHT)
    return await _answered(request, _open)


async def _session(request: Request) -> Response:
    if request.method == "OPTIONS":
        return Response(status_code=204, headers={**_PREFLIGHT, "Accept-Patch": FRAGMENT})
    return await _answered(request, _close if request.method == "DELETE" else _trickle)


async def _answered(request: Request, handler: Callable[[Request], Awaitable[Response]]) -> Response:
    metrics: MediaMetrics = request.app.state.metrics
    try:
        response = await handler(request)
    except HttpProblem as problem:
        metrics.refused.labels(problem.code).inc()
        response = problems.of_error(problem)
    response.headers.update(_CORS)
    response.headers["Cache-Control"] = "no-store"
    return response


async def _open(request: Request) -> Response:
    audience = _audience(request)
    room_id = request.path_params["room_id"]
    signed, token = _authorised(request, audience, room_id, with_ticket=True)
    _expect_type(request, SDP)
    offer = read_offer(await _body(request), publishing=audience == "whip")
    sessions: Sessions = request.app.state.sessions
    carrier: Carrier = request.app.state.carrier
    elsewhere: Place | None = None
    if audience == "whip":
        elsewhere = await carrier.claim(room_id)
    elif audience == "whep":
        elsewhere = await request.app.state.pulls.ensure(room_id)
    if elsewhere is not None:
        return _redirect(request, elsewhere, token, signed)
    begin = {"whip": sessions.publish, "relay": sessions.relay}.get(audience, sessions.play)
    session = await begin(token, signed, offer)
    response = Response(
        session.answer,
        201,
        media_type=SDP,
        headers={
            "Location": f"{request.app.state.prefix}/{audience}/{room_id}/sessions/{session.session_id}",
            "ETag": session.etag,
            "Accept-Patch": FRAGMENT,
        },
    )
    state = request.app.state
    for server in ice.servers(state.settings, state.clock_ms()):
        response.headers.append("Link", server.link)
    return response


def _redirect(request: Request, place: Place, token: MediaToken, signed: str) -> Response:
    """To the process that carries the room (RFC 9725 4.5)."""
    state = request.app.state
    ticket = tokens.ticket(state.key, token, signed, state.clock_ms())
    url = f"{place.url(request.headers.get('host'))}{request.url.path}?ticket={ticket}"
    state.metrics.redirected.labels(token.audience).inc()
    return Response(status_code=307, headers={"Location": url})


async def _trickle(request: Request) -> Response:
    session = _own_session(request)
    _expect_type(request, FRAGMENT)
    match = request.headers.get("if-match")
    if match is None:
        raise HttpProblem(428, "etag_required", "Name the ICE session in If-Match.")
    fragment = read_fragment(await _body(request))
    if match not in ("*", session.etag):
        raise HttpProblem(412, "wrong_etag", "This ICE session is over.")
    is_new = fragment.user is not None and fragment.user != session.offered_ice_user
    if match == "*" or is_new:
        return await _restart(request, session, fragment, is_new=is_new)
    # Candidates are read and not probed: the client's own checks show where it is.
    return Response(status_code=204)


async def _restart(request: Request, session: Session, fragment: Fragment, *, is_new: bool) -> Response:
    """RFC 9725 4.3.1: DTLS, SRTP and everything above them go on, by another path."""
    if not is_new or fragment.user is None or fragment.password is None:
        raise HttpProblem(400, "no_new_credentials", "An ICE restart brings a new ice-ufrag and ice-pwd.")
    sessions: Sessions = request.app.state.sessions
    own = await sessions.restart_ice(session, fragment.user, fragment.password)
    return Response(own, 200, media_type=FRAGMENT, headers={"ETag": session.etag})


async def _close(request: Request) -> Response:
    sessions: Sessions = request.app.state.sessions
    await sessions.end(_own_session(request))
    return Response(status_code=200)


def _audience(request: Request) -> Audience:
    audience = AUDIENCES.get(request.path_params["protocol"])
    if audience is None:
        raise HttpProblem(404, "not_found", "There are /whip/ROOM and /whep/ROOM.")
    return audience


def _bearer(request: Request, *, with_ticket: bool = False) -> str:
    ticket = request.query_params.get("ticket")
    if with_ticket and ticket:  # whoever sends the token too has followed a redirect of ours all the same
        return ticket
    scheme, _, signed = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not signed.strip():
        raise HttpProblem(
            401, "token_required", "Send a bearer token.", headers={"WWW-Authenticate": "Bearer"}
        )
    return signed.strip()


def _authorised(
    request: Request, audience: Audience, room_id: str, *, with_ticket: bool = False
) -> tuple[str, MediaToken]:
    signed = _bearer(request, with_ticket=with_ticket)
    state = request.app.state
    try:
        return signed, tokens.verify(state.key, signed, audience, room_id, state.clock_ms())
    except tokens.BadToken:
        raise HttpProblem(
            401,
            "bad_token",
            "This token does not open this.",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        ) from None


def _own_session(request: Request) -> Session:
    """The session of the path, for whoever shows the token it was begun with, also when that is too old to begin another."""
    audience = _audience(request)
    room_id = request.path_params["room_id"]
    signed = _bearer(request)
    sessions: Sessions = request.app.state.sessions
    session = sessions.find(request.path_params["session_id"], room_id, audience)
    if session is not None and session.opened_by == tokens.digest(signed):
        return session
    _authorised(request, audience, room_id)
    if session is not None:
        raise HttpProblem(403, "not_your_session", "Another token began this session.")
    if sessions.was_taken_over(request.path_params["session_id"]):
        raise HttpProblem(410, "taken_over", "Another device of yours publishes now.")
    raise HttpProblem(404, "no_such_session", "There is no such session any more.")


def _expect_type(request: Request, wanted: str) -> None:
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found != wanted:
        raise HttpProblem(415, "wrong_content_type", f"Send {wanted}.")


async def _body(request: Request) -> bytes:
    """The whole body. Raises HttpProblem 413, or 408 for who sends it drop by drop.

    What is too large is read to its end all the same, or a client that writes first would never see the answer; above 1 MiB we hang up.
    """
    received, size = bytearray(), 0
    too_large = HttpProblem(413, "sdp_too_large", f"At most {MAX_SDP_BYTES} bytes.", headers=_HANG_UP)
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size > HANG_UP_BYTES:
                    raise too_large
                if size <= MAX_SDP_BYTES:
                    received += chunk
    except TimeoutError:
        raise HttpProblem(
            408, "body_too_slow", f"Send it within {BODY_WITHIN_S:g} s.", headers=_HANG_UP
        ) from None
    if size > MAX_SDP_BYTES:
        raise too_large
    return bytes(received)


async def _health(request: Request) -> Response:
    """This process is well also when a server it hands rooms over to isn't; that is told beside."""
    forwards: Forwards = request.app.state.forwards
    states = {room_id: one.state for room_id, one in forwards.by_room.items()}
    return JSONResponse({"status": "ok", **({"forwards": states} if states else {})})


async def _metrics(request: Request) -> Response:
    metrics: MediaMetrics = request.app.state.metrics
    return Response(metrics.text(), media_type="text/plain; version=0.0.4")


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "wrong_method"}.get(error.status_code, "refused")
    return problems.answer(
        error.status_code, code, str(error.detail), headers={**dict(error.headers or {}), **_CORS}
    )
