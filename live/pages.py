"""The two pages, their built assets and the drawn pictures, with the headers that keep them safe and cached."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from live import origins, pictures, rooms
from live.settings import Settings
from live.wiring import Wiring

DIST: Final = Path(__file__).parent / "web" / "dist"
PICTURE_MAX_AGE_S: Final = 3600


def content_security_policy(settings: Settings, host_header: str | None) -> str:
    """Everything from here, nothing inline, and the hub's socket, the media process and the cache of its HLS as the only other peers."""
    hub = origins.hub_url(settings, host_header)
    servers = (origins.media_url(settings, host_header), origins.hls_url(settings, host_header))
    media = " ".join(dict.fromkeys(map(_origin, servers)))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "font-src 'self'",
            "manifest-src 'self'",
            f"media-src 'self' blob: {media}",
            f"connect-src 'self' {_origin(hub)} {media}",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def _origin(url: str) -> str:
    return "/".join(url.split("/")[:3])


def _page(name: str, request: Request) -> Response:
    path = DIST / name
    if not path.is_file():
        return Response(
            "The pages are not built yet: run `make run`, or `npm run build` in live/web.\n",
            status_code=503,
            media_type="text/plain; charset=utf-8",
        )
    settings: Settings = request.app.state.wiring.settings
    policy = content_security_policy(settings, request.headers.get("host"))
    return FileResponse(path, headers={"Content-Security-Policy": policy, "Cache-Control": "no-cache"})


async def _home(request: Request) -> Response:
    wiring: Wiring = request.app.state.wiring
    async with wiring.database.read() as c:
        found = await rooms.list_all(c)
    if not found:
        return RedirectResponse("/console", 302)
    on_air = next((room for room in found if room.status == "live"), found[0])
    return RedirectResponse(f"/r/{on_air.room_id}", 302)


async def _room(request: Request) -> Response:
    return _page("room.html", request)


async def _console(request: Request) -> Response:
    return _page("console.html", request)


async def _picture(request: Request) -> Response:
    drawn = pictures.picture(request.path_params["name"])
    if drawn is None:
        raise HTTPException(404)
    return Response(
        drawn,
        media_type="image/svg+xml",
        headers={
            "Cache-Control": f"public, max-age={PICTURE_MAX_AGE_S}",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        },
    )


class _Assets(StaticFiles):
    """Files whose names change with their content."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


ROUTES: Final[tuple[BaseRoute, ...]] = (
    Route("/", _home),
    Route("/r/{room_id}", _room),
    Route("/console", _console),
    Route("/pictures/{name}.svg", _picture),
    # The room's first load is 145 KB of script, 48 KB compressed; a browser keeps it for good, so compressing each time is cheap enough.
    Mount("/assets", GZipMiddleware(_Assets(directory=DIST / "assets", check_dir=False), minimum_size=1_000)),
)
