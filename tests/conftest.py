"""What every test may use: one real Redis for the whole run. Tests keep apart by room ids of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.services import redis_server

BROWSER = ("tests/browser/", "tests/loadtests/test_bench_page.py", "tests/loadtests/test_bench_video.py")


class OneBrowserAtATime(LoadFileScheduling):
    """A file's tests stay together, and all that drive a browser follow each other: two at once take each other's cores."""

    def _split_scope(self, nodeid: str) -> str:
        return "browser" if nodeid.startswith(BROWSER) else super()._split_scope(nodeid)  # type: ignore[no-any-return]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneBrowserAtATime:
    return OneBrowserAtATime(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browsers first: they take longest, and the rest of the suite fills the other processes meanwhile."""
    items.sort(key=lambda item: not item.nodeid.startswith(BROWSER))
    for item in items:
        drives_one = item.get_closest_marker("browser") is not None
        assert not drives_one or item.nodeid.startswith(BROWSER), f"{item.nodeid} belongs in BROWSER"


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real redis-server, shared by the run, empty at its start."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url
