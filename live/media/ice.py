"""STUN and TURN servers that browsers and OBS are told of: in WHIP's and WHEP's `Link` headers (RFC 9725 4.6) and with the page's tokens.

The media process itself needs none: it has an address that viewers reach. TURN is for viewers whose networks let no UDP out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from live.settings import Settings

CREDENTIAL_TTL_S: Final = 12 * 3600


@dataclass(frozen=True, slots=True)
class IceServer:
    """One server; TURN has credentials that end after 12 h."""

    url: str
    username: str | None = None
    credential: str | None = None

    @property
    def link(self) -> str:
        """As a `Link` header."""
        text = f'<{self.url}>; rel="ice-server"'
        if self.username is not None:
            text += (
                f'; username="{self.username}"; credential="{self.credential}"; credential-type="password"'
            )
        return text


def servers(settings: Settings, now_ms: int) -> list[IceServer]:
    """The servers set, TURN with fresh credentials as coturn's `use-auth-secret` checks them (draft-uberti-behave-turn-rest-00)."""
    found = []
    for url in settings.ice_servers:
        if url.startswith("stun") or settings.turn_secret is None:
            found.append(IceServer(url))
            continue
        username = f"{now_ms // 1000 + CREDENTIAL_TTL_S}:flashroom"
        signed = hmac.new(settings.turn_secret, username.encode(), hashlib.sha1).digest()
        found.append(IceServer(url, username, base64.b64encode(signed).decode()))
    return found
