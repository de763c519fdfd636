"""What every test may use: one real Redis for the whole run. Tests keep apart by room ids of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.services import redis_server


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what belongs together for `--dist loadgroup`: a file's tests, and all that drive a browser.

    Browsers come one after another, since two at once would take each other's cores; and they come first, since they take longest.
    """
    items.sort(key=lambda item: item.get_closest_marker("browser") is None)
    for item in items:
        is_browser = item.get_closest_marker("browser") is not None
        item.add_marker(pytest.mark.xdist_group("browser" if is_browser else item.nodeid.split("::")[0]))


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real redis-server, shared by the run, empty at its start."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url
