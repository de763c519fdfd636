"""The composition root of a process that uses both SQL and Redis: web and worker build their parts here, once, in one way."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from commerce.after_sales import AfterSales
from commerce.checkout import Checkout
from commerce.clock import wall_clock_ms
from commerce.database import Database, create_database
from commerce.hot_ledger import HotLedger
from commerce.payments.cashier import Cashier
from commerce.payments.provider import Provider
from commerce.payments.sandbox import Sandbox
from commerce.sales import SaleDesk
from live import payment_providers, processes
from live.media.places import Places
from live.preflight import Preflight
from live.projector import Projector
from live.settings import Settings
from realtime.broker import Broker, connect_redis
from realtime.requests import Requests

ID_BYTES: Final = 10


def new_id(prefix: str) -> str:
    """`sl_k3j...`: 80 random bits in lower-case base 32, so that ids can't be guessed and survive being read aloud."""
    return f"{prefix}_{base64.b32encode(secrets.token_bytes(ID_BYTES)).decode().lower()}"


@dataclass(frozen=True, slots=True)
class Wiring:
    """The parts of one process. All of them end with the `connected` block."""

    settings: Settings
    database: Database
    redis: Redis
    hot_ledger: HotLedger
    broker: Broker
    requests: Requests
    projector: Projector
    sale_desk: SaleDesk
    checkout: Checkout
    sandbox: Sandbox
    providers: Mapping[str, Provider]
    cashier: Cashier
    after_sales: AfterSales
    media_places: Places
    preflight: Preflight


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[Wiring]:
    """Open SQL and Redis, build the parts, close all at the end. Raises CannotStart when Redis stays silent for 30 s."""
    await processes.wait_for_redis(settings.redis_url)
    async with AsyncExitStack() as stack:
        database = create_database(settings.database_url)
        stack.push_async_callback(database.aclose)
        redis = connect_redis(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        ledger = HotLedger(redis)
        broker = await Broker.connect(settings.redis_url)
        stack.push_async_callback(broker.aclose)
        sandbox = Sandbox(database, settings.key("sandbox webhook"), wall_clock_ms)
        providers = payment_providers.build(settings, sandbox)
        preflight = Preflight(redis, providers, wall_clock_ms)
        yield Wiring(
            settings=settings,
            database=database,
            redis=redis,
            hot_ledger=ledger,
            broker=broker,
            requests=Requests(broker),
            projector=Projector(database, ledger, broker),
            sale_desk=SaleDesk(
                database,
                ledger,
                wall_clock_ms,
                new_id,
                lights=preflight.lights,
            ),
            checkout=Checkout(database, ledger, settings.key("hold token"), wall_clock_ms, new_id),
            sandbox=sandbox,
            providers=providers,
            cashier=Cashier(database, ledger, providers, wall_clock_ms, new_id),
            after_sales=AfterSales(database, ledger, wall_clock_ms, new_id),
            media_places=Places(redis),
            preflight=preflight,
        )
