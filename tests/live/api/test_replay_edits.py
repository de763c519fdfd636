"""A replay as its host made it: for every viewer, written without overwriting one another, gone with its recording."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from live import replay_edits
from live.media import deleted_recordings, tokens
from live.metrics import WorkerMetrics
from live.schema import replay_edit
from live.worker import Worker
from tests.live.conftest import STAFF, Browser, Shop

RECORDING = 1_795_000_000_000
MUG = {"film_ms": 20_400, "title": {"en": "The mug", "zh": "马克杯"}, "product_id": "pr_mug"}
TALK = {"film_ms": 41_000, "title": {"zh": "闲聊"}, "product_id": None}


def path(shop: Shop, recording_id: object = RECORDING) -> str:
    return f"/api/rooms/{shop.room_id}/replays/{recording_id}"


async def put(shop: Shop, who: Browser, recording_id: object = RECORDING, **changes: Any) -> httpx.Response:
    body = {
        "version": 0,
        "film_length_ms": 60_000,
        "hidden": False,
        "from_film_ms": 0,
        "until_film_ms": None,
        "chapters": None,
        **changes,
    }
    return await who.call("PUT", path(shop, recording_id), body)


async def lines(who: Browser, shop: Shop) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await who.get(f"/api/rooms/{shop.room_id}/audit")).json()["entries"]
    return found


async def test_the_owner_makes_chapters_and_cuts_and_every_viewer_gets_them(shop: Shop) -> None:
    owner, viewer = await shop.staff("owner"), shop.browser()
    untouched = {"hidden": False, "from_film_ms": 0, "until_film_ms": None, "chapters": None}
    seen = (await viewer.get(path(shop))).json()
    assert seen == {"recording_id": str(RECORDING), "version": 0, **untouched}
    made = {"hidden": False, "from_film_ms": 5_000, "until_film_ms": 55_000, "chapters": [MUG, TALK]}
    answer = await put(shop, owner, **made)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"recording_id": str(RECORDING), "version": 1, **made}
    assert (await viewer.get(path(shop))).json() == answer.json()
    renamed = {**MUG, "title": {"en": "A mug"}}
    assert (await put(shop, owner, version=1, **{**made, "chapters": [renamed, TALK]})).json()["version"] == 2
    restored = await put(shop, owner, version=2)
    assert (await viewer.get(path(shop))).json() == restored.json()
    assert restored.json() == {"recording_id": str(RECORDING), "version": 3, **untouched}
    # What reads as wanted already is no change.
    assert (await put(shop, owner, version=2)).json()["version"] == 3
    third, second, first = await lines(owner, shop)
    assert (first["action"], first["target"]) == ("replay_edit", str(RECORDING))
    assert (first["before"], first["after"]) == (
        untouched,
        {**made, "chapters": "0:00:20 The mug / 马克杯; 0:00:41 闲聊"},
    )
    assert second["before"]["chapters"] == "0:00:20 The mug / 马克杯"
    assert second["after"]["chapters"] == "0:00:20 A mug"
    assert third["after"] == untouched


async def test_only_the_owner_edits_as_only_the_owner_has_the_recordings(shop: Shop) -> None:
    for role in STAFF:
        answer = await put(shop, await shop.staff(role))
        assert answer.status_code == (200 if role == "owner" else 403), role
    assert (await put(shop, await shop.guest())).status_code == 401


async def test_what_is_hidden_no_viewer_gets_from_the_api_or_the_media_process(shop: Shop) -> None:
    owner, guest = await shop.staff("owner"), await shop.guest()
    answer = await put(shop, owner, hidden=True, from_film_ms=5_000, chapters=[MUG])
    assert (await owner.get(path(shop))).json() == answer.json()
    for who in (guest, await shop.staff("host")):
        seen = await who.get(path(shop))
        assert "mug" not in seen.text
        assert (seen.json()["hidden"], seen.json()["from_film_ms"]) == (True, 0)

    async def not_opened() -> tuple[int, ...]:
        asked = await guest.post(f"/api/rooms/{shop.room_id}/media-tokens", {"purpose": "replay"})
        key = shop.wiring.settings.key("media")
        return tokens.verify(key, asked.json()["token"], "replay", shop.room_id, 0).hidden

    assert await not_opened() == (RECORDING,)
    await put(shop, owner, version=1)
    assert await not_opened() == ()


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"from_film_ms": 59_500}, "bad_cut", "from_film_ms"),
        ({"from_film_ms": 9_000, "until_film_ms": 8_000}, "bad_cut", "from_film_ms"),
        ({"until_film_ms": 60_001}, "bad_cut", "until_film_ms"),
        ({"chapters": [{**MUG, "film_ms": 60_000}]}, "chapter_outside_film", "chapters.0.film_ms"),
        ({"chapters": [TALK, MUG]}, "chapters_out_of_order", "chapters.1.film_ms"),
        ({"chapters": [MUG, MUG]}, "chapters_out_of_order", "chapters.1.film_ms"),
        ({"from_film_ms": -1}, "bad_fields", None),
        ({"film_length_ms": replay_edits.MAX_FILM_MS + 1}, "bad_fields", None),
        ({"chapters": [{**MUG, "title": {}}]}, "bad_fields", None),
        ({"chapters": [{**MUG, "title": {"en": " "}}]}, "bad_fields", None),
        ({"chapters": [{**MUG, "title": {"en": "x" * 81}}]}, "bad_fields", None),
        ({"chapters": [{**MUG, "title": {"en": "a\u202eb"}}]}, "bad_fields", None),
        ({"chapters": [{**MUG, "product_id": "mug"}]}, "bad_fields", None),
        ({"chapters": [{**MUG, "film_ms": n} for n in range(101)]}, "bad_fields", None),
    ],
)
async def test_what_cannot_be_is_refused_with_its_field(
    shop: Shop, changes: dict[str, Any], code: str, field: str | None
) -> None:
    answer = await put(shop, await shop.staff("owner"), **changes)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json().get("field") == field
    assert (await shop.browser().get(path(shop))).json()["version"] == 0


async def test_a_recording_that_has_no_such_name_is_not_found_and_a_full_replay_fits(shop: Shop) -> None:
    owner = await shop.staff("owner")
    for name in ("0", "01", "x", "1" * 16):
        assert (await put(shop, owner, name)).status_code == 404
    wide = [
        {"film_ms": n, "title": {"en": "🫖" * 80, "zh": "🫖" * 80}, "product_id": None} for n in range(100)
    ]
    assert (await put(shop, owner, chapters=wide)).status_code == 200


async def test_of_two_who_edit_at_once_one_is_told_of_the_other(shop: Shop) -> None:
    owner = await shop.staff("owner")
    for version, starts in ((0, (1_000, 2_000)), (1, (3_000, 4_000))):
        calls = [put(shop, owner, version=version, from_film_ms=start) for start in starts]
        answers = sorted(await asyncio.gather(*calls), key=lambda answer: answer.status_code)
        assert [answer.status_code for answer in answers] == [200, 409]
        done, refused = (answer.json() for answer in answers)
        assert (refused["code"], refused["version"]) == ("replay_changed", version + 1)
        for name in ("from_film_ms", "until_film_ms", "hidden", "chapters"):
            assert refused[name] == done[name]
    assert len(await lines(owner, shop)) == 2


async def test_the_edits_of_a_room_are_bounded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_edits, "MAX_EDITS", 1)
    owner = await shop.staff("owner")
    assert (await put(shop, owner, hidden=True)).status_code == 200
    answer = await put(shop, owner, RECORDING + 1, hidden=True)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_replays")


async def test_what_was_made_of_a_recording_goes_with_it(shop: Shop) -> None:
    owner = await shop.staff("owner")
    days = shop.wiring.settings.recording_days
    old = RECORDING - (days + replay_edits.MARGIN_DAYS) * 86_400_000
    for recording_id in (RECORDING, RECORDING + 1, old):
        assert (await put(shop, owner, recording_id, hidden=True)).status_code == 200

    async def kept() -> int:
        async with shop.wiring.database.read() as c:
            query = select(func.count()).select_from(replay_edit).where(replay_edit.c.room_id == shop.room_id)
            return (await c.execute(query)).scalar_one()

    async with httpx.AsyncClient() as client:
        worker = Worker(shop.wiring, client, WorkerMetrics(), lambda: RECORDING)
        await worker.forget_replay_edits()
        assert await kept() == 3
        await deleted_recordings.tell(shop.wiring.redis, shop.room_id, RECORDING)
        while await worker.forget_replay_edits():
            pass
        assert await kept() == 2
        # Whose end nobody told.
        later = Worker(shop.wiring, client, WorkerMetrics(), lambda: RECORDING + 1)
        await later.forget_replay_edits()
    assert await kept() == 1
    assert (await shop.browser().get(path(shop, RECORDING + 1))).json()["hidden"] is True
