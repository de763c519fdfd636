"""An owner sets up an address, hears of a paid order through the worker's own jobs, and sends it again."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from live.metrics import WorkerMetrics
from live.worker import Worker
from tests.commerce.payments.provider_server import ProviderServer, provider_server
from tests.live.api.test_orders import place, tap
from tests.live.conftest import CARD, Shop


@pytest.fixture
def receiver() -> Iterator[ProviderServer]:
    with provider_server() as running:
        running.answer = lambda asked: (200, {}, b"")
        yield running


async def paid_order(shop: Shop) -> dict[str, Any]:
    sale = await shop.open_sale(await shop.staff("host"))
    ann = await shop.guest()
    token = (await tap(shop, ann, sale["sale_id"]))["token"]
    order: dict[str, Any] = (await place(ann, token)).json()
    card = {"method": "card", "card_number": CARD}
    paid = await ann.post(f"/api/orders/{order['order_id']}/payments", card)
    assert paid.json()["order"]["state"] == "paid", paid.text
    return order


async def test_a_merchants_system_hears_of_a_paid_order_and_can_check_it(
    shop: Shop, receiver: ProviderServer
) -> None:
    owner = await shop.staff("owner")
    path = f"/api/rooms/{shop.room_id}/webhooks"
    made = await owner.post(path, {"url": f"{receiver.url}/hooks", "event_types": ["order.paid"]})
    assert made.status_code == 201, made.text
    endpoint = made.json()
    assert endpoint["secret"].startswith("whsec_")
    listed = (await owner.get(path)).json()
    assert [one["endpoint_id"] for one in listed["webhooks"]] == [endpoint["endpoint_id"]]
    assert "secret" not in listed["webhooks"][0]
    async with httpx.AsyncClient(trust_env=False) as client:
        worker = Worker(shop.wiring, client, WorkerMetrics())
        order = await paid_order(shop)
        await worker.relay()
        await worker.send_merchant_webhooks()
        (asked,) = receiver.asked
        assert asked.json["type"] == "order.paid"
        assert asked.json["data"]["order_id"] == order["order_id"]
        signed = f"{asked.headers['webhook-id']}.{asked.headers['webhook-timestamp']}.".encode() + asked.body
        key = base64.b64decode(endpoint["secret"].removeprefix("whsec_"))
        mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert asked.headers["webhook-signature"] == f"v1,{mac}"
        one = f"{path}/{endpoint['endpoint_id']}"
        (delivery,) = (await owner.get(f"{one}/deliveries")).json()["deliveries"]
        assert (delivery["state"], delivery["last_status"]) == ("delivered", 200)
        again = await owner.post(f"{one}/deliveries/{delivery['delivery_id']}/replay")
        assert again.json() == {"replayed": 1}
        assert (await owner.post(f"{one}/ping")).status_code == 200
        await worker.send_merchant_webhooks()
        repeated = {one.json["type"]: one for one in receiver.asked[1:]}  # sent side by side: in either order
        assert repeated.keys() == {"order.paid", "ping"}
        assert repeated["order.paid"].headers["webhook-id"] == asked.headers["webhook-id"]
    rotated = (await owner.post(f"{one}/rotate", {"generation": 1})).json()
    assert (rotated["generation"], rotated["secret"] != endpoint["secret"]) == (2, True)
    assert (await owner.post(f"{one}/replay-dead")).json() == {"replayed": 0}
    assert (await owner.post(f"{one}/enable")).json()["state"] == "active"
    assert (await owner.call("DELETE", one)).status_code == 204
    assert (await owner.get(f"{one}/deliveries")).status_code == 404
    audit = (await owner.get(f"/api/rooms/{shop.room_id}/audit")).json()["entries"]
    assert {"webhook_create", "webhook_rotate", "webhook_replay", "webhook_remove"} <= {
        entry["action"] for entry in audit
    }


async def test_only_the_owner_and_only_good_addresses(shop: Shop) -> None:
    path = f"/api/rooms/{shop.room_id}/webhooks"
    host = await shop.staff("host")
    assert (await host.get(path)).status_code == 403
    owner = await shop.staff("owner")
    bad = await owner.post(path, {"url": "javascript:alert(1)"})
    assert (bad.status_code, bad.json()["code"]) == (422, "bad_url")
    unknown = await owner.post(path, {"url": "https://shop.example", "event_types": ["order.eaten"]})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown_event_type")
