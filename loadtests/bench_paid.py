"""From the tap on Buy to the paid order, through real hub, web and worker processes."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import httpx

from loadtests.bench_tools import quantiles_ms
from loadtests.show import Show
from realtime.client import RoomClient

ROOM = "rm_demo"
SHOPPING_AT_ONCE = 8
ADDRESS = {"line1": "1 Load Street", "city": "Shanghai", "postcode": "200000", "country": "CN"}
CARD = {"method": "card", "card_number": "4242424242424242"}


async def post(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> Any:
    """The answer's JSON; raises HTTPStatusError with its problem."""
    answer = await http.post(path, json=body, headers={"Idempotency-Key": uuid.uuid4().hex})
    if answer.is_error:
        raise RuntimeError(f"{path}: {answer.status_code} {answer.text}")
    return answer.json()


async def open_sale(http: httpx.AsyncClient, email: str, password: str, quota: int) -> str:
    """The demo host signs in and opens a sale; gives its id."""
    await post(http, "/api/sessions", {"email": email, "password": password})
    room = (await http.get(f"/api/rooms/{ROOM}")).json()
    variants = [variant for product in room["products"] for variant in product["variants"]]
    variant = max(variants, key=lambda one: int(one["stock"]))
    terms = {
        "variant_id": variant["variant_id"],
        "price_minor": 100,
        "quota": min(quota, variant["stock"]),
        "limit_per_buyer": 1,
        "hold_ms": 60_000,
        "duration_ms": 600_000,
        "countdown_ms": 0,
        "rule": "first_come",
    }
    sale_id = str((await post(http, f"/api/rooms/{ROOM}/sales", terms))["sale_id"])
    for action in ("validate", "arm", "fire"):
        await post(http, f"/api/sales/{sale_id}/{action}", {})
    for _ in range(400):
        if (await http.get(f"/api/sales/{sale_id}")).json()["state"] == "open":
            return sale_id
        await asyncio.sleep(0.05)
    raise TimeoutError("the sale did not open")


async def buy(web_url: str, sale_id: str) -> tuple[float, float] | None:
    """Seconds from tap to decision and from tap to paid; None when every unit was gone."""
    async with httpx.AsyncClient(base_url=web_url, timeout=30) as http:
        await post(http, "/api/guests", {"nickname": "shopper"})
        ticket = await post(http, f"/api/rooms/{ROOM}/tickets", {})

        async def get_ticket() -> str:
            return str(ticket["ticket"])

        async with RoomClient(ticket["hub_url"], get_ticket) as room:
            tapped_s = time.perf_counter()
            held = await room.command("hold", request_id=uuid.uuid4().hex, sale_id=sale_id, quantity=1)
            decided_s = time.perf_counter() - tapped_s
            if held["decision"] != "granted":
                return None
            details = {"hold_token": held["token"], "name": "Load Tester", "address": ADDRESS}
            order = await post(http, "/api/orders", details)
            paid = await post(http, f"/api/orders/{order['order_id']}/payments", CARD)
            if paid["order"]["state"] != "paid":
                raise RuntimeError(f"not paid: {paid}")
            return decided_s, time.perf_counter() - tapped_s


async def shop(show: Show, buyers: int) -> list[tuple[float, float] | None]:
    """So many buyers, some at once."""
    async with httpx.AsyncClient(base_url=show.web_url, timeout=30) as host:
        sale_id = await open_sale(host, *show.host_sign_in(), quota=buyers)
    at_once = asyncio.Semaphore(SHOPPING_AT_ONCE)

    async def one() -> tuple[float, float] | None:
        async with at_once:
            return await buy(show.web_url, sale_id)

    return await asyncio.gather(*(one() for _ in range(buyers)))


def hold_to_paid(buyers: int) -> list[dict[str, Any]]:
    """Two lines of the table: to the decision, and to the paid order."""
    with tempfile.TemporaryDirectory() as folder, Show(Path(folder)) as show:
        started_s = time.perf_counter()
        times = [one for one in asyncio.run(shop(show, buyers)) if one is not None]
        seconds = time.perf_counter() - started_s
    rows = []
    for way, taken in (("tap to decision", [a for a, _ in times]), ("tap to paid", [b for _, b in times])):
        p50, p99 = quantiles_ms(taken)
        measured = {"count": len(taken), "per_s": round(len(taken) / seconds), "p50_ms": round(p50, 1)}
        rows.append({"part": "paid", "way": way, **measured, "p99_ms": round(p99, 1), "cpu_us_each": "-"})
    return rows
