"""The other side of WHIP (RFC 9725) and WHEP: this process as the client of somebody's endpoint."""

from __future__ import annotations

import logging
from typing import Final

import httpx
from aiortc import RTCPeerConnection, RTCSessionDescription

from live.media.offers import MAX_SDP_BYTES

log = logging.getLogger("flashroom.media")

ANSWER_S: Final = 8.0
GOODBYE_S: Final = 2.0
MAX_REDIRECTS: Final = 3


class RemoteRefused(Exception):
    """The endpoint doesn't take us, or answers what is no session; `status` is its HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the endpoint answered {status}")
        self.status = status


def new_http(*, ours: bool) -> httpx.AsyncClient:
    """Keeps connections; to be closed by its owner. Our own processes are never reached through a proxy of the environment."""
    return httpx.AsyncClient(
        timeout=ANSWER_S, max_redirects=MAX_REDIRECTS, follow_redirects=True, trust_env=not ours
    )


async def open_session(
    http: httpx.AsyncClient, connection: RTCPeerConnection, url: str, token: str | None
) -> str:
    """Offer what the connection has and take the answer; gives the session's address, '' where the endpoint named none.

    Raises RemoteRefused, httpx.HTTPError, and what aiortc raises for an answer that it can't use.
    """
    await connection.setLocalDescription(await connection.createOffer())
    headers = {"Content-Type": "application/sdp", **_authorization(token)}
    answer = bytearray()
    async with http.stream(
        "POST", url, content=connection.localDescription.sdp.encode(), headers=headers
    ) as response:
        if response.status_code != 201:
            raise RemoteRefused(response.status_code)
        async for chunk in response.aiter_bytes():
            answer += chunk
            if len(answer) > MAX_SDP_BYTES:
                raise RemoteRefused(response.status_code)
        location = response.headers.get("location")
        address = str(response.url.join(location)) if location else ""
    await connection.setRemoteDescription(RTCSessionDescription(answer.decode(), "answer"))
    return address


async def close_session(http: httpx.AsyncClient, address: str, token: str | None) -> None:
    """Say goodbye; an endpoint that doesn't hear it notices by itself."""
    if not address:
        return
    try:
        await http.delete(address, headers=_authorization(token), timeout=GOODBYE_S)
    except httpx.HTTPError as error:
        log.debug("a session elsewhere was not ended in order: %s", error)


def _authorization(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token is not None else {}
