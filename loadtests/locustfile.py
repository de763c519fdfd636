"""A live show under load: viewers who watch and chat, shoppers who buy, one host who fires sales.

Run it with `make load` (headless) or `make load LOAD_UI=1` (locust's web page), against a show that is running. Statistics under the
type `ws` are measured here, in ms: `join` (connect until JOINED), `delivery delay` (server's stamp of a comment until it is read),
`hold decision` (tap until answer), `checkout` (order until paid). The run fails when a sale's sums do not hold or when it oversold.

locust patches sockets and threads for the whole process, so nothing else may import this module.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable
from typing import Any

import gevent
import msgpack
import websocket
from gevent.event import AsyncResult
from gevent.lock import BoundedSemaphore
from locust import FastHttpUser, between, constant, events, task
from locust.env import Environment

ROOM_ID = os.environ.get("FLASHROOM_LOAD_ROOM", "rm_demo")
HOST_EMAIL = os.environ.get("FLASHROOM_LOAD_HOST_EMAIL", "host@flashroom.local")
HOST_PASSWORD = os.environ.get("FLASHROOM_LOAD_HOST_PASSWORD", "")

TICK, REPLY, PERSONAL, JOINED = 1, 2, 3, 4
REPLY_TIMEOUT_S = 10.0
SALE_QUOTA = 40
SALE_DURATION_MS = 20_000
GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"
COMMENTS = (
    "还有货吗？",
    "What sizes are left?",
    "主播好！",
    "Just bought one!",
    "这个颜色好看",
    "Does it ship abroad?",
)

type_of_statistic = "ws"


def report(environment: Environment, name: str, started_s: float, error: Exception | None = None) -> None:
    """Enter one measurement (since `started_s`, a `time.perf_counter` reading) into locust's statistics."""
    environment.events.request.fire(
        request_type=type_of_statistic,
        name=name,
        response_time=(time.perf_counter() - started_s) * 1000,
        response_length=0,
        exception=error,
        context={},
    )


class RoomSocket:
    """One viewer's WebSocket: commands with replies, and the room's values as they move."""

    def __init__(self, environment: Environment, hub_url: str, ticket: str, origin: str) -> None:
        self.environment = environment
        self.values: dict[str, list[Any]] = {}
        self.on_value: Callable[[str, dict[str, Any]], None] | None = None
        self._replies: dict[int, AsyncResult[list[Any]]] = {}
        self._next_id = 1
        self._send_lock = BoundedSemaphore()
        started_s = time.perf_counter()
        self._socket = websocket.create_connection(
            hub_url, subprotocols=["flashroom.v1.msgpack"], origin=origin, timeout=REPLY_TIMEOUT_S
        )
        self._socket.send_binary(
            msgpack.packb([self._take_id(), "join", {"ticket": ticket, "personal_offset": 0}])
        )
        while True:
            message = msgpack.unpackb(self._socket.recv())
            if message[0] == JOINED:
                break
            if message[0] == REPLY and not message[2]:
                raise ConnectionError(f"join refused: {message[3]}")
        report(environment, "join", started_s)
        self._take_values(message[1]["values"])
        self._socket.settimeout(None)
        self._reader = gevent.spawn(self._read)

    def _take_id(self) -> int:
        taken = self._next_id
        self._next_id += 1
        return taken

    def _take_values(self, values: dict[str, list[Any]]) -> None:
        for key, value in values.items():
            known = self.values.get(key)
            if known is None or value[0] > known[0]:
                self.values[key] = value
                if self.on_value is not None:
                    self.on_value(key, value[1])

    def _read(self) -> None:
        while True:
            try:
                data = self._socket.recv()
            except (websocket.WebSocketException, OSError):
                return
            if not data:
                return
            message = msgpack.unpackb(data)
            if message[0] == TICK:
                now_ms = time.time() * 1000
                for kind, event in message[4]:
                    if kind == "comment":
                        delay_s = max(0.0, now_ms - event["at_ms"]) / 1000
                        report(self.environment, "delivery delay", time.perf_counter() - delay_s)
                self._take_values(message[5])
            elif message[0] == REPLY:
                waiting = self._replies.pop(message[1], None)
                if waiting is not None:
                    waiting.set(message)

    def command(self, name: str, params: dict[str, Any]) -> dict[str, Any]:
        """Send a command and wait for its reply; raises ConnectionError when it is refused, gevent.Timeout after 10 s."""
        command_id = self._take_id()
        waiting: AsyncResult[list[Any]] = AsyncResult()
        self._replies[command_id] = waiting
        with self._send_lock:
            self._socket.send_binary(msgpack.packb([command_id, name, params]))
        reply = waiting.get(timeout=REPLY_TIMEOUT_S)
        if not reply[2]:
            raise ConnectionError(f"{name} refused: {reply[3].get('code')}")
        return dict(reply[3])

    def close(self) -> None:
        self._socket.close()
        self._reader.join(timeout=2)


def unsafe_headers() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


class RoomUser(FastHttpUser):
    """A guest with a nickname and a socket."""

    abstract = True
    room: RoomSocket

    def on_start(self) -> None:
        self.client.post(
            "/api/guests", json={"nickname": f"load-{uuid.uuid4().hex[:8]}"}, headers=unsafe_headers()
        )
        answer = self.client.post(
            f"/api/rooms/{ROOM_ID}/tickets", json={}, headers=unsafe_headers(), name="/api/rooms/[id]/tickets"
        ).json()
        self.room = RoomSocket(self.environment, answer["hub_url"], answer["ticket"], str(self.host))

    def on_stop(self) -> None:
        self.room.close()


class Viewer(RoomUser):
    """Watches, likes, now and then says something."""

    weight = 6
    wait_time = between(1, 4)

    @task(3)
    def like(self) -> None:
        self.room.command("like", {"count": random.randint(1, 8)})

    @task(1)
    def comment(self) -> None:
        started_s = time.perf_counter()
        try:
            self.room.command("comment", {"text": random.choice(COMMENTS)})
        except ConnectionError as error:
            # A refused comment (slow mode, rate limit) is an answer, not a fault of the run.
            if "rate_limited" not in str(error) and "slow_mode" not in str(error):
                report(self.environment, "comment", started_s, error)
        else:
            report(self.environment, "comment", started_s)


class Shopper(RoomUser):
    """Taps Buy when a sale is open, and pays for what is held; every fifth card is declined first."""

    weight = 3
    wait_time = between(0.5, 2)

    @task
    def buy(self) -> None:
        open_sales = [
            value[1]["sale_id"]
            for key, value in self.room.values.items()
            if key.startswith("sale:") and value[1]["state"] == "open"
        ]
        if not open_sales:
            return
        sale_id = random.choice(open_sales)
        started_s = time.perf_counter()
        try:
            decision = self.room.command(
                "hold", {"request_id": uuid.uuid4().hex, "sale_id": sale_id, "quantity": 1}
            )
        except (ConnectionError, gevent.Timeout) as error:
            report(self.environment, "hold decision", started_s, Exception(str(error)))
            return
        report(self.environment, "hold decision", started_s)
        if decision["decision"] == "granted":
            self.check_out(decision["token"])

    def check_out(self, token: str) -> None:
        started_s = time.perf_counter()
        contact = f"{uuid.uuid4().hex[:12]}@example.com"
        address = {
            "contact": contact,
            "line1": "1 Load Street",
            "city": "Shanghai",
            "postcode": "200000",
            "country": "CN",
        }
        with self.client.post(
            "/api/orders",
            json={"hold_token": token, "name": "Load Tester", "address": address},
            headers=unsafe_headers(),
            catch_response=True,
        ) as answer:
            if answer.status_code == 409:  # a late or surplus hold refused by SQL is an explained answer
                answer.success()
            if answer.status_code >= 400:
                return
            order_id = answer.json()["order_id"]
        cards = [DECLINED_CARD, GOOD_CARD] if random.random() < 0.2 else [GOOD_CARD]
        paid = False
        for card in cards:
            answer = self.client.post(
                f"/api/orders/{order_id}/payments",
                json={"method": "card", "card_number": card},
                headers=unsafe_headers(),
                name="/api/orders/[id]/payments",
            )
            paid = answer.status_code < 400 and answer.json()["payment"]["state"] == "succeeded"
        report(self.environment, "checkout", started_s, None if paid else Exception("order not paid"))


class Host(FastHttpUser):
    """Makes, arms and fires one sale after another on the room's products, and checks each one's sums."""

    fixed_count = 1
    wait_time = constant(2)

    def on_start(self) -> None:
        self.client.post(
            "/api/sessions", json={"email": HOST_EMAIL, "password": HOST_PASSWORD}, headers=unsafe_headers()
        )
        self.variants = [
            variant
            for product in self.client.get(f"/api/rooms/{ROOM_ID}", name="/api/rooms/[id]").json()["products"]
            for variant in product["variants"]
        ]
        random.shuffle(self.variants)
        self.sale_id: str | None = None

    def act(self, sale_id: str, action: str, body: dict[str, Any] | None = None) -> bool:
        answer = self.client.post(
            f"/api/sales/{sale_id}/{action}",
            json=body or {},
            headers=unsafe_headers(),
            name=f"/api/sales/[id]/{action}",
        )
        return bool(answer.status_code < 400)

    @task
    def run_a_sale(self) -> None:
        if self.sale_id is not None:
            sale = self.client.get(f"/api/sales/{self.sale_id}", name="/api/sales/[id]").json()
            check_sums(self.environment, sale)
            if sale["state"] in ("armed", "countdown", "open", "paused"):
                return
        if not self.variants:
            return
        variant = self.variants.pop()
        quota = min(SALE_QUOTA, variant["stock"])
        if quota < 1:
            return
        with self.client.post(
            f"/api/rooms/{ROOM_ID}/sales",
            json={
                "variant_id": variant["variant_id"],
                "price_minor": max(1, variant["price_minor"] // 2),
                "quota": quota,
                "limit_per_buyer": 2,
                "hold_ms": 30_000,
                "duration_ms": SALE_DURATION_MS,
                "countdown_ms": 3_000,
                "rule": "first_come",
            },
            headers=unsafe_headers(),
            name="/api/rooms/[id]/sales",
            catch_response=True,
        ) as answer:
            if answer.status_code == 409:  # another sale is using this variant: take the next one
                answer.success()
            if answer.status_code >= 400:
                return
            self.sale_id = answer.json()["sale_id"]
        assert self.sale_id is not None
        if self.act(self.sale_id, "validate") and self.act(self.sale_id, "arm"):
            self.act(self.sale_id, "fire")

    def on_stop(self) -> None:
        for sale in self.client.get(f"/api/rooms/{ROOM_ID}/sales", name="/api/rooms/[id]/sales").json()[
            "sales"
        ]:
            check_sums(self.environment, sale)


oversold: list[str] = []


def check_sums(environment: Environment, sale: dict[str, Any]) -> None:
    """Record a sale whose three numbers do not add up to its quota, or which sold more than its terms offered (nobody adds stock here)."""
    stock = sale.get("stock")
    if not stock:
        return
    total = stock["available"] + stock["held"] + stock["sold"]
    if (
        total != stock["quota"]
        or stock["sold"] > sale["quota"]
        or min(stock["available"], stock["held"], stock["sold"]) < 0
    ):
        oversold.append(sale["sale_id"])


@events.quitting.add_listener
def fail_when_oversold(environment: Environment, **_: Any) -> None:
    if oversold:
        print(f"FAILED: the sums of these sales do not hold: {', '.join(sorted(set(oversold)))}")
        environment.process_exit_code = 2
    elif environment.stats.total.num_requests == 0:
        print("FAILED: nothing was measured")
        environment.process_exit_code = 3
    else:
        print("No sale oversold; every sum seen was equal to its quota.")
