from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.addresses import Addresses


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "viewer"),
    [
        ("192.0.2.1", ["198.51.100.1"], "192.0.2.1"),  # not a proxy of ours
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.1"], "198.51.100.1"),  # the first is the client's own claim
        ("10.0.0.1", ["203.0.113.9, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", ["10.0.0.7, 10.0.0.2"], "10.0.0.7"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_the_viewer_is_the_last_hop_that_is_not_ours(
    peer: str, forwarded_for: list[str], viewer: str
) -> None:
    assert Addresses(["10.0.0.0/8"]).of_viewer(peer, forwarded_for) == viewer


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert Addresses().of_viewer("10.0.0.1", ["198.51.100.1"]) == "10.0.0.1"


@given(st.lists(st.text(max_size=40), max_size=4))
def test_no_header_crashes_it(lines: list[str]) -> None:
    Addresses(["0.0.0.0/0", "::/0"]).of_viewer("127.0.0.1", lines)


def test_addresses_without_connections_are_forgotten() -> None:
    addresses = Addresses()
    assert [addresses.enter(one) for one in ("a", "a", "b")] == [1, 2, 1]
    addresses.leave("a")
    assert set(addresses) == {"a", "b"}
    addresses.leave("a")
    addresses.leave("b")
    assert not addresses
