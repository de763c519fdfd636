"""From the tap on Buy to the paid order, through real hub, web and worker processes."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from loadtests.bench_tools import quantiles_ms
from loadtests.shop import GOOD_CARD, Buyer, Seller
from loadtests.show import Show

SHOPPING_AT_ONCE = 8


async def open_sale(seller: Seller, quota: int) -> str:
    """A sale of the fullest shelf that opens at once; gives its id."""
    variant = (await seller.variants())[0]
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
    sale_id = await seller.open_sale(terms)
    for _ in range(400):
        if (await seller.get(f"/api/sales/{sale_id}"))["state"] == "open":
            return sale_id
        await asyncio.sleep(0.05)
    raise TimeoutError("the sale did not open")


async def buy(web_url: str, sale_id: str) -> tuple[float, float] | None:
    """Seconds from tap to decision and from tap to paid; None when every unit was gone."""
    buyer = Buyer(web_url)
    await buyer.enter()
    try:
        tapped_s = time.perf_counter()
        held = await buyer.tap(sale_id)
        decided_s = time.perf_counter() - tapped_s
        if held["decision"] != "granted":
            return None
        order = await buyer.order(held["token"])
        paid = await buyer.pay(order["order_id"], GOOD_CARD)
        if paid["order"]["state"] != "paid":
            raise RuntimeError(f"not paid: {paid}")
        return decided_s, time.perf_counter() - tapped_s
    finally:
        await buyer.aclose()


async def shop(show: Show, buyers: int) -> list[tuple[float, float] | None]:
    """So many buyers, some at once."""
    seller = Seller(show.web_url)
    await seller.sign_in(*show.host_sign_in())
    sale_id = await open_sale(seller, buyers)
    await seller.aclose()
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
