"""Be told when an item goes on sale: asked for once per viewer and item, taken back, told once, and never lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgpack
import pytest

import realtime
from commerce import crash_points
from commerce.clock import wall_clock_ms
from live import identity, rehearsals, reminders, rooms
from live.api.endpoint import GUEST_COOKIE
from live.api.reminders import ENDPOINTS
from live.identity import Guest
from live.limits import REMIND
from live.wiring import new_id
from live.worker import Worker
from tests.live.conftest import Browser, Shop


async def ask(shop: Shop, who: Browser, item: str = "pr_mug", method: str = "PUT") -> tuple[int, str | None]:
    answer = await who.call(method, f"/api/rooms/{shop.room_id}/reminders/{item}")
    return answer.status_code, answer.json()["code"] if answer.content else None


async def wanted(shop: Shop, who: Browser) -> list[str]:
    found: list[str] = (await who.get(f"/api/rooms/{shop.room_id}/mine")).json()["reminders"]
    return sorted(found)


async def counted(shop: Shop, staff: Browser) -> dict[str, int]:
    found: dict[str, int] = (await staff.get(f"/api/rooms/{shop.room_id}/stats")).json()["reminders"]
    return found


async def id_of(who: Browser) -> str:
    """Who a viewer is to the hub."""
    me = (await who.get("/api/me")).json()
    found: str = (me["user"] or {}).get("user_id") or me["viewer"]["viewer_id"]
    return found


async def told(shop: Shop, who: Browser, about: str = "reminder") -> list[dict[str, Any]]:
    """The reminders, or other messages, that a viewer who was away finds."""
    missed = await shop.wiring.broker.personal_after(shop.room_id, await id_of(who), 0)
    messages = [msgpack.unpackb(packed) for _, packed in missed.messages]
    return [data for type_, data in messages if type_ == about]


async def test_a_viewer_asks_once_takes_back_and_staff_see_how_many(shop: Shop) -> None:
    ann, host = await shop.guest(), await shop.staff("host")
    for _ in range(2):
        assert await ask(shop, ann) == (204, None)
    await ask(shop, ann, "pr_lamp")
    await ask(shop, host)  # an account is a viewer, too
    assert await wanted(shop, ann) == ["pr_lamp", "pr_mug"]
    assert await wanted(shop, host) == ["pr_mug"]
    assert await counted(shop, await shop.staff("analyst")) == {"pr_mug": 2, "pr_lamp": 1}
    for _ in range(2):
        assert await ask(shop, ann, method="DELETE") == (204, None)
    assert await wanted(shop, ann) == ["pr_lamp"]
    assert await counted(shop, host) == {"pr_mug": 1, "pr_lamp": 1}


async def test_what_is_not_there_on_sale_already_or_too_much_is_refused(shop: Shop) -> None:
    ann, host = await shop.guest(), await shop.staff("host")
    assert await ask(shop, shop.browser()) == (401, "sign_in_required")
    assert await ask(shop, ann, "pr_none") == (404, "not_in_run")
    assert await ask(shop, ann, "mug") == (404, "not_found")
    with patch.object(reminders, "MAX_PER_VIEWER", 1):
        assert await ask(shop, ann) == (204, None)
        assert await ask(shop, ann, "pr_lamp") == (409, "too_many_reminders")
        assert await ask(shop, ann) == (204, None)
    assert await wanted(shop, ann) == ["pr_mug"]
    await shop.open_sale(host)
    assert await ask(shop, await shop.guest()) == (409, "on_sale")
    assert await ask(shop, await shop.guest(), "pr_lamp") == (204, None)


def test_asking_has_a_limit_of_its_own() -> None:
    assert [one.limit for one in ENDPOINTS] == [REMIND, REMIND]


async def test_who_asked_is_told_once_when_the_sale_is_fired_and_may_ask_for_the_next(
    shop: Shop, worker: Worker
) -> None:
    ann, bob, host = await shop.guest(), await shop.guest("Bob"), await shop.staff("host")
    await ask(shop, ann)
    await ask(shop, bob, "pr_lamp")
    assert await worker.tell_reminders() == 0
    sale = await shop.open_sale(host, duration_ms=1_000)
    assert [await worker.tell_reminders() for _ in range(2)] == [1, 0]
    (first,) = await told(shop, ann)
    about = {name: first[name] for name in ("product_id", "variant_id", "sale_id", "opens_at_ms")}
    assert about == {name: sale[name] for name in about}
    assert await told(shop, bob) == []
    assert (await wanted(shop, ann), await wanted(shop, bob)) == ([], ["pr_lamp"])
    await shop.wiring.sale_desk.end_early(sale["sale_id"])
    assert await ask(shop, ann) == (204, None)
    await shop.open_sale(host, variant_id="va_mug_red")
    await worker.tell_reminders()
    messages = await told(shop, ann)
    assert len({one["id"] for one in messages}) == 2 == len(messages)


async def test_they_are_told_in_batches_from_the_countdown_on_first_come_first_told(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, worker: Worker
) -> None:
    monkeypatch.setattr("live.worker.LIMIT", 2)
    crowd = [await shop.guest(f"Ann {n}") for n in range(3)]
    for one in crowd:
        await ask(shop, one)
    host = await shop.staff("host")
    body = {"variant_id": shop.variant_id, "price_minor": 5000, "quota": 1, "countdown_ms": 60_000}
    sale_id = (await host.post(f"/api/rooms/{shop.room_id}/sales", body)).json()["sale_id"]
    await host.post(f"/api/sales/{sale_id}/arm")
    assert await worker.tell_reminders() == 0  # announced, and nobody knows when it opens
    await host.post(f"/api/sales/{sale_id}/fire")
    assert await worker.tell_reminders() == 2
    assert [len(await told(shop, one)) for one in crowd] == [1, 1, 0]
    assert [await worker.tell_reminders() for _ in range(2)] == [1, 0]
    assert [len(await told(shop, one)) for one in crowd] == [1, 1, 1]


async def test_a_worker_that_dies_after_telling_loses_nobody_and_tells_nobody_twice(
    shop: Shop, worker: Worker
) -> None:
    ann = await shop.guest()
    await ask(shop, ann)
    await shop.open_sale(await shop.staff("host"))
    for _ in range(2):
        with crash_points.armed("reminders.told") as reached, pytest.raises(crash_points.Crashed):
            await worker.tell_reminders()
        assert reached == ["reminders.told"]
    assert await wanted(shop, ann) == ["pr_mug"]
    (first,) = await told(shop, ann)
    # Now Redis forgets what it was told. It comes again, under the id that a page knows it by.
    async for key in shop.wiring.redis.scan_iter(match=f"{{room:{shop.room_id}}}:rt:*personal*"):
        await shop.wiring.redis.delete(key)
    assert await worker.tell_reminders() == 1
    assert [one["id"] for one in await told(shop, ann)] == [first["id"]]
    assert await wanted(shop, ann) == []


async def test_taken_back_and_asked_for_again_while_it_was_told_is_a_new_reminder(shop: Shop) -> None:
    ann = await shop.guest()
    await ask(shop, ann)
    sale = await shop.open_sale(await shop.staff("host"))
    async with shop.wiring.database.read() as c:
        due = await reminders._due(c, shop.room_id, 10)
    await shop.wiring.sale_desk.pause(sale["sale_id"])
    await ask(shop, ann, method="DELETE")
    await ask(shop, ann)
    async with shop.wiring.database.begin() as c:
        await reminders._use_up(c, shop.room_id, due)
    assert await wanted(shop, ann) == ["pr_mug"]


async def test_an_item_taken_out_of_the_run_takes_its_reminders_along(shop: Shop) -> None:
    ann, seller = await shop.guest(), await shop.staff("seller")
    await ask(shop, ann)
    await ask(shop, ann, "pr_lamp")
    await seller.call("PUT", f"/api/rooms/{shop.room_id}/products", {"product_ids": ["pr_lamp", "pr_mug"]})
    assert await wanted(shop, ann) == ["pr_lamp", "pr_mug"]
    await seller.call("DELETE", f"/api/rooms/{shop.room_id}/products/pr_mug")
    assert await wanted(shop, ann) == ["pr_lamp"]


async def test_a_rehearsal_has_reminders_of_its_own_and_ghosts_are_not_counted(
    shop: Shop, worker: Worker
) -> None:
    ann, host = await shop.guest(), await shop.staff("host")
    await ask(shop, ann)
    wiring = shop.wiring
    async with wiring.database.begin() as c:
        show = await rooms.get(c, shop.room_id)
        twin = await rehearsals.prepare(c, show, new_id, wall_clock_ms())
        (copy, *_) = await rooms.product_ids(c, twin.room_id)
    ghost = shop.browser()
    cookie = identity.sign_guest(
        wiring.settings.key("guest"), Guest("gu_ghost", "Gus", True), wall_clock_ms()
    )
    ghost.http.cookies.set(GUEST_COOKIE, cookie)
    for who in (ann, ghost):
        assert (await who.call("PUT", f"/api/rooms/{twin.room_id}/reminders/{copy}")).status_code == 204
    rehearsal = Shop(shop.app, wiring, twin.room_id, "", copy)
    assert await counted(shop, host) == {"pr_mug": 1}
    async with wiring.database.read() as c:
        assert await reminders.counts(c, twin.room_id) == {copy: 1}
    await shop.open_sale(host)
    assert await worker.tell_reminders() == 1
    assert (len(await told(shop, ann)), await told(rehearsal, ann)) == (1, [])
    assert await wanted(rehearsal, ann) == [copy]


async def test_old_ones_are_forgotten(shop: Shop, worker: Worker) -> None:
    async with shop.wiring.database.begin() as c:
        old_ms = wall_clock_ms() - reminders.KEPT_MS - 1
        await reminders.ask(c, shop.room_id, "pr_mug", "gu_gone", old_ms, ghost=False)
        await reminders.ask(c, shop.room_id, "pr_mug", "gu_here", wall_clock_ms(), ghost=False)
        assert await reminders.forget_old(c, wall_clock_ms()) == 1
        assert await reminders.counts(c, shop.room_id) == {"pr_mug": 1}


def test_the_message_is_documented_field_by_field() -> None:
    document = (Path(realtime.__file__).parent / "PROTOCOL.md").read_text()
    message = reminders.Due("pr_mug", "gu_ann", 1, "sl_1", "va_mug_blue", 2).message(3)
    assert f"`reminder` `{{{', '.join(message)}}}`" in document
