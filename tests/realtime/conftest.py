"""A broker on the run's Redis, and a room of its own for each test."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from realtime import broker as broker_module
from realtime import cluster_pubsub, pubsub
from realtime.broker import Broker


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that hub processes run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
def quick_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peak counts at once (at the second look)."""
    monkeypatch.setattr(broker_module, "PEAK_HOLDS_MS", 0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that is gone is missed, and one that is back is found, in a fraction of a second."""
    monkeypatch.setattr(pubsub, "PROBE_INTERVAL_S", 0.1)
    monkeypatch.setattr(pubsub, "PROBE_TIMEOUT_S", 0.5)
    monkeypatch.setattr(pubsub, "CONNECT_TIMEOUT_S", 0.5)
    monkeypatch.setattr(pubsub, "RECONNECT_MAX_S", 0.2)
    monkeypatch.setattr(cluster_pubsub, "TOPOLOGY_POLL_S", 0.5)
    monkeypatch.setattr(broker_module, "SOCKET_TIMEOUT_S", 0.5)


@pytest.fixture
def room_id() -> str:
    """A room no other test knows."""
    return f"rm_{secrets.token_hex(6)}"


@pytest.fixture
async def broker(redis_url: str) -> AsyncIterator[Broker]:
    """A broker on the shared Redis."""
    broker = await Broker.connect(redis_url)
    yield broker
    await broker.aclose()
