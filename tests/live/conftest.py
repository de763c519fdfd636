"""The web app in this process, on a real Redis and a migrated SQLite, with a small shop in a room of its own."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from commerce import catalogue
from commerce.catalogue import Product, Variant
from commerce.clock import wall_clock_ms
from live import identity, migrations, people, rooms
from live.app import attach, create_app
from live.metrics import WorkerMetrics
from live.settings import Settings
from live.wiring import Wiring, connected, new_id
from live.worker import Worker

PASSWORD = "correct horse battery"
PASSWORD_HASH = identity.hash_password(PASSWORD)
CARD, DECLINED_CARD = "4242424242424242", "4000000000000002"
ADDRESS = {
    "contact": "+86 138 0013 8000",
    "line1": "1 Nanjing Road",
    "city": "Shanghai",
    "postcode": "200000",
    "country": "CN",
}
STAFF = ("moderator", "analyst", "seller", "host", "owner")


class Browser:
    """A client with its own cookies that sends an idempotency key with every unsafe call."""

    def __init__(self, app: Starlette, address: str) -> None:
        transport = httpx.ASGITransport(app, client=(address, 40_000))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        headers = {"Idempotency-Key": uuid.uuid4().hex, **options.pop("headers", {})}
        if method == "GET":
            return await self.http.get(path, headers=headers, **options)
        if body is None and "content" not in options:
            return await self.http.request(method, path, headers=headers, **options)
        return await self.http.request(method, path, headers=headers, json=body, **options)

    async def get(self, path: str) -> httpx.Response:
        return await self.call("GET", path)

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        return await self.call("POST", path, {} if body is None else body, **options)


@dataclass
class Shop:
    """The app, its parts, and one room with two products."""

    app: Starlette
    wiring: Wiring
    room_id: str
    variant_id: str
    product_id: str
    browsers: list[Browser] = field(default_factory=list)

    def browser(self) -> Browser:
        # Every shop has an address of its own: limits are counted in the Redis that all tests share.
        self.browsers.append(Browser(self.app, f"test-{self.room_id}"))
        return self.browsers[-1]

    async def guest(self, nickname: str = "Ann") -> Browser:
        browser = self.browser()
        answer = await browser.post("/api/guests", {"nickname": nickname})
        assert answer.status_code == 201, answer.text
        return browser

    async def staff(self, role: str) -> Browser:
        """Somebody signed in with that role in the room."""
        browser = self.browser()
        answer = await browser.post("/api/sessions", {"email": f"{role}@example.com", "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        return browser

    async def open_sale(self, host: Browser, **terms: Any) -> dict[str, Any]:
        """A sale that takes taps now."""
        body = {
            "variant_id": self.variant_id,
            "price_minor": 5000,
            "quota": 2,
            "countdown_ms": 0,
            "duration_ms": 600_000,
            **terms,
        }
        created = await host.post(f"/api/rooms/{self.room_id}/sales", body)
        assert created.status_code == 201, created.text
        sale_id = created.json()["sale_id"]
        for action in ("arm", "fire"):
            answer = await host.post(f"/api/sales/{sale_id}/{action}")
            assert answer.status_code == 200, answer.text
        await self.wiring.sale_desk.tick()
        sale: dict[str, Any] = (await host.get(f"/api/sales/{sale_id}")).json()
        assert sale["state"] == "open"
        return sale


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy: migrating takes longer than most tests."""
    path = tmp_path_factory.mktemp("empty") / "flashroom.db"
    migrations.upgrade(f"sqlite+aiosqlite:///{path}")
    return path


@pytest.fixture
def settings(tmp_path: Path, redis_url: str, empty_database: Path) -> Settings:
    shutil.copy(empty_database, tmp_path / "flashroom.db")
    environment = {"FLASHROOM_DATA_DIR": str(tmp_path), "FLASHROOM_REDIS_URL": redis_url}
    return Settings.read({**environment, "FLASHROOM_COOL_DOWN_S": "0"})  # tests don't look twice


@pytest.fixture
async def shop(settings: Settings) -> AsyncIterator[Shop]:
    async with opened(settings) as made:
        yield made


@pytest.fixture
async def worker(shop: Shop) -> AsyncIterator[Worker]:
    async with httpx.AsyncClient() as client:
        yield Worker(shop.wiring, client, WorkerMetrics())


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Shop]:
    """A shop on a migrated database; its browsers close with the block."""
    app = create_app(settings)
    async with connected(settings) as wiring:
        attach(app, wiring)
        room_id = new_id("rm")
        await _fill(wiring, room_id)
        made = Shop(app, wiring, room_id, "va_mug_blue", "pr_mug")
        yield made
        await app.state.tellers.aclose()
        for browser in made.browsers:
            await browser.http.aclose()


async def _fill(wiring: Wiring, room_id: str) -> None:
    now_ms = wall_clock_ms()
    async with wiring.database.begin() as c:
        for name in ("mug", "lamp"):
            await catalogue.put_product(c, _product(name))
        await rooms.create(
            c,
            room_id=room_id,
            title={"en": "Evening show", "zh": "今晚好物"},
            host_name="Ana",
            rehearsal=False,
            product_ids=["pr_mug", "pr_lamp"],
            now_ms=now_ms,
        )
        for role in STAFF:
            await identity.add_user(
                c,
                user_id=f"us_{role}",
                email=f"{role}@example.com",
                name=role.title(),
                password_hash=PASSWORD_HASH,
                now_ms=now_ms,
            )
            await people.give(c, room_id, f"us_{role}", role)


def _product(name: str) -> Product:
    variants = tuple(
        Variant(
            variant_id=f"va_{name}_{colour}",
            product_id=f"pr_{name}",
            title={"en": colour, "zh": colour},
            price_minor=9900,
            on_hand=50,
        )
        for colour in ("blue", "red")
    )
    return Product(
        product_id=f"pr_{name}",
        title={"en": name, "zh": name},
        description={"en": name, "zh": name},
        picture="mug",
        currency="CNY",
        variants=variants,
    )
