"""The sample show is put in once, and stays as its host left it."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from commerce import catalogue
from commerce.database import Database, create_database
from commerce.schema import product as product_table
from commerce.schema import variant as variant_table
from live import identity, pictures, rooms, scripts
from live.catalogue_sample import PRODUCTS
from live.schema import user as user_table
from live.seed import MODERATOR_FILE, PASSWORD_FILE, PINNED, ROOM_ID, read_sign_in, seed
from live.settings import Settings

NOW_MS = 1_800_000_000_000


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = create_database(settings.database_url)
    yield database
    await database.aclose()


async def count(database: Database) -> tuple[int, ...]:
    async with database.read() as c:
        return tuple(
            [
                (await c.execute(select(func.count()).select_from(table))).scalar_one()
                for table in (product_table, variant_table, user_table)
            ]
        )


def test_the_catalogue_is_believable() -> None:
    assert len(PRODUCTS) >= 12
    for product in PRODUCTS:
        product.check()
        assert product.picture in pictures.NAMES
        assert set(product.title) == set(product.description) == {"en", "zh"}
        assert all(set(variant.title) == {"en", "zh"} for variant in product.variants)
    assert len({product.picture for product in PRODUCTS}) == len(PRODUCTS)
    assert sum(len(product.variants) > 1 for product in PRODUCTS) >= 10


async def test_the_room_is_on_air_in_rehearsal_with_a_product_pinned(
    database: Database, tmp_path: Path
) -> None:
    assert await seed(database, tmp_path, NOW_MS)
    async with database.read() as c:
        room = await rooms.get(c, ROOM_ID)
        shown = await rooms.product_ids(c, ROOM_ID)
        spoken = await scripts.read(c, ROOM_ID)
    assert (room.status, room.rehearsal, room.pinned_product_id) == ("live", True, PINNED)
    assert all(scripts.clean(one.script) == one.script != "" for one in spoken)
    minutes = [one.minute for one in spoken if one.minute is not None]
    assert len(minutes) == len(shown)
    assert minutes == sorted(minutes)
    assert len(shown) == len(PRODUCTS)


async def test_a_second_start_adds_nothing_and_keeps_what_the_host_did(
    database: Database, tmp_path: Path
) -> None:
    await seed(database, tmp_path, NOW_MS)
    before = await count(database)
    async with database.begin() as c:
        await rooms.pin(c, ROOM_ID, "pr_mug", NOW_MS)
        await rooms.set_status(c, ROOM_ID, "ended", NOW_MS)
        await c.execute(
            variant_table.update().where(variant_table.c.variant_id == "va_mug_blue").values(on_hand=7)
        )
    sign_in = read_sign_in(tmp_path / PASSWORD_FILE)
    assert not await seed(database, tmp_path, NOW_MS + 1)
    assert await count(database) == before
    async with database.read() as c:
        room = await rooms.get(c, ROOM_ID)
        mug, _ = await catalogue.get_variant(c, "va_mug_blue")
    assert (room.pinned_product_id, room.status, mug.on_hand) == ("pr_mug", "ended", 7)
    assert read_sign_in(tmp_path / PASSWORD_FILE) == sign_in


@pytest.mark.parametrize(
    ("file", "user_id", "role"),
    [(PASSWORD_FILE, "us_demo_host", "owner"), (MODERATOR_FILE, "us_demo_moderator", "moderator")],
)
async def test_the_written_password_signs_in_and_is_for_its_owners_eyes(
    database: Database, tmp_path: Path, file: str, user_id: str, role: str
) -> None:
    await seed(database, tmp_path, NOW_MS)
    sign_in = read_sign_in(tmp_path / file)
    assert sign_in is not None
    assert stat.S_IMODE((tmp_path / file).stat().st_mode) == 0o600
    async with database.read() as c:
        known = await identity.credentials(c, sign_in[0])
        user = await identity.get_user(c, user_id)
    assert known is not None
    assert identity.password_matches(known[1], sign_in[1])
    assert user is not None
    assert user.roles == {ROOM_ID: role}


async def test_a_lost_password_file_means_a_new_password(database: Database, tmp_path: Path) -> None:
    await seed(database, tmp_path, NOW_MS)
    old = read_sign_in(tmp_path / PASSWORD_FILE)
    (tmp_path / PASSWORD_FILE).unlink()
    await seed(database, tmp_path, NOW_MS)
    new = read_sign_in(tmp_path / PASSWORD_FILE)
    assert old is not None
    assert new is not None
    async with database.read() as c:
        known = await identity.credentials(c, new[0])
    assert known is not None
    assert identity.password_matches(known[1], new[1])
    assert not identity.password_matches(known[1], old[1])


@pytest.mark.parametrize("text", ["", "email: a@b.c\n", "password: x\n", "nonsense"])
def test_a_damaged_password_file_counts_as_lost(tmp_path: Path, text: str) -> None:
    (tmp_path / "file.txt").write_text(text)
    assert read_sign_in(tmp_path / "file.txt") is None
