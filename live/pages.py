"""The two pages, their built assets and the drawn pictures, with the headers that keep them safe and cached."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from commerce import catalogue
from commerce.clock import wall_clock_ms
from commerce.errors import CommerceError
from live import origins, pictures, rooms, storefront
from live.rooms import Room
from live.settings import Settings
from live.shared_reads import SharedReads
from live.wiring import Wiring


class RoomLook(NamedTuple):
    """A room from outside; `picture` names a drawing that has a cover."""

    room: Room
    picture: str | None


DIST: Final = Path(__file__).parent / "web" / "dist"
PICTURE_MAX_AGE_S: Final = 3600


def content_security_policy(settings: Settings, host_header: str | None) -> str:
    """Everything from here, nothing inline, and the hub's socket, media processes and the cache of their HLS as the only other peers."""
    hub = origins.hub_url(settings, host_header)
    servers = (*origins.media_urls(settings, host_header), origins.hls_url(settings, host_header))
    media = " ".join(dict.fromkeys((*map(_origin, servers), *settings.media_origins)))
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
    """The page, with the room's preview in its head where SQL says what to show; without it the page works all the same."""
    page = _page("room.html", request)
    if not isinstance(page, FileResponse):
        return page
    try:
        room, picture = await _find_room(request)
    except CommerceError:
        return page
    language = storefront.language_of(request.headers.get("accept-language"))
    url = _url(request, room)
    image_url = f"{url.rpartition('/r/')[0]}/pictures/{picture or pictures.NO_PICTURE}.jpg"
    text = storefront.with_preview((DIST / "room.html").read_text(), room, url, image_url, language)
    headers = {name: page.headers[name] for name in ("Content-Security-Policy", "Cache-Control")}
    return HTMLResponse(text, headers={**headers, "Vary": "Accept-Language"})


async def _find_room(request: Request) -> RoomLook:
    """The room and the picture of what is pinned or comes first. Raises NotFound, Unavailable. Who follow one link at once are one look."""
    wiring: Wiring = request.app.state.wiring
    room_id = request.path_params["room_id"]

    async def read() -> RoomLook:
        async with wiring.database.read() as c:
            room = await rooms.get(c, room_id)
            shown = (
                [room.pinned_product_id]
                if room.pinned_product_id
                else (await rooms.product_ids(c, room_id))[:1]
            )
            products = await catalogue.get_products(c, shown)
        return RoomLook(room, next((one.picture for one in products if pictures.cover(one.picture)), None))

    shared: SharedReads[RoomLook] = request.app.state.previews
    return await shared.get(room_id, read)


def _url(request: Request, room: Room) -> str:
    settings: Settings = request.app.state.wiring.settings
    own = settings.public_web_url or f"{request.url.scheme}://{request.headers.get('host', '')}"
    return storefront.room_url(own, room.room_id)


async def _calendar(request: Request) -> Response:
    room = await _shown_room(request)
    if room.starts_at_ms is None:
        raise HTTPException(404)
    language = storefront.language_of(request.headers.get("accept-language"))
    text = storefront.calendar(room, _url(request, room), language, wall_clock_ms())
    named = {"Content-Disposition": 'attachment; filename="show.ics"', "Cache-Control": "no-cache"}
    return Response(text, media_type="text/calendar; charset=utf-8", headers=named)


async def _qr_code(request: Request) -> Response:
    room = await _shown_room(request)
    headers = {
        "Cache-Control": f"public, max-age={PICTURE_MAX_AGE_S}",
        "Content-Security-Policy": "default-src 'none'",
    }
    return Response(storefront.qr_code(_url(request, room)), media_type="image/svg+xml", headers=headers)


async def _shown_room(request: Request) -> Room:
    try:
        return (await _find_room(request)).room
    except CommerceError:
        raise HTTPException(404) from None


async def _console(request: Request) -> Response:
    return _page("console.html", request)


async def _cover(request: Request) -> Response:
    """A picture for link previews: ours, like everything else a page points to."""
    photo = pictures.cover(request.path_params["name"])
    if photo is None:
        raise HTTPException(404)
    headers = {
        "Cache-Control": f"public, max-age={PICTURE_MAX_AGE_S}",
        "Content-Security-Policy": "default-src 'none'",
    }
    return Response(photo, media_type="image/jpeg", headers=headers)


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
    Route("/r/{room_id}/show.ics", _calendar),
    Route("/r/{room_id}/qr.svg", _qr_code),
    Route("/console", _console),
    Route("/pictures/{name}.svg", _picture),
    Route("/pictures/{name}.jpg", _cover),
    # The room's first load is 145 KB of script, 48 KB compressed; a browser keeps it for good, so compressing each time is cheap enough.
    Mount("/assets", GZipMiddleware(_Assets(directory=DIST / "assets", check_dir=False), minimum_size=1_000)),
)
