"""`flashroom ledger check` and `flashroom webhooks`: an operator sees that money balances, or what does not."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from live import cli
from tests.commerce.world import OK_CARD
from tests.live.api.test_orders import place, tap
from tests.live.conftest import Shop


@pytest.fixture
async def paid_shop(shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    sale = await shop.open_sale(await shop.staff("host"))
    ann = await shop.guest()
    order = (await place(ann, (await tap(shop, ann, sale["sale_id"]))["token"])).json()
    await ann.post(f"/api/orders/{order['order_id']}/payments", {"method": "card", "card_number": OK_CARD})
    for name in [name for name in os.environ if name.startswith("FLASHROOM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FLASHROOM_DATA_DIR", str(tmp_path))
    return tmp_path / "flashroom.db"


def run(*arguments: str) -> int:
    """In a thread of its own, as the command starts a loop of its own."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(cli.main, arguments).result()


async def test_a_sound_ledger_says_so_and_a_broken_one_names_the_transaction(
    paid_shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ledger", "check") == 0
    said = capsys.readouterr().out
    assert "provider:sandbox" in said
    assert "every movement balances" in said
    with sqlite3.connect(paid_shop) as database:
        database.execute("UPDATE ledger_entry SET amount_minor = amount_minor + 1 WHERE account = 'sales'")
    assert run("ledger", "check") == 1
    assert "BROKEN ledger_balances" in capsys.readouterr().err


async def test_a_providers_message_is_listed_and_processed_again(
    paid_shop: Path, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    async def post(headers: dict[str, str], body: bytes) -> int:
        await shop.wiring.cashier.receive_webhook("sandbox", headers, body)
        return 204

    assert await shop.wiring.sandbox.deliver_due(post) == 1
    await shop.wiring.cashier.process_inbox()
    assert run("webhooks", "list") == 0
    line = capsys.readouterr().out
    assert "done: old_news" in line
    event_id = next(word for word in line.split() if word.startswith("ev_"))
    assert run("webhooks", "replay", "sandbox", event_id) == 0
    assert await shop.wiring.cashier.process_inbox() == 1
    assert run("webhooks", "replay", "sandbox", "ev_none") == 1
