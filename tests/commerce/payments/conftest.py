"""A server where the provider would stand, for each test of a provider."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.commerce.payments.provider_server import ProviderServer, provider_server


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with provider_server() as running:
        yield running
