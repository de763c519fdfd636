"""A whole show as real processes: it goes on when one of them is killed, and its ghosts are counted apart."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from live.seed import ROOM_ID
from loadtests.show import Show
from realtime.client import RoomClient
from tests.services import wait_until, wait_until_sync

GHOSTS = 10
CARD = "4242424242424242"
ADDRESS = {
    "contact": "+86 138 0013 8000",
    "line1": "1 Nanjing Road",
    "city": "Shanghai",
    "postcode": "200000",
    "country": "CN",
}


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Show]:
    with Show(
        tmp_path_factory.mktemp("show"),
        hub_processes=2,
        ghosts=GHOSTS,
        environment={
            "FLASHROOM_RATE_LIMITS": "off"
        },  # the tests ask all the time whether something has happened
    ) as running:
        yield running


@pytest.fixture
def haunted(show: Show) -> Iterator[Show]:
    """The show with its ghosts; they are gone for the other tests, where they would buy what the test is after."""
    show.start("ghosts")
    yield show
    show.signal("ghosts", signal.SIGTERM)
    assert show.processes["ghosts"].wait(10) == 0
    # Else the next test takes these for its own.
    wait_until_sync(lambda: stats(host(show))["ghosts"] == 0, 20, "the ghosts to be gone")


class Person:
    """A browser's worth of HTTP: cookies, and an idempotency key with every call."""

    def __init__(self, show: Show) -> None:
        self.http = httpx.Client(base_url=show.web_url, timeout=20)

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.http.post(path, json=body or {}, headers={"Idempotency-Key": uuid.uuid4().hex})
        assert answer.status_code < 400, answer.text
        return dict(answer.json()) if answer.content else {}

    def ticket(self) -> str:
        return str(self.post(f"/api/rooms/{ROOM_ID}/tickets")["ticket"])


def guest(show: Show, name: str) -> Person:
    person = Person(show)
    person.post("/api/guests", {"nickname": name})
    return person


def host(show: Show) -> Person:
    person = Person(show)
    email, password = show.host_sign_in()
    person.post("/api/sessions", {"email": email, "password": password})
    return person


def fire(desk: Person, variant_id: str, **terms: Any) -> str:
    body = {
        "variant_id": variant_id,
        "price_minor": 1000,
        "quota": 3,
        "countdown_ms": 0,
        "duration_ms": 600_000,
    }
    sale_id = str(desk.post(f"/api/rooms/{ROOM_ID}/sales", {**body, **terms})["sale_id"])
    for action in ("arm", "fire"):
        desk.post(f"/api/sales/{sale_id}/{action}")
    return sale_id


def stats(desk: Person) -> dict[str, Any]:
    return dict(desk.http.get(f"/api/rooms/{ROOM_ID}/stats").json())


def client(show: Show, person: Person) -> RoomClient:
    async def get_ticket() -> str:
        return person.ticket()

    return RoomClient(show.hub_url, get_ticket, reconnect_min_s=0.1)


def state_of(viewer: RoomClient, sale_id: str) -> str | None:
    value = viewer.values.get(f"sale:{sale_id}")
    return value[1]["state"] if value and value[1] else None


async def test_ghosts_join_and_are_never_counted_as_people(haunted: Show) -> None:
    desk = host(haunted)
    wait_until_sync(lambda: stats(desk)["ghosts"] == GHOSTS, 30, "all ghosts")
    assert stats(desk)["watching"] == 0
    async with client(haunted, guest(haunted, "Ann")) as viewer:
        await wait_until(lambda: stats(desk)["watching"] == 1, 10, "one person")
        assert viewer.values["watching"][1]["peak"] <= 1
    assert stats(desk)["ghosts"] == GHOSTS


async def test_ghosts_buy_when_a_sale_opens_and_their_orders_are_marked(haunted: Show) -> None:
    desk = host(haunted)
    wait_until_sync(lambda: stats(desk)["ghosts"] == GHOSTS, 30, "all ghosts")
    sale_id = fire(desk, "va_scarf_red", quota=14)
    wait_until_sync(lambda: stats(desk)["orders"]["ghost_placed"] >= 1, 40, "a ghost's order")
    orders = desk.http.get(f"/api/rooms/{ROOM_ID}/orders").json()["orders"]
    assert all(order["ghost"] for order in orders if order["sale_id"] == sale_id)
    assert stats(desk)["orders"]["placed"] == 0
    desk.post(f"/api/sales/{sale_id}/end", {"reason": "host"})


async def test_the_show_goes_on_when_a_hub_is_killed(show: Show) -> None:
    desk = host(show)
    people = [guest(show, f"viewer {number}") for number in range(6)]
    clients = [client(show, person) for person in people]
    try:
        for one in clients:
            await one.__aenter__()
        heard: set[int] = set()
        for number, one in enumerate(clients):
            one.on_event = lambda _, type_, data, n=number: heard.add(n) if type_ == "announcement" else None
        show.kill("hub.0")
        desk.post(f"/api/rooms/{ROOM_ID}/announcements", {"text": "still here"})
        await wait_until(lambda: len(heard) == len(clients), 20, "everybody to hear it")
        assert all(one.jumps == 0 for one in clients), "a rejoin within the kept history misses nothing"
    finally:
        for one in clients:
            await one.__aexit__()
        show.start("hub.0")


async def test_the_show_goes_on_when_the_worker_is_killed(show: Show) -> None:
    """Holds and checkouts need no worker; timers and the relay catch up when one is back."""
    desk, buyer = host(show), guest(show, "Ben")
    sale_id = fire(desk, "va_teapot_pearl", price_minor=50_000, hold_ms=5_000)
    async with client(show, buyer) as viewer:
        await wait_until(lambda: state_of(viewer, sale_id) == "open", 10, "the opening")
        show.kill("worker")
        decision = await viewer.command("hold", request_id=uuid.uuid4().hex, sale_id=sale_id, quantity=1)
        assert decision["decision"] == "granted"
        told: list[dict[str, Any]] = []
        viewer.on_personal = lambda type_, data: told.append(data) if type_ == "order" else None
        body = {"hold_token": decision["token"], "name": "Ben", "address": ADDRESS}
        order = buyer.post("/api/orders", body)
        paid = buyer.post(
            f"/api/orders/{order['order_id']}/payments", {"method": "card", "card_number": CARD}
        )
        assert paid["order"]["state"] == "paid"
        desk.post(f"/api/sales/{sale_id}/end", {"reason": "host"})
        assert told == []
        show.start("worker")
        await wait_until(lambda: [one["state"] for one in told] == ["placed", "paid"], 20, "the relay")
        await wait_until(lambda: state_of(viewer, sale_id) == "published", 40, "the sale to settle")
    sale = desk.http.get(f"/api/sales/{sale_id}").json()
    assert (sale["stock"]["sold"], sale["stock"]["held"], sale["stock"]["available"]) == (1, 0, 0)


async def test_an_unpaid_hold_comes_back_by_itself(show: Show) -> None:
    desk, buyer = host(show), guest(show, "Cleo")
    sale_id = fire(desk, "va_keyboard_linear", quota=1, hold_ms=1_000, price_minor=20_000)
    async with client(show, buyer) as viewer:
        expired: list[str] = []
        viewer.on_personal = lambda type_, data: (
            expired.append(data["hold_id"]) if type_ == "hold_expired" else None
        )
        await wait_until(lambda: state_of(viewer, sale_id) == "open", 10, "the opening")
        decision = await viewer.command("hold", request_id=uuid.uuid4().hex, sale_id=sale_id, quantity=1)
        await wait_until(lambda: decision["hold_id"] in expired, 20, "the hold to end")
        await wait_until(
            lambda: viewer.values[f"stock:{sale_id}"][1]["available"] == 1, 20, "the unit to come back"
        )
    desk.post(f"/api/sales/{sale_id}/end", {"reason": "host"})


async def test_redis_killed_and_started_again_loses_no_hold_and_no_unit(show: Show) -> None:
    desk, buyer = host(show), guest(show, "Dora")
    sale_id = fire(desk, "va_headphones_night", quota=2, price_minor=70_000)
    async with client(show, buyer) as viewer:
        await wait_until(lambda: state_of(viewer, sale_id) == "open", 10, "the opening")
        decision = await viewer.command("hold", request_id=uuid.uuid4().hex, sale_id=sale_id, quantity=1)
        assert decision["decision"] == "granted"
        await asyncio.sleep(1.1)  # everysec: what Redis has acknowledged for longer than this is on disk
        show.kill("redis")
        show.start("redis")

        async def paid() -> bool:
            body = {"hold_token": decision["token"], "name": "Dora", "address": ADDRESS}
            answer = buyer.http.post("/api/orders", json=body, headers={"Idempotency-Key": uuid.uuid4().hex})
            if answer.status_code >= 500:
                return False
            assert answer.status_code == 201, answer.text
            order_id = answer.json()["order_id"]
            return (
                buyer.post(f"/api/orders/{order_id}/payments", {"method": "card", "card_number": CARD})[
                    "order"
                ]["state"]
                == "paid"
            )

        await wait_until(paid, 20, "the checkout after the restart")
        await wait_until(lambda: viewer.values[f"stock:{sale_id}"][1]["sold"] >= 1, 20, "the numbers")
    desk.post(f"/api/sales/{sale_id}/end", {"reason": "host"})
    assert "BROKEN" not in show.run("doctor")
