"""POSTs to merchants' addresses, and to nobody else: an address that leads into our own network is refused before anything is sent.

The name is resolved here and the connection goes to the address that was looked at, so that a second answer of the name server can't
lead elsewhere. Redirects are not followed, an answer's body is not read.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import httpx

TIMEOUT_S: Final = 10.0


class WebhookSender:
    """`post` for `merchant_webhooks.deliveries.Sender`. With `allow_private` (development) it also reaches this machine."""

    def __init__(self, client: httpx.AsyncClient, *, allow_private: bool) -> None:
        self._client = client
        self._allow_private = allow_private

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str | None]:
        """(status, None), or (0, what went wrong) when no answer came within 10 s."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._post(url, headers, body), None
        except TimeoutError:
            return 0, f"no answer within {TIMEOUT_S:g} s"
        except _Refused as refused:
            return 0, str(refused)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return 0, f"{type(error).__name__}: {error}"[:200]

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = await self._address(host, port)
        numeric = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        request = self._client.build_request(
            "POST",
            urlunsplit((parts.scheme, numeric, parts.path or "/", parts.query, "")),
            headers={**headers, "host": parts.netloc},
            content=body,
            extensions={"sni_hostname": host},
        )
        answer = await self._client.send(request, stream=True, follow_redirects=False)
        await answer.aclose()
        return answer.status_code

    async def _address(self, host: str, port: int) -> str:
        """The first address of a name that may be called; raises _Refused when there is none."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            raise _Refused(f"the name {host} is not known") from None
        for *_, (address, *_) in found:
            if self._allow_private or is_public(str(address)):
                return str(address)
        raise _Refused(f"{host} leads into a private network")


class _Refused(Exception):
    """An address we do not send to."""


def is_public(address: str) -> bool:
    """Whether an address is on the open internet; IPv4 inside IPv6 is looked at as IPv4."""
    found = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found.sixtofour or found
    return found.is_global and not found.is_multicast
