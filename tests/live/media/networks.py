"""A bad network between two real peers: a UDP relay on loopback that loses, repeats and reorders, each direction by its own rules.

    network = Network(seed=1)
    async with watcher(server, network=network) as viewer:
        network.down = Weather(loss=0.1)

A peer is pointed at the relay instead of the server (`through`), and ICE takes it for a NAT. What is encrypted stays so: rules see only
what anybody on the path sees, so RTP, RTCP, and the handshake with its checks can be told apart and nothing more.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Sort = Literal["media", "reports", "handshake"]
HOLD_DATAGRAMS: Final = 3
HOLD_S: Final = 0.05
_CANDIDATE = re.compile(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", re.IGNORECASE)

Address = tuple[str, int]


def sort_of(datagram: bytes) -> Sort:
    """By RFC 7983 and RFC 5761."""
    if not 128 <= datagram[0] < 192 or len(datagram) < 2:
        return "handshake"
    return "reports" if 192 <= datagram[1] < 224 else "media"


@dataclass(slots=True)
class Weather:
    """What happens to datagrams of one direction: shares from 0 to 1 of those of these sorts."""

    loss: float = 0.0
    repeats: float = 0.0
    reorder: float = 0.0
    sorts: tuple[Sort, ...] = ("media",)
    is_dead: bool = False
    """Nothing at all gets through."""


class Network:
    """One peer's way to the server and back. `up` is from the peer to the server, `down` back; both may change at any time."""

    def __init__(self, seed: int = 1) -> None:
        self.up = Weather()
        self.down = Weather()
        self.lost = self.repeated = self.reordered = 0
        self._random = random.Random(seed)
        self._server: Address = ("", 0)
        self._peer: Address | None = None
        self._near: asyncio.DatagramTransport | None = None
        self._far: asyncio.DatagramTransport | None = None
        self._held: list[tuple[asyncio.DatagramTransport, bytes, Address, int]] = []

    async def through(self, answer: str) -> str:
        """The server's answer with this relay as the only address in it."""
        found = _CANDIDATE.search(answer)
        assert found, "the answer names no address"
        self._server = (found[1], int(found[2]))
        loop = asyncio.get_running_loop()
        self._near, _ = await loop.create_datagram_endpoint(
            lambda: _Side(self._from_peer), local_addr=("127.0.0.1", 0)
        )
        self._far, _ = await loop.create_datagram_endpoint(
            lambda: _Side(self._from_server), local_addr=("127.0.0.1", 0)
        )
        port = self._near.get_extra_info("sockname")[1]
        kept, is_in = [], False
        for line in answer.split("\r\n"):
            if line.startswith("a=candidate:"):
                if not is_in:
                    kept.append(f"a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host")
                is_in = True
                continue
            is_in = is_in and not line.startswith("m=")
            kept.append(line)
        return "\r\n".join(kept)

    def close(self) -> None:
        for side in (self._near, self._far):
            if side is not None:
                side.close()

    def _from_peer(self, datagram: bytes, sender: Address) -> None:
        self._peer = sender
        if self._far is not None:
            self._pass(self._far, datagram, self._server, self.up)

    def _from_server(self, datagram: bytes, _: Address) -> None:
        if self._near is not None and self._peer is not None:
            self._pass(self._near, datagram, self._peer, self.down)

    def _pass(self, side: asyncio.DatagramTransport, datagram: bytes, to: Address, weather: Weather) -> None:
        if weather.is_dead:
            return
        if sort_of(datagram) not in weather.sorts:
            side.sendto(datagram, to)
            return
        if self._random.random() < weather.loss:
            self.lost += 1
            return
        if self._random.random() < weather.reorder:
            self.reordered += 1
            held = (side, datagram, to, HOLD_DATAGRAMS)
            self._held.append(held)
            # Overtaken by three others, or by time when no others come.
            asyncio.get_running_loop().call_later(HOLD_S, self._let_go)
            return
        side.sendto(datagram, to)
        if self._random.random() < weather.repeats:
            self.repeated += 1
            side.sendto(datagram, to)
        self._held = [(s, d, t, left - (s is side)) for s, d, t, left in self._held]
        for s, d, t, left in [held for held in self._held if held[3] <= 0]:
            s.sendto(d, t)
            self._held.remove((s, d, t, left))

    def _let_go(self) -> None:
        if self._held:
            side, datagram, to, _ = self._held.pop(0)
            if not side.is_closing():
                side.sendto(datagram, to)


class _Side(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._received(data, addr)
