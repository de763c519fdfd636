"""Everybody sees the rush, each buyer their own attempts, and a receipt verifies alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from commerce import reconciliation
from live import verify
from tests.live.api.test_orders import tap
from tests.live.conftest import Shop


async def played_sale(shop: Shop) -> tuple[dict[str, Any], Any, Any]:
    """One unit, two who wanted it: Ann got it, Bob was too late."""
    host = await shop.staff("host")
    sale = await shop.open_sale(host, quota=1)
    ann, bob = await shop.guest("Ann"), await shop.guest("Bob")
    assert (await tap(shop, ann, sale["sale_id"]))["decision"] == "granted"
    assert (await tap(shop, bob, sale["sale_id"]))["decision"] == "refused"
    await reconciliation.persist_logs(shop.wiring.database, shop.wiring.hot_ledger)
    return sale, ann, bob


async def test_the_rush_counts_everybody_and_shows_me_my_own_dots(shop: Shop) -> None:
    sale, _, bob = await played_sale(shop)
    path = f"/api/sales/{sale['sale_id']}/rush"
    seen = (await bob.get(f"{path}?bucket_ms=1000")).json()
    assert (seen["granted"], seen["refused"], seen["complete"]) == (1, 1, False)
    assert sum(bucket["granted"] + bucket["refused"] for bucket in seen["buckets"]) == 2
    assert [(dot["decision"], dot["reason"]) for dot in seen["mine"]] == [("refused", "all_held")]
    (bucket,) = [bucket for bucket in seen["buckets"] if bucket["refused"]]
    assert bucket["t_ms"] <= seen["mine"][0]["t_ms"] < bucket["t_ms"] + 1000
    assert seen["last_unit_t_ms"] <= seen["mine"][0]["t_ms"]
    stranger = (await shop.browser().get(path)).json()
    assert (stranger["refused"], stranger["mine"]) == (1, [])
    assert (await bob.get(f"{path}?bucket_ms=7")).status_code == 422


async def test_a_sale_that_has_not_opened_has_an_empty_rush(shop: Shop) -> None:
    host = await shop.staff("host")
    body = {"variant_id": shop.variant_id, "price_minor": 100, "quota": 1}
    sale_id = (await host.post(f"/api/rooms/{shop.room_id}/sales", body)).json()["sale_id"]
    assert (await host.get(f"/api/sales/{sale_id}/rush")).json()["opened_at_ms"] is None
    assert (await (await shop.guest()).get(f"/api/sales/{sale_id}/rush")).status_code == 404


async def test_a_loser_learns_how_late_they_were_before_and_gets_a_receipt_after_publication(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sale, ann, bob = await played_sale(shop)
    path = f"/api/sales/{sale['sale_id']}/receipts"
    early = (await bob.get(path)).json()
    (attempt,) = early["attempts"]
    assert (attempt["decision"], attempt["reason"], attempt["place"]) == ("refused", "all_held", 1)
    assert attempt["after_last_unit_ms"] >= 0
    assert (early["published"], early["root"], attempt["receipt"]) == (False, None, None)

    host = await shop.staff("host")
    (held,) = (await ann.get(f"/api/rooms/{shop.room_id}/mine")).json()["holds"]
    await shop.wiring.hot_ledger.release(
        shop.room_id,
        sale["sale_id"],
        held["hold_id"],
        (await ann.get("/api/me")).json()["viewer"]["viewer_id"],
    )
    await host.post(f"/api/sales/{sale['sale_id']}/end", {"reason": "host"})
    for _ in range(6):
        await reconciliation.persist_logs(shop.wiring.database, shop.wiring.hot_ledger)
        await shop.wiring.sale_desk.tick()
        if (await shop.wiring.sale_desk.get(sale["sale_id"])).state == "published":
            break
    published = (await bob.get(path)).json()
    assert published["published"], published
    receipt = published["attempts"][0]["receipt"]
    assert receipt["root"] == published["root"]
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps(receipt))
    assert verify.run(file) == 0
    assert "refused (all_held)" in capsys.readouterr().out
    for changed in (
        receipt | {"root": "0" * 64},
        receipt | {"position": receipt["position"] + 50},
        receipt | {"lines": [line.replace("refused", "granted") for line in receipt["lines"]]},
        {"format": "flashroom receipt 1"},
    ):
        file.write_text(json.dumps(changed))
        assert verify.run(file) == 1
    assert "NOT VALID" in capsys.readouterr().err


async def test_a_hold_that_was_let_go_is_no_order_any_more(shop: Shop) -> None:
    sale = await shop.open_sale(await shop.staff("host"), quota=1)
    ann = await shop.guest("Ann")
    held = await tap(shop, ann, sale["sale_id"])
    viewer_id = (await ann.get("/api/me")).json()["viewer"]["viewer_id"]
    await shop.wiring.hot_ledger.release(shop.room_id, sale["sale_id"], held["hold_id"], viewer_id)
    await reconciliation.persist_logs(shop.wiring.database, shop.wiring.hot_ledger)
    address = {"contact": "0138 001 380", "line1": "1", "city": "2", "postcode": "3", "country": "CN"}
    answer = await ann.post("/api/orders", {"hold_token": held["token"], "name": "Ann", "address": address})
    assert (answer.status_code, answer.json()["code"]) == (409, "hold_released")
