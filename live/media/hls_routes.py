"""HLS over HTTP: `/hls/ROOM/index.m3u8`, the playlist `live.m3u8` that it names, and the files that one names. For anybody, because any web
cache must be able to carry it.

What a name stands for never changes, so caches may keep it; only the playlists are short-lived. A blocking playlist (`_HLS_msn`,
`_HLS_part`) has its own address for each state, and a cache that joins equal requests sends one of them here.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from live import problems
from live.media.cascade import Pulls
from live.media.hls import START_S, TARGET_S, HlsRoom, HlsRooms, NotYet
from live.media.sessions import Sessions
from live.problems import HttpProblem

INDEX: Final = "index.m3u8"
PLAYLIST: Final = "live.m3u8"
PLAYLIST_TYPE: Final = "application/vnd.apple.mpegurl"
_NAME: Final = re.compile(
    r"(?P<run>[0-9a-f]{8})-(?:init-(?P<init>[0-9a-f]{12})|(?P<number>[0-9]{1,12})(?:\.(?P<part>[0-9]{1,4}))?)\.mp4"
)
_NUMBER: Final = re.compile(r"[0-9]{1,12}")
_CORS: Final = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Date, Age, Retry-After"}
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_PLAIN: Final = "public, max-age=1"
_BLOCKING: Final = f"public, max-age={TARGET_S}"
_REFUSED: Final = "public, max-age=1"


def hls_routes() -> list[Route]:
    """The routes; the app's state has `hls` (HlsRooms) and `sessions`."""
    return [Route("/hls/{room_id}/{name}", _file, methods=["GET", "HEAD", "OPTIONS"])]


async def _file(request: Request) -> Response:
    if request.method == "OPTIONS":
        return Response(status_code=204, headers={**_CORS, "Access-Control-Allow-Methods": "GET, HEAD"})
    try:
        response = await _answer(request)
    except HttpProblem as problem:
        request.app.state.metrics.refused.labels(problem.code).inc()
        response = problems.of_error(problem)
        response.headers["Cache-Control"] = _REFUSED
    response.headers.update(_CORS)
    hls: HlsRooms = request.app.state.hls
    hls.requests += 1
    hls.sent_bytes += len(response.body)
    return response


async def _answer(request: Request) -> Response:
    room_id, name = request.path_params["room_id"], request.path_params["name"]
    if name == INDEX:
        return await _index(request, room_id)
    if name == PLAYLIST:
        return await _playlist(request, room_id)
    found = _NAME.fullmatch(name)
    hls: HlsRooms = request.app.state.hls
    window = hls.find(room_id)
    content: bytes | None = None
    if found is not None and window is not None and found["run"] == window.run:
        content = await _content(window, found)
    if content is None:
        raise HttpProblem(404, "not_found", "There is no such segment, or not any more.")
    return Response(content, media_type="video/mp4", headers={"Cache-Control": _FOR_GOOD})


async def _content(window: HlsRoom, name: re.Match[str]) -> bytes | None:
    if name["init"] is not None:
        return window.init(name["init"])
    number = int(name["number"])
    if name["part"] is None:
        return window.segment(number)
    part = int(name["part"])
    if window.is_next(number, part):  # the one hinted at: its answer is on the way before it is there
        await window.wait_for(lambda: not window.is_next(number, part), TARGET_S)
    return window.part(number, part)


async def _window(request: Request, room_id: str) -> HlsRoom:
    sessions: Sessions = request.app.state.sessions
    pulls: Pulls = request.app.state.pulls
    elsewhere = await pulls.ensure(room_id)
    if elsewhere is not None:
        base = elsewhere.url(request.headers.get("host"))
        url = f"{base}{request.url.path}" + (f"?{request.url.query}" if request.url.query else "")
        raise HttpProblem(
            307, "elsewhere", "Another media process carries this room.", headers={"Location": url}
        )
    if not sessions.is_on_air(room_id):
        raise HttpProblem(
            404, "not_on_air", "Nobody publishes in this room now.", headers={"Retry-After": "2"}
        )
    if sessions.stream(room_id).tracks["video"].codec == "VP8":
        raise HttpProblem(409, "codec_not_for_hls", "The publisher sends VP8, which HLS can't carry.")
    hls: HlsRooms = request.app.state.hls
    return hls.open(room_id)


async def _index(request: Request, room_id: str) -> Response:
    window = await _window(request, room_id)
    await window.wait_for(lambda: window.index(PLAYLIST) is not None, START_S)
    return _text(window.index(PLAYLIST), _PLAIN)


def _text(text: str | None, cache_control: str) -> Response:
    if text is None:
        raise HttpProblem(503, "not_ready", "There is no picture yet.", headers={"Retry-After": "1"})
    return Response(text, media_type=PLAYLIST_TYPE, headers={"Cache-Control": cache_control})


async def _playlist(request: Request, room_id: str) -> Response:
    window = await _window(request, room_id)
    number, part = _asked(request, "_HLS_msn"), _asked(request, "_HLS_part")
    if number is None:
        if part is not None:
            raise HttpProblem(400, "bad_query", "_HLS_part needs _HLS_msn.")
        await window.wait_for(lambda: window.playlist() is not None, START_S)
        text = window.playlist()
    else:
        try:
            text = await window.playlist_at(number, part)
        except NotYet:
            raise HttpProblem(400, "too_far_ahead", "That is too far in the future.") from None
    return _text(text, _PLAIN if number is None else _BLOCKING)


def _asked(request: Request, name: str) -> int | None:
    value = request.query_params.get(name)
    if value is None:
        return None
    if not _NUMBER.fullmatch(value):
        raise HttpProblem(400, "bad_query", f"{name} must be a whole number.")
    return int(value)
