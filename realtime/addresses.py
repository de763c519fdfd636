"""Whom a connection counts for: the peer's address, or the one a trusted proxy names. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network


def is_local(address: str) -> bool:
    """Whether it is this very machine: a load test, or a proxy that nobody told us of. Everybody would seem to come from there."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return True


class Addresses:
    """Open connections by address."""

    def __init__(self, trusted_proxies: Sequence[str] = ()) -> None:
        self._proxies = [ip_network(network) for network in trusted_proxies]
        self._open: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[str]:
        return iter(self._open)

    def enter(self, address: str) -> int:
        """One more connection; gives how many there are now."""
        self._open[address] += 1
        return self._open[address]

    def leave(self, address: str) -> None:
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]

    def is_proxy(self, address: str) -> bool:
        """Whether its X-Forwarded-For is believed."""
        try:
            return any(ip_address(address) in network for network in self._proxies)
        except ValueError:
            return False

    def of_viewer(self, peer: str, forwarded_for: Sequence[str]) -> str:
        """The last address that is not a proxy of ours: what comes before it in X-Forwarded-For, anyone may have written."""
        if not self._proxies or not self.is_proxy(peer):
            return peer
        address = peer
        hops = [hop.strip() for line in forwarded_for for hop in line.split(",")]
        for hop in reversed(hops):
            try:
                ip_address(hop)
            except ValueError:
                return address
            address = hop
            if not self.is_proxy(hop):
                break
        return address
