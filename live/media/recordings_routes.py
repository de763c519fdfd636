"""Recordings over HTTP: `/recordings/ROOM` lists them, below it are the films. The owner's token opens all, a viewer's only finished films
that weren't hidden when it was made.

The token may stand in the address (`?token=`), because a download and a `<video>` send no headers; it ends after 6 h, opens one room's
recordings and nothing else, and nothing here is logged with its query.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from live import problems
from live.media import tokens
from live.media.recorder import Recordings
from live.media.recordings import MEDIA_TYPES, SHOW, Recording
from live.media.show_captions import TRACK, CaptionLog
from live.media.show_events import EventLog
from live.media.tokens import Audience, MediaToken
from live.problems import HttpProblem

_AUDIENCES: Final[tuple[Audience, ...]] = ("recordings", "replay")
_CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Range, Content-Length",
}
_PREFLIGHT: Final = {
    **_CORS,
    "Access-Control-Allow-Methods": "GET, HEAD, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Range",
    "Access-Control-Max-Age": "86400",
}


def recordings_routes() -> list[Route]:
    """The routes; the app's state has `recordings`, `key` and `clock_ms`."""
    return [
        Route("/recordings/{room_id}", _list, methods=["GET", "OPTIONS"]),
        Route("/recordings/{room_id}/{recording_id}", _delete, methods=["DELETE", "OPTIONS"]),
        Route("/recordings/{room_id}/{recording_id}/{name}", _film, methods=["GET", "HEAD", "OPTIONS"]),
    ]


async def _list(request: Request) -> Response:
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=_PREFLIGHT)
    try:
        token = _token(request)
    except HttpProblem as problem:
        return _refusal(problem)
    recordings: Recordings = request.app.state.recordings
    room_id = request.path_params["room_id"]
    shown = await asyncio.to_thread(_shown, recordings, room_id, token)
    return JSONResponse({"recordings": shown}, headers={**_CORS, "Cache-Control": "no-store"})


def _shown(recordings: Recordings, room_id: str, token: MediaToken) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for recording in recordings.shelf.of_room(room_id):
        finished = recording.finished()
        if not finished and not _is_owners(token):
            continue
        if recording.started_at_ms in token.hidden:
            # Listed all the same: a page says that the show is not shown, rather than play the one before it.
            of_it = {"recording_id": recording.folder.name, "started_at_ms": recording.started_at_ms}
            found.append({**of_it, "state": "hidden", "finished_at_ms": None, "size_bytes": 0, "files": []})
            continue
        state = "finished" if finished else "unfinished"
        if recordings.is_writing(room_id, recording.started_at_ms):
            state = "recording"
        folder = f"/recordings/{room_id}/{recording.folder.name}"
        has_captions = CaptionLog(recording.folder).is_there
        files = [
            {
                **file,
                "url": f"{folder}/{file['name']}",
                "captions_url": f"{folder}/{Path(file['name']).stem}.vtt" if has_captions else None,
            }
            for file in finished.get("files", [])
        ]
        found.append(
            {
                "recording_id": recording.folder.name,
                "started_at_ms": recording.started_at_ms,
                "state": state,
                "finished_at_ms": finished.get("finished_at_ms"),
                "size_bytes": recording.size(),
                "files": files,
            }
        )
    return found


async def _film(request: Request) -> Response:
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=_PREFLIGHT)
    try:
        token = _token(request)
        recording = await _found(request)
        if recording.started_at_ms in token.hidden:
            raise HttpProblem(403, "hidden", "The host does not show this film.")
        name = request.path_params["name"]
        if name == "events.json":
            shown = await asyncio.to_thread(EventLog(recording.folder).shown)
            return JSONResponse({"events": shown}, headers={**_CORS, "Cache-Control": "no-store"})
        if track := TRACK.fullmatch(name):
            text = await asyncio.to_thread(_captions, recording, track["film"])
            return Response(text, media_type="text/vtt", headers={**_CORS, "Cache-Control": "no-store"})
        path = recording.folder / name
        if not SHOW.fullmatch(name) or not recording.is_finished or not path.is_file():
            raise HttpProblem(404, "not_found", "There is no such film, or it is not finished yet.")
    except HttpProblem as problem:
        return _refusal(problem)
    headers = {**_CORS, "Cache-Control": "private, max-age=3600"}
    download = f"{recording.room_id}-{recording.folder.name}-{name}"
    if _is_owners(token) and "download" in request.query_params:
        return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], filename=download, headers=headers)
    return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], headers=headers)


def _captions(recording: Recording, film: str) -> str:
    """The lines said while a film was made, in its time."""
    log = CaptionLog(recording.folder)
    for file in recording.finished().get("files", []):
        if Path(file["name"]).stem == film and log.is_there:
            return log.vtt(file["spans"], file["duration_s"])
    raise HttpProblem(404, "not_found", "There are no captions of such a film.")


async def _delete(request: Request) -> Response:
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=_PREFLIGHT)
    try:
        if not _is_owners(_token(request)):
            raise HttpProblem(403, "wrong_role", "Only the room's owner deletes recordings.")
        recording = await _found(request)
        if not recording.is_finished:
            raise HttpProblem(409, "not_finished", "It is still being written; end the show first.")
    except HttpProblem as problem:
        return _refusal(problem)
    recordings: Recordings = request.app.state.recordings
    await recordings.delete(recording)
    return Response(status_code=204, headers=_CORS)


async def _found(request: Request) -> Recording:
    recordings: Recordings = request.app.state.recordings
    room_id, recording_id = request.path_params["room_id"], request.path_params["recording_id"]
    recording = await asyncio.to_thread(recordings.shelf.find, room_id, recording_id)
    if recording is None:
        raise HttpProblem(404, "not_found", "There is no such recording.")
    return recording


def _token(request: Request) -> MediaToken:
    """An owner's or a viewer's. Raises HttpProblem 401 for any other."""
    scheme, _, signed = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        signed = request.query_params.get("token", "")
    state, room_id = request.app.state, request.path_params["room_id"]
    for audience in _AUDIENCES:
        try:
            return tokens.verify(state.key, signed.strip(), audience, room_id, state.clock_ms())
        except tokens.BadToken:
            continue
    raise HttpProblem(
        401,
        "bad_token",
        "This token does not open this.",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )


def _is_owners(token: MediaToken) -> bool:
    return token.audience == "recordings"


def _refusal(problem: HttpProblem) -> Response:
    response = problems.of_error(problem)
    response.headers.update({**_CORS, "Cache-Control": "no-store"})
    return response
