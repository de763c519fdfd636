"""What every test may use: one real Redis for the whole run. Tests keep apart by room ids of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services import redis_server


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real redis-server, shared by the run, empty at its start."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url
