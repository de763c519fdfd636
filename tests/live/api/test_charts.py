"""The console's plots are drawn from what really happened; the summary and the log can be taken away as files."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from commerce import reconciliation
from commerce.clock import wall_clock_ms
from live import rooms
from live.decision_times import BOUNDS_MS, DecisionTimes, percentile_ms
from live.samples import Sampler
from realtime import delays
from tests.live.api.test_orders import place, tap
from tests.live.conftest import CARD, Browser, Shop


class Clock:
    def __init__(self) -> None:
        self.now_ms = wall_clock_ms() // 1000 * 1000

    def __call__(self) -> int:
        return self.now_ms


async def played(shop: Shop) -> tuple[Browser, dict[str, Any]]:
    """Two units: Ann pays one, Bob leaves his unpaid, Cay is too late."""
    host = await shop.staff("host")
    sale = await shop.open_sale(host, quota=2)
    ann, bob, cay = [await shop.guest(name) for name in ("Ann", "Bob", "Cay")]
    order = (await place(ann, (await tap(shop, ann, sale["sale_id"]))["token"])).json()
    paid = await ann.post(
        f"/api/orders/{order['order_id']}/payments", {"method": "card", "card_number": CARD}
    )
    assert paid.json()["order"]["state"] == "paid"
    await place(bob, (await tap(shop, bob, sale["sale_id"]))["token"])
    await tap(shop, cay, sale["sale_id"])
    await reconciliation.persist_logs(shop.wiring.database, shop.wiring.hot_ledger)
    return host, sale


async def test_stock_is_drawn_from_samples_that_the_worker_took(shop: Shop) -> None:
    clock = Clock()
    wiring = shop.wiring
    sampler = Sampler(wiring.database, wiring.hot_ledger, wiring.broker, clock)
    host = await shop.staff("host")
    sale = await shop.open_sale(host, quota=2)
    await sampler.run()
    clock.now_ms += 1000
    await sampler.run()  # nothing moved: no row
    ann = await shop.guest("Ann")
    await tap(shop, ann, sale["sale_id"])
    clock.now_ms += 1000
    await sampler.run()
    await host.post(f"/api/sales/{sale['sale_id']}/pause", {"reason": "host"})
    seen = (await host.get(f"/api/sales/{sale['sale_id']}/charts/stock")).json()
    assert [(p["available"], p["held"], p["sold"]) for p in seen["points"]] == [(2, 0, 0), (1, 1, 0)]
    assert seen["points"][1]["at_ms"] - seen["points"][0]["at_ms"] == 2000
    assert [mark["action"] for mark in seen["marks"]] == ["sale_fire", "sale_pause"]


async def test_watching_is_drawn_with_what_was_done_when(shop: Shop) -> None:
    clock, broker = Clock(), shop.wiring.broker
    sampler = Sampler(shop.wiring.database, shop.wiring.hot_ledger, broker, clock)
    host = await shop.staff("host")
    for people in (3, 7):
        await broker.enter_presence(shop.room_id, "hub-a", people, 2)
        await sampler.run()
        clock.now_ms += 5000
    await host.call("PUT", f"/api/rooms/{shop.room_id}/pin", {"product_id": "pr_mug"})
    seen = (await host.get(f"/api/rooms/{shop.room_id}/charts/watching")).json()
    assert [(p["people"], p["ghosts"]) for p in seen["points"]] == [(3, 2), (7, 2)]
    assert [(mark["action"], mark["target"]) for mark in seen["marks"]] == [("pin", "pr_mug")]


async def test_the_funnel_and_the_money_tell_placed_paid_and_refunded_apart(shop: Shop) -> None:
    host, _ = await played(shop)
    (sale,) = (await host.get(f"/api/rooms/{shop.room_id}/charts/funnel")).json()["sales"]
    people = sale["people"]
    assert (people["tapped"], people["held"], people["placed"], people["paid"]) == (3, 2, 2, 1)
    assert (people["paid_minor"], people["units_paid"], sale["ghosts"]["tapped"]) == (5000, 1, 0)
    money = (await host.get(f"/api/rooms/{shop.room_id}/charts/money")).json()
    sums = {
        name: sum(step[name] for step in money["steps"])
        for name in ("placed_minor", "paid_minor", "refunded_minor")
    }
    assert sums == {"placed_minor": 10_000, "paid_minor": 5_000, "refunded_minor": 0}


async def test_decision_times_of_two_hubs_add_up(shop: Shop) -> None:
    clock = Clock()
    for took_s in (0.004, 0.4):
        hub = DecisionTimes(shop.wiring.redis, clock)
        for _ in range(10):
            hub.count(shop.room_id, took_s)
        assert await hub.report() == 1
        assert await hub.report() == 0
    host = await shop.staff("host")
    seen = (await host.get(f"/api/rooms/{shop.room_id}/charts/latency")).json()
    (point,) = seen["points"]
    assert point["count"] == 20
    assert point["p50_ms"] <= 5 < 300 < point["p95_ms"] <= point["p99_ms"] <= 500


async def test_the_delays_of_pictures_are_told_by_way_and_only_to_staff(shop: Shop) -> None:
    path = f"/api/rooms/{shop.room_id}/charts/delays"
    analyst, guest = await shop.staff("analyst"), await shop.guest()
    assert (await guest.get(path)).status_code == 401
    empty = (await analyst.get(path)).json()
    assert empty["webrtc"] == empty["hls"] == {"pages": 0, "p50_ms": None, "p95_ms": None}
    assert not any(one["webrtc"] or one["hls"] for one in empty["classes"])
    counts = delays.no_counts()
    counts[delays.place_of({"video": "webrtc", "delay_ms": 80})] = 30
    counts[delays.place_of({"video": "hls", "delay_ms": 2_800})] = 18
    counts[delays.place_of({"video": "hls", "delay_ms": 9_000})] = 2
    for hub in ("one", "other"):
        await shop.wiring.broker.enter_delays(shop.room_id, hub, counts)
    seen = (await analyst.get(path)).json()
    assert {
        one["up_to_ms"]: (one["webrtc"], one["hls"]) for one in seen["classes"] if one["webrtc"] + one["hls"]
    } == {
        100: (60, 0),
        3_000: (0, 36),
        10_000: (0, 4),
    }
    assert seen["webrtc"]["pages"] == 60
    assert 50 < seen["webrtc"]["p50_ms"] < seen["webrtc"]["p95_ms"] <= 100
    assert 2_500 < seen["hls"]["p50_ms"] <= 3_000 < 7_000 < seen["hls"]["p95_ms"] <= 10_000


def test_a_percentile_is_inside_its_class() -> None:
    counts = [0] * (len(BOUNDS_MS) + 1)
    assert percentile_ms(counts, 0.5) == 0
    counts[BOUNDS_MS.index(10)] = 4
    assert 7 < percentile_ms(counts, 0.5) <= 10
    counts[-1] = 96
    assert percentile_ms(counts, 0.99) == BOUNDS_MS[-1]


async def test_the_summary_counts_the_same_and_comes_as_csv(shop: Shop) -> None:
    host, _ = await played(shop)
    await host.post(f"/api/rooms/{shop.room_id}/status", {"status": "live"})
    await host.post(f"/api/rooms/{shop.room_id}/status", {"status": "ended"})
    made = (await host.get(f"/api/rooms/{shop.room_id}/summary")).json()
    assert (made["unpaid"], made["orders"]["paid_minor"], made["open_sales"]) == (1, 5000, 1)
    assert made["ended_at_ms"] >= made["started_at_ms"]
    (product,) = made["products"]
    assert (product["title"]["en"], product["rounds"], product["people"]["tapped"]) == ("mug", 1, 3)
    file = await host.get(f"/api/rooms/{shop.room_id}/summary.csv")
    assert file.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(file.text)))
    head, cells = rows[-2:]
    row = dict(zip(head, cells, strict=True))
    assert (row["product"], row["tapped"], row["paid_minor"]) == ("mug", "3", "5000")


async def test_a_show_is_compared_with_the_hosts_last_one(shop: Shop) -> None:
    host = await shop.staff("host")
    path = f"/api/rooms/{shop.room_id}"

    async def watch(*names: str) -> None:
        for name in names:
            guest = await shop.guest(name)
            for _ in range(2):  # who comes back is one viewer
                await guest.post(f"{path}/tickets")

    async def be(status: str) -> None:
        await host.post(f"{path}/status", {"status": status})

    await watch("Early")  # waits for the first show
    await be("live")
    await watch("Ann2", "Bob2", "Cay2")
    await played(shop)
    await host.post(f"{path}/tickets")  # staff are no audience
    alone = (await host.get(f"{path}/summary")).json()
    assert alone["last_show"] is None
    first = alone["this_show"]
    assert (first["views"], first["placed"], first["paid"], first["buyers"]) == (4, 2, 1, 1)
    assert (first["paid_minor"], first["average_minor"], first["gpm_minor"]) == (5000, 5000, 1_250_000)
    await be("ended")
    await watch("Late")
    await be("preshow")
    await be("live")
    await watch("Dot", "Eve")
    made = (await host.get(f"{path}/summary")).json()
    last, now = made["last_show"], made["this_show"]
    assert {**last, "ended_at_ms": None} == first
    assert last["started_at_ms"] < last["ended_at_ms"] <= now["started_at_ms"]
    assert (now["views"], now["placed"], now["gpm_minor"], now["average_minor"]) == (2, 0, 0, None)
    text = (await host.get(f"{path}/summary.csv")).text
    assert "compared,this_show,last_show\r\n" in text
    assert "views,2,4\r\n" in text
    assert "average_minor,,5000\r\n" in text


async def test_a_show_whose_start_is_not_in_the_log_is_known_by_its_end(shop: Shop) -> None:
    host = await shop.staff("host")
    path = f"/api/rooms/{shop.room_id}"
    began_ms = wall_clock_ms() - 60_000
    async with shop.wiring.database.begin() as c:
        await rooms.set_status(c, shop.room_id, "live", began_ms)  # as the sample room is made
    assert (await host.get(f"{path}/summary")).json()["this_show"]["started_at_ms"] == began_ms
    for status in ("ended", "preshow", "live"):
        await host.post(f"{path}/status", {"status": status})
    made = (await host.get(f"{path}/summary")).json()
    assert made["last_show"]["started_at_ms"] == began_ms
    assert began_ms < made["last_show"]["ended_at_ms"] <= made["this_show"]["started_at_ms"]


async def test_the_log_comes_whole_as_csv_and_as_json_lines(shop: Shop) -> None:
    host = await shop.staff("host")
    for number in range(3):
        await host.post(f"/api/rooms/{shop.room_id}/announcements", {"text": f"=HYPERLINK({number})"})
    rows = list(csv.DictReader(io.StringIO((await host.get(f"/api/rooms/{shop.room_id}/audit.csv")).text)))
    assert [row["action"] for row in rows] == ["log_export", "announce", "announce", "announce"]
    assert json.loads(rows[1]["after"]) == {"text": "=HYPERLINK(2)"}
    lines = (await host.get(f"/api/rooms/{shop.room_id}/audit.jsonl")).text.splitlines()
    assert [json.loads(line)["action"] for line in lines].count("log_export") == 2
    found = (await host.get(f"/api/rooms/{shop.room_id}/audit?q=announ")).json()["entries"]
    assert {entry["action"] for entry in found} == {"announce"}


async def test_the_log_says_how_each_thing_was_done_and_can_be_looked_at_by_it(shop: Shop) -> None:
    host = await shop.staff("host")
    path = f"/api/rooms/{shop.room_id}"
    said = {
        "by key": "key",
        "by finger": "touch",
        "on the line": "command",
        "by a program": None,
        "a": "telepathy",
    }
    for text, source in said.items():
        headers = {} if source is None else {"Flashroom-Source": source}
        answer = await host.post(f"{path}/announcements", {"text": text}, headers=headers)
        assert answer.status_code == 204, answer.text
    link = await host.call("GET", f"{path}/audit.jsonl", headers={"Sec-Fetch-Mode": "navigate"})
    lines = [json.loads(line) for line in link.text.splitlines()]
    assert [line["source"] for line in lines] == [None, "api", "api", "command", "touch", "key"]
    rows = list(csv.DictReader(io.StringIO((await host.get(f"{path}/audit.csv")).text)))
    assert [row["source"] for row in rows] == ["api", "", "api", "api", "command", "touch", "key"]
    found = (await host.get(f"{path}/audit?source=touch")).json()["entries"]
    assert [(entry["after"]["text"], entry["source"]) for entry in found] == [("by finger", "touch")]
    assert (await host.get(f"{path}/audit?source=telepathy")).status_code == 422


async def test_saved_replies_are_the_rooms(shop: Shop) -> None:
    moderator, host = await shop.staff("moderator"), await shop.staff("host")
    path = f"/api/rooms/{shop.room_id}/saved-replies"
    assert (await host.get(path)).json() == {"replies": []}
    replies = ["Ships tomorrow 明天发货", "Sizes run small"]
    assert (await moderator.call("PUT", path, {"replies": replies})).status_code == 200
    assert (await host.get(path)).json() == {"replies": replies}
    assert (await host.call("PUT", path, {"replies": ["x"] * 21})).status_code == 422
