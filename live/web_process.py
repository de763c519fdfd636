"""`flashroom web`: uvicorn around the app, with bounds set and a plain word when the port is taken."""

from __future__ import annotations

import logging
from typing import Final

import uvicorn

from live.processes import CannotStart, port_is_free
from live.settings import Settings

log = logging.getLogger("flashroom.web")

STOP_WITHIN_S: Final = 5
KEEP_ALIVE_S: Final = 30
BACKLOG: Final = 2048
MAX_CONCURRENT: Final = 2_000
MAX_HEADER_BYTES: Final = 32 * 1024


def run(settings: Settings) -> int:
    """Serve until SIGTERM; requests under way get 5 s to end. Raises CannotStart."""
    from live.app import create_app  # costs half a second to import: only here

    if not port_is_free(settings.host, settings.web_port):
        raise CannotStart(
            f"Port {settings.web_port} is taken: set FLASHROOM_WEB_PORT to another, or stop what listens there."
        )
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.web_port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies) or None,
        timeout_graceful_shutdown=STOP_WITHIN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        backlog=BACKLOG,
        limit_concurrency=MAX_CONCURRENT,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
    )
    server = uvicorn.Server(config)
    try:
        server.run()
    except KeyboardInterrupt:
        return 0
    if not server.started:
        log.error("web could not start")
        return 1
    return 0
