"""The host's script: written without overwriting one another, heard of by consoles, and never by viewers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from live.api import ENDPOINTS
from tests.live.conftest import Browser, Shop

SECRET = "SAY-IT-IS-LEAD-FREE"


async def write(shop: Shop, who: Browser, script: str, minute: int | None, version: int) -> Any:
    path = f"/api/rooms/{shop.room_id}/products/pr_mug/script"
    return await who.call("PUT", path, {"script": script, "minute": minute, "version": version})


async def read(shop: Shop, who: Browser) -> Any:
    answer = await who.get(f"/api/rooms/{shop.room_id}/scripts")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_script_has_lines_and_a_minute_and_everybody_who_works_here_reads_it(shop: Shop) -> None:
    seller, analyst = await shop.staff("seller"), await shop.staff("analyst")
    answer = await write(shop, seller, "  Hold it up.\r\nThen the price.\n\n", 12, 0)
    assert answer.status_code == 200, answer.text
    expected = {
        "product_id": "pr_mug",
        "script": "  Hold it up.\nThen the price.",
        "minute": 12,
        "version": 1,
    }
    assert answer.json() == expected
    found = await read(shop, analyst)
    assert found["version"] == 1
    assert found["scripts"] == [
        expected,
        {"product_id": "pr_lamp", "script": "", "minute": None, "version": 0},
    ]
    values = await shop.wiring.broker.values(shop.room_id)
    assert values["scripts"][1] == {"version": 1}


async def test_two_who_write_at_the_same_time_do_not_overwrite_each_other_unseen(shop: Shop) -> None:
    seller, host = await shop.staff("seller"), await shop.staff("host")
    assert (await write(shop, seller, "First", 1, 0)).status_code == 200
    refused = await write(shop, host, "Second", 2, 0)
    assert (refused.status_code, refused.json()["code"]) == (409, "script_changed")
    assert {name: refused.json()[name] for name in ("script", "minute", "version")} == {
        "script": "First",
        "minute": 1,
        "version": 1,
    }
    assert (await read(shop, host))["scripts"][0]["script"] == "First"
    # What reads as wanted already is no conflict: a call that is sent again after its answer was lost.
    assert (await write(shop, seller, "First", 1, 0)).json()["version"] == 1
    assert (await write(shop, host, "Second", 2, 1)).json()["version"] > 1


@pytest.mark.parametrize(
    ("script", "minute"), [("x" * 4001, 1), ("a\x00b", 1), ("ok", -1), ("ok", 1440), ("ok", 1.5)]
)
async def test_a_script_is_bounded(shop: Shop, script: str, minute: Any) -> None:
    answer = await write(shop, await shop.staff("seller"), script, minute, 0)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_fields")


async def test_only_who_may_sell_writes_and_only_what_is_in_the_run(shop: Shop) -> None:
    for role, status in (("moderator", 403), ("analyst", 403)):
        assert (await write(shop, await shop.staff(role), "x", None, 0)).status_code == status
    assert (await write(shop, await shop.guest(), "x", None, 0)).status_code == 401
    seller = await shop.staff("seller")
    await seller.call("DELETE", f"/api/rooms/{shop.room_id}/products/pr_mug")
    answer = await write(shop, seller, "x", None, 0)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_in_run")


async def test_the_log_says_that_a_script_changed_and_not_what_it_says(shop: Shop) -> None:
    seller = await shop.staff("seller")
    await write(shop, seller, SECRET, 7, 0)
    answer = await seller.get(f"/api/rooms/{shop.room_id}/audit")
    (line,) = answer.json()["entries"]
    assert (line["action"], line["target"]) == ("run_script", "pr_mug")
    assert line["after"] == {"script_characters": len(SECRET), "minute": 7}
    assert SECRET not in answer.text


async def test_viewers_get_the_script_by_no_endpoint_no_page_and_no_value(shop: Shop) -> None:
    seller = await shop.staff("seller")
    await write(shop, seller, SECRET, 7, 0)
    sale = await shop.open_sale(seller)
    await seller.call("PUT", f"/api/rooms/{shop.room_id}/pin", {"product_id": "pr_mug"})
    known = {"room_id": shop.room_id, "product_id": "pr_mug", "sale_id": sale["sale_id"]}
    readable = 0
    for who in (await shop.guest(), shop.browser()):
        for endpoint in ENDPOINTS:
            if endpoint.method != "GET" or not endpoint.parameters().keys() <= known.keys():
                continue
            answer = await who.get(endpoint.path.format(**known))
            assert SECRET not in answer.text, endpoint.path
            readable += answer.status_code == 200
        for path in (f"/r/{shop.room_id}", "/", "/console"):
            assert SECRET not in (await who.get(path)).text
    assert readable > 4
    assert (await (await shop.guest()).get(f"/api/rooms/{shop.room_id}/scripts")).status_code == 401
    broker = shop.wiring.broker
    told = [await broker.values(shop.room_id), await broker.history(shop.room_id, 0, 500)]
    assert "scripts" in told[0]
    assert SECRET not in json.dumps(told)
