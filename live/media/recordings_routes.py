"""Recordings over HTTP: `/recordings/ROOM` lists them, below it are the films. The owner's token opens all, a viewer's only finished films.

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
from live.problems import HttpProblem

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
        is_owner = _is_owner(request)
    except HttpProblem as problem:
        return _refusal(problem)
    recordings: Recordings = request.app.state.recordings
    room_id = request.path_params["room_id"]
    shown = await asyncio.to_thread(_shown, recordings, room_id, is_owner)
    return JSONResponse({"recordings": shown}, headers={**_CORS, "Cache-Control": "no-store"})


def _shown(recordings: Recordings, room_id: str, is_owner: bool) -> list[dict[str, Any]]:
    found = []
    for recording in recordings.shelf.of_room(room_id):
        finished = recording.finished()
        if not finished and not is_owner:
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
        is_owner = _is_owner(request)
        recording = await _found(request)
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
    if is_owner and "download" in request.query_params:
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
        if not _is_owner(request):
            raise HttpProblem(403, "wrong_role", "Only the room's owner deletes recordings.")
        recording = await _found(request)
        if not recording.is_finished:
            raise HttpProblem(409, "not_finished", "It is still being written; end the show first.")
    except HttpProblem as problem:
        return _refusal(problem)
    await asyncio.to_thread(recording.delete)
    return Response(status_code=204, headers=_CORS)


async def _found(request: Request) -> Recording:
    recordings: Recordings = request.app.state.recordings
    room_id, recording_id = request.path_params["room_id"], request.path_params["recording_id"]
    recording = await asyncio.to_thread(recordings.shelf.find, room_id, recording_id)
    if recording is None:
        raise HttpProblem(404, "not_found", "There is no such recording.")
    return recording


def _is_owner(request: Request) -> bool:
    """Whether the token is an owner's rather than a viewer's. Raises HttpProblem 401 for any other."""
    scheme, _, signed = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        signed = request.query_params.get("token", "")
    state, room_id = request.app.state, request.path_params["room_id"]
    for audience in ("recordings", "replay"):
        try:
            tokens.verify(
                state.key,
                signed.strip(),
                "recordings" if audience == "recordings" else "replay",
                room_id,
                state.clock_ms(),
            )
        except tokens.BadToken:
            continue
        return audience == "recordings"
    raise HttpProblem(
        401,
        "bad_token",
        "This token does not open this.",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )


def _refusal(problem: HttpProblem) -> Response:
    response = problems.of_error(problem)
    response.headers.update({**_CORS, "Cache-Control": "no-store"})
    return response
