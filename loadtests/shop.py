"""A buyer and a seller over the real API and hub, who never give up on an answer: every call is repeated under its own key."""

from __future__ import annotations

import asyncio
import random
import uuid
from typing import Any, Final

import httpx

from realtime.client import RoomClient
from realtime.protocol import CommandError

ROOM: Final = "rm_demo"
ADDRESS: Final = {"line1": "1 Load Street", "city": "Shanghai", "postcode": "200000", "country": "CN"}
GOOD_CARD: Final = "4242424242424242"
DECLINED_CARD: Final = "4000000000000002"
SILENT_CARD: Final = "4000000000000341"
TWICE_CARD: Final = "4000000000000259"
DISORDERLY_CARD: Final = "4000000000003220"

TRY_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
TRY_AGAIN_CODES: Final = frozenset({"offline", "timeout", "internal", "not_joined"})
"""Besides those that say when to try again."""
FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 1.5
CALL_TIMEOUT_S: Final = 8.0


class Unanswered(Exception):
    """A call that got no final answer within its time."""


class Refused(Exception):
    """A final answer that says no; `code` is the problem's."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status, self.code = status, code


class Person:
    """An HTTP client with a cookie jar; `call` repeats a call under one Idempotency-Key until it has a final answer."""

    def __init__(self, web_url: str, give_up_s: float = 60.0) -> None:
        self.web_url = web_url
        self.give_up_s = give_up_s
        self.http = httpx.AsyncClient(base_url=web_url, timeout=CALL_TIMEOUT_S, trust_env=False)

    async def aclose(self) -> None:
        await self.http.aclose()

    async def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer's JSON. Raises Refused (final) or Unanswered."""
        key = uuid.uuid4().hex
        deadline_s = asyncio.get_running_loop().time() + self.give_up_s
        wait_s = FIRST_WAIT_S
        last = ""
        while asyncio.get_running_loop().time() < deadline_s:
            try:
                answer = await self.http.request(method, path, json=body, headers={"Idempotency-Key": key})
            except httpx.HTTPError as error:
                last = type(error).__name__
            else:
                if answer.status_code < 400:
                    return answer.json() if answer.content else None
                code = _code(answer)
                last = f"{answer.status_code} {code}"
                if answer.status_code not in TRY_AGAIN and code != "idempotency_in_progress":
                    raise Refused(answer.status_code, code)
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(LONGEST_WAIT_S, wait_s * 2)
        raise Unanswered(f"{method} {path}: {last}")

    async def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return await self.call("POST", path, body or {})

    async def get(self, path: str) -> Any:
        return await self.call("GET", path)


def _code(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("code", ""))
    except ValueError:
        return ""


class Buyer(Person):
    """A guest in the room. `room` is their connection; it comes back by itself."""

    room: RoomClient

    def __init__(self, web_url: str, give_up_s: float = 60.0) -> None:
        super().__init__(web_url, give_up_s)
        self.contact = f"{uuid.uuid4().hex}@example.com"

    async def enter(self, room_id: str = ROOM) -> None:
        """Become a guest and connect."""
        await self.post("/api/guests", {"nickname": f"buyer {uuid.uuid4().hex[:6]}"})
        first = await self.post(f"/api/rooms/{room_id}/tickets")
        unused = [first["ticket"]]

        async def get_ticket() -> str:
            if unused:
                return str(unused.pop())
            try:
                return str((await self.post(f"/api/rooms/{room_id}/tickets"))["ticket"])
            except (Refused, Unanswered) as error:
                raise OSError(str(error)) from error

        self.room = RoomClient(first["hub_url"], get_ticket, reconnect_min_s=0.2)
        await self.room.__aenter__()

    async def aclose(self) -> None:
        if hasattr(self, "room"):
            await self.room.__aexit__()
        await super().aclose()

    async def command(self, name: str, **params: Any) -> dict[str, Any]:
        """A command, sent again with the same parameters until it has a final answer. Raises CommandError or Unanswered."""
        deadline_s = asyncio.get_running_loop().time() + self.give_up_s
        last = ""
        while asyncio.get_running_loop().time() < deadline_s:
            try:
                reply = await self.room.command(name, **params)
            except CommandError as error:
                last = error.code
                if error.code not in TRY_AGAIN_CODES and "retry_after_ms" not in error.extra:
                    raise
            else:
                last = str(reply.get("reason"))
                if last != "not_loaded":  # the sale is being rebuilt after Redis lost it
                    return reply
            await asyncio.sleep(random.uniform(0.1, 0.5))
        raise Unanswered(f"{name}: {last}")

    async def tap(self, sale_id: str, quantity: int = 1) -> dict[str, Any]:
        """The decision on one tap on Buy."""
        request_id = uuid.uuid4().hex
        return await self.command("hold", request_id=request_id, sale_id=sale_id, quantity=quantity)

    async def order(self, token: str) -> Any:
        """The order that a hold becomes."""
        return await self.post(
            "/api/orders",
            {"hold_token": token, "name": "Load Tester", "address": {**ADDRESS, "contact": self.contact}},
        )

    async def pay(self, order_id: str, card: str) -> Any:
        """One try to pay: {payment, order}."""
        return await self.post(f"/api/orders/{order_id}/payments", {"method": "card", "card_number": card})


class Seller(Person):
    """The room's host at the sale desk."""

    async def sign_in(self, email: str, password: str) -> None:
        await self.post("/api/sessions", {"email": email, "password": password})

    async def variants(self, room_id: str = ROOM) -> list[dict[str, Any]]:
        """What can be sold, the fullest shelf first."""
        room = await self.get(f"/api/rooms/{room_id}")
        found = [variant for product in room["products"] for variant in product["variants"]]
        return sorted(found, key=lambda one: -int(one["stock"]))

    async def open_sale(self, terms: dict[str, Any], room_id: str = ROOM) -> str:
        """Make, arm and fire a sale; gives its id. It opens when its countdown ends."""
        sale_id = str((await self.post(f"/api/rooms/{room_id}/sales", terms))["sale_id"])
        for action in ("validate", "arm", "fire"):
            await self.post(f"/api/sales/{sale_id}/{action}")
        return sale_id
