"""Our own names on the web: which host a browser reached us by, and whether a call comes from our own pages. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from live.settings import Settings

_HOST: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")
FALLBACK_NAME: Final = "127.0.0.1"


def host_name(host_header: str | None) -> str:
    """The name (or bracketed IPv6 address) without the port; whatever could not be one never gets into a header or URL of ours."""
    found = _HOST.fullmatch(host_header or "")
    return found["name"] if found is not None else FALLBACK_NAME


def hub_url(settings: Settings, host_header: str | None) -> str:
    """The hub's WebSocket: as set, else on the machine that the browser has just reached."""
    return settings.public_hub_url or f"ws://{host_name(host_header)}:{settings.hub_port}/v1"


def media_url(settings: Settings, host_header: str | None) -> str:
    """The media process for WHIP and WHEP, without a slash at the end: as set, else on the machine that the browser has just reached."""
    return media_urls(settings, host_header)[0]


def media_urls(settings: Settings, host_header: str | None) -> list[str]:
    """Of all media processes of the settings, in their order."""
    return [
        settings.media_base(number) or f"http://{host_name(host_header)}:{port}"
        for number, port in enumerate(settings.media_ports)
    ]


def hls_url(settings: Settings, host_header: str | None) -> str:
    """Where players find HLS, without a slash at the end: a web cache or CDN if one is set, else the media process itself."""
    return settings.public_hls_url or media_url(settings, host_header)


def is_foreign(settings: Settings, scheme: str, headers: Mapping[str, str]) -> bool:
    """Whether a browser says that this call comes from somebody else's page (`headers` by lower-case name).

    Browsers name the origin of every unsafe call; a program that names none has no cookies that it didn't put there itself.
    """
    if settings.public_web_url:
        own = {settings.public_web_url}
    else:
        own = {settings.web_url, f"{scheme}://{headers.get('host', '')}"}
    origin = headers.get("origin")
    if origin is not None and origin not in own:
        return True
    return headers.get("sec-fetch-site") in ("cross-site", "same-site")
