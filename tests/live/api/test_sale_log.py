"""The public log of a sale: exported over HTTP, verified offline by the command line, and broken by any change."""

from __future__ import annotations

from pathlib import Path

import pytest

from commerce import reconciliation
from commerce.clock import wall_clock_ms
from live.cli import main
from tests.live.api.test_orders import place, tap
from tests.live.conftest import CARD, Browser, Shop
from tests.services import wait_until


async def published_log(shop: Shop) -> str:
    """A sale of one unit that two viewers wanted, run to its end; gives its exported log."""
    host, ann, bob = await shop.staff("host"), await shop.guest("Ann"), await shop.guest("Bob")
    sale_id = (await shop.open_sale(host, quota=1))["sale_id"]
    early = await ann.get(f"/api/sales/{sale_id}/log")
    assert (early.status_code, early.json()["code"]) == (404, "not_published")
    order = (await place(ann, (await tap(shop, ann, sale_id))["token"])).json()
    assert (await tap(shop, bob, sale_id))["decision"] == "refused"
    paid = await ann.post(
        f"/api/orders/{order['order_id']}/payments", {"method": "card", "card_number": CARD}
    )
    assert paid.json()["order"]["state"] == "paid"
    await host.post(f"/api/sales/{sale_id}/end")
    await wait_until(lambda: is_published(shop, host, sale_id), timeout_s=40, what="the sale is published")
    return (await bob.get(f"/api/sales/{sale_id}/log")).text


async def is_published(shop: Shop, host: Browser, sale_id: str) -> bool:
    """What the worker does each second."""
    wiring = shop.wiring
    await reconciliation.persist_logs(wiring.database, wiring.hot_ledger)
    await reconciliation.reconcile(wiring.database, wiring.hot_ledger, wall_clock_ms)
    await wiring.sale_desk.tick()
    return bool((await host.get(f"/api/sales/{sale_id}")).json()["state"] == "published")


async def test_the_exported_log_verifies_and_any_changed_byte_does_not(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = await published_log(shop)
    path = tmp_path / "log.txt"
    path.write_text(text)
    assert main(["verify", str(path)]) == 0
    assert "1 granted, 1 refused" in capsys.readouterr().out
    lines = text.splitlines()
    for number, line in enumerate(lines):
        at = len(line) // 2
        changed = line[:at] + ("0" if line[at] != "0" else "1") + line[at + 1 :]
        path.write_text("\n".join([*lines[:number], changed, *lines[number + 1 :]]) + "\n")
        assert main(["verify", str(path)]) == 1, line
    path.write_text("\n".join(lines[:-2] + lines[-1:]) + "\n")
    assert main(["verify", str(path)]) == 1
    assert main(["verify", str(tmp_path / "nothing.txt")]) == 2
