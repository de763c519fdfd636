"""The worker's jobs on a real Redis and SQL, in this process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from sqlalchemy import text

from commerce.clock import wall_clock_ms
from commerce.hot_ledger import HoldRequest
from live import metrics, processes
from live.jobs import run_once
from live.metrics import WorkerMetrics
from live.worker import Worker, serve
from tests.live.conftest import Shop
from tests.live.test_projector import buy, events_of
from tests.services import free_port, wait_until


@pytest.fixture
async def worker(shop: Shop) -> AsyncIterator[Worker]:
    """Webhooks are posted into the app itself."""
    transport = httpx.ASGITransport(shop.app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport) as client:
        yield Worker(shop.wiring, client, WorkerMetrics())


async def test_a_bought_unit_runs_through_webhook_inbox_and_relay(shop: Shop, worker: Worker) -> None:
    sale = await shop.open_sale(await shop.staff("host"))
    await buy(shop, sale["sale_id"])
    assert await worker.deliver_webhooks() == 1
    assert await shop.wiring.cashier.process_inbox(10) == 1
    assert await worker.relay() > 0
    assert await worker.relay() == 0
    assert [type_ for type_, _ in await events_of(shop)].count("order") == 1
    assert await worker.check_invariants() == 0


async def test_every_job_can_run_twice_and_in_two_workers_at_once(shop: Shop, worker: Worker) -> None:
    sale = await shop.open_sale(await shop.staff("host"))
    await buy(shop, sale["sale_id"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(shop.app)) as client:
        other = Worker(shop.wiring, client, WorkerMetrics())
        for _ in range(3):
            numbers = WorkerMetrics()
            jobs = [job for one in (worker, other) for job in one.jobs()]
            answers = await asyncio.gather(*(run_once(job, numbers) for job in jobs))
            assert None not in answers, [
                job.name for job, done in zip(jobs, answers, strict=True) if done is None
            ]
    assert [type_ for type_, _ in await events_of(shop)].count("order") == 1
    assert await worker.check_invariants() == 0
    stock = await shop.wiring.hot_ledger.numbers(shop.room_id, sale["sale_id"])
    assert stock is not None
    assert (stock.available, stock.held, stock.sold) == (1, 0, 1)


async def test_a_hold_nobody_paid_for_comes_back_and_its_buyer_is_told(shop: Shop, worker: Worker) -> None:
    sale = await shop.open_sale(await shop.staff("host"), hold_ms=1000)
    ledger = shop.wiring.hot_ledger
    (decision,), _ = await ledger.decide(
        shop.room_id, sale["sale_id"], [HoldRequest("request-1", "gu_forgetful", 1)]
    )
    assert decision.decision == "granted"
    ledger.clock_offset_ms = 10_000
    assert await worker.sweep() == 1
    assert await worker.sweep() == 0
    values = await shop.wiring.broker.values(shop.room_id)
    assert values[f"stock:{sale['sale_id']}"][1]["available"] == 2
    missed = await shop.wiring.broker.personal_after(shop.room_id, "gu_forgetful", 0)
    assert len(missed.messages) == 1


async def test_a_sale_that_redis_forgot_begins_its_next_epoch(shop: Shop, worker: Worker) -> None:
    sale = await shop.open_sale(await shop.staff("host"))
    await shop.wiring.hot_ledger.drop(shop.room_id, sale["sale_id"])
    await worker.reconcile()
    numbers = await shop.wiring.hot_ledger.numbers(shop.room_id, sale["sale_id"])
    assert numbers is not None
    assert (numbers.epoch, numbers.available) == (2, 2)
    stock = (await shop.wiring.broker.values(shop.room_id))[f"stock:{sale['sale_id']}"][1]
    assert stock["epoch"] == 2


async def test_an_emptied_redis_has_all_values_of_the_room_again(shop: Shop, worker: Worker) -> None:
    await shop.wiring.redis.delete(f"{{room:{shop.room_id}}}:rt:values")
    await worker.publish_values()
    assert {"room", "pin", "chat", "orders"} <= set(await shop.wiring.broker.values(shop.room_id))


async def test_a_broken_invariant_raises_the_alarm_once(
    shop: Shop, worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    sale = await shop.open_sale(await shop.staff("host"))
    async with shop.wiring.database.begin() as c:
        await c.execute(text("UPDATE stock SET sold = sold + 1 WHERE sale_id = :id"), {"id": sale["sale_id"]})
    with caplog.at_level(logging.ERROR, "flashroom.worker"):
        assert await worker.check_invariants() > 0
        assert await worker.check_invariants() > 0
    alarms = [record for record in caplog.records if "stock_equals_holds" in record.message]
    assert len(alarms) == 1


async def test_the_worker_serves_its_numbers_and_beats(shop: Shop) -> None:
    settings = replace(shop.wiring.settings, worker_port=free_port())
    stop = asyncio.Event()
    began_ms = wall_clock_ms()
    running = asyncio.create_task(serve(settings, stop))

    async def has_beaten() -> bool:
        beat = await processes.last_beat(shop.wiring.redis, "worker")
        return beat is not None and beat[1] >= began_ms

    try:
        await wait_until(has_beaten, what="a heartbeat")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.worker_port}") as client:
            page = await client.get("/metrics")
            assert "flashroom_job_runs_total" in page.text
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/nothing")).status_code == 404
            assert (await client.post("/healthz")).status_code == 405
    finally:
        stop.set()
        await asyncio.wait_for(running, 10)


async def test_the_metrics_page_outlives_whoever_speaks_no_http() -> None:
    server = await metrics.serve("127.0.0.1", 0, {"/healthz": lambda: (200, b"ok\n")})
    port = server.sockets[0].getsockname()[1]
    for garbage in (b"\r\n\r\n", b"\x00" * 20_000, b"GET\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(garbage)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 5)
        writer.close()
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{port}/healthz")).text == "ok\n"
    server.close()
