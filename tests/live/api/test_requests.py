"""What viewers ask to see follows the run of show: only what is in it, until it is pinned, taken out, or the show ends."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest

from live.metrics import WorkerMetrics
from live.worker import Worker
from realtime.protocol import CommandError
from realtime.tickets import Viewer
from tests.live.conftest import Shop


async def ask(shop: Shop, *items: str, viewer_id: str = "gu_ann") -> None:
    for item in items:
        viewer = Viewer(viewer_id, "Ann", "viewer", shop.room_id)
        await shop.wiring.requests.ask(viewer, {"product_id": item})


async def asked(shop: Shop) -> Mapping[str, int]:
    items = (await shop.wiring.requests.read(shop.room_id))[1]["items"]
    return {item: count for item, (count, _) in items.items()}


@pytest.fixture
async def worker(shop: Shop) -> Worker:
    made = Worker(shop.wiring, httpx.AsyncClient(), WorkerMetrics())
    await made.publish_values()
    return made


async def test_pinning_an_item_clears_what_was_asked_for_it_and_viewers_see_that(
    shop: Shop, worker: Worker
) -> None:
    seller = await shop.staff("seller")
    await ask(shop, "pr_mug", "pr_lamp")
    await ask(shop, "pr_mug", viewer_id="gu_bob")
    assert await asked(shop) == {"pr_mug": 2, "pr_lamp": 1}
    path = f"/api/rooms/{shop.room_id}"
    assert (await seller.call("PUT", f"{path}/pin", {"product_id": "pr_mug"})).status_code == 200
    assert await asked(shop) == {"pr_lamp": 1}
    value = (await shop.wiring.broker.values(shop.room_id))["requests"][1]
    assert (value["total"], list(value["items"])) == (1, ["pr_lamp"])
    with pytest.raises(CommandError) as refused:
        await ask(shop, "pr_mug")
    assert refused.value.code == "shown_now"
    await seller.call("PUT", f"{path}/pin", {"product_id": None})
    await ask(shop, "pr_mug")
    assert (await asked(shop))["pr_mug"] == 1


async def test_what_is_taken_out_is_not_asked_for_and_what_is_added_can_be_at_once(
    shop: Shop, worker: Worker
) -> None:
    seller = await shop.staff("seller")
    await ask(shop, "pr_mug", "pr_lamp")
    path = f"/api/rooms/{shop.room_id}/products"
    await seller.call("DELETE", f"{path}/pr_mug")
    assert await asked(shop) == {"pr_lamp": 1}
    with pytest.raises(CommandError):
        await ask(shop, "pr_mug")
    item = {"title": "Tote bag", "price_minor": 4900, "stock": 12}
    made = (await seller.post(path, item)).json()["products"][-1]["product_id"]
    await ask(shop, made)
    assert made in await asked(shop)


async def test_the_end_of_the_show_clears_all(shop: Shop, worker: Worker) -> None:
    host = await shop.staff("host")
    await ask(shop, "pr_mug", "pr_lamp")
    await host.post(f"/api/rooms/{shop.room_id}/status", {"status": "ended"})
    assert await asked(shop) == {}


async def test_the_worker_does_what_an_api_process_left_undone(shop: Shop, worker: Worker) -> None:
    await ask(shop, "pr_mug")
    await (await shop.staff("seller")).call("PUT", f"/api/rooms/{shop.room_id}/pin", {"product_id": "pr_mug"})
    # As if the pin had been published, and the process had died before it cleared what was asked for.
    key = f"{{room:{shop.room_id}}}:rt:requests"
    await shop.wiring.redis.hset(key, "pr_mug", "3:1000")
    await worker.publish_values()
    assert await asked(shop) == {}


async def test_the_worker_tells_what_a_hub_counted_and_could_not_tell(shop: Shop, worker: Worker) -> None:
    assert "requests" not in await shop.wiring.broker.values(shop.room_id)
    await ask(shop, "pr_mug")
    await worker.publish_values()
    assert (await shop.wiring.broker.values(shop.room_id))["requests"][1]["total"] == 1
