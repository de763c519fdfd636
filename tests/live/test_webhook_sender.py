"""Messages go to merchants over real HTTP, and never into our own network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from live.webhook_sender import WebhookSender, is_public
from tests.commerce.payments.provider_server import ProviderServer, provider_server


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with provider_server() as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as made:
        yield made


async def test_a_message_arrives_with_its_headers_under_the_merchants_name(
    server: ProviderServer, client: httpx.AsyncClient
) -> None:
    server.answer = lambda asked: (204, {}, b"")
    url = server.url.replace("127.0.0.1", "localhost") + "/hooks?shop=1"
    sender = WebhookSender(client, allow_private=True)
    assert await sender.post(url, {"webhook-id": "evt_1"}, b"{}") == (204, None)
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.query, asked.body) == ("POST", "/hooks", {"shop": "1"}, b"{}")
    assert asked.headers["host"] == url.split("/")[2]
    assert asked.headers["webhook-id"] == "evt_1"


async def test_redirects_are_not_followed(server: ProviderServer, client: httpx.AsyncClient) -> None:
    server.answer = lambda asked: (302, {"Location": server.url + "/inside"}, b"")
    assert await WebhookSender(client, allow_private=True).post(server.url, {}, b"{}") == (302, None)
    assert len(server.asked) == 1


async def test_our_own_network_is_refused_before_anything_is_sent(
    server: ProviderServer, client: httpx.AsyncClient
) -> None:
    sender = WebhookSender(client, allow_private=False)
    for url in (
        server.url,
        server.url.replace("127.0.0.1", "localhost"),
        "http://[::1]:1/",
        "http://10.0.0.1/",
    ):
        status, error = await sender.post(url, {}, b"{}")
        assert status == 0
        assert error is not None
        assert "private network" in error
    assert not server.asked


async def test_no_answer_is_an_answer_too(server: ProviderServer, client: httpx.AsyncClient) -> None:
    server.answer = lambda asked: (0, {}, b"")
    status, error = await WebhookSender(client, allow_private=True).post(server.url, {}, b"{}")
    assert (status, error is not None) == (0, True)
    status, error = await WebhookSender(client, allow_private=True).post("http://name.invalid/", {}, b"{}")
    assert (status, error) == (0, "the name name.invalid is not known")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:127.0.0.1", False),
        ("2002:7f00:1::", False),
        ("224.0.0.1", False),
    ],
)
def test_what_is_public(address: str, public: bool) -> None:
    assert is_public(address) is public
