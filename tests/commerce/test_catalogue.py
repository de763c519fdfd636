"""Products and variants."""

from __future__ import annotations

from dataclasses import replace

import pytest

from commerce import catalogue
from commerce.catalogue import Product, Variant
from commerce.errors import Invalid, NotFound
from tests.commerce.world import World

SERUM = Product(
    product_id="pr_serum",
    title={"en": "Serum", "zh": "精华"},
    description={"en": "Glow", "zh": "亮"},
    picture="serum.svg",
    currency="CNY",
    variants=(
        Variant(
            variant_id="va_2", product_id="pr_serum", title={"en": "30 ml"}, price_minor=9_900, on_hand=5
        ),
        Variant(
            variant_id="va_1", product_id="pr_serum", title={"en": "50 ml"}, price_minor=14_900, on_hand=7
        ),
    ),
)


async def test_a_product_comes_back_as_it_was_put_with_its_variants_in_order(world: World) -> None:
    async with world.database.begin() as c:
        await catalogue.put_product(c, SERUM)
    async with world.database.read() as c:
        assert await catalogue.get_products(c, ["pr_serum", "pr_none"]) == [SERUM]
        assert len(await catalogue.get_products(c)) == 2
        assert (await catalogue.get_variant(c, "va_1"))[0].on_hand == 7
        with pytest.raises(NotFound):
            await catalogue.get_variant(c, "va_none")


async def test_putting_it_again_changes_words_and_prices_but_never_stock(world: World) -> None:
    cheaper = replace(
        SERUM,
        title={"en": "New"},
        variants=tuple(replace(one, price_minor=1_000, on_hand=999) for one in SERUM.variants),
    )
    for product in (SERUM, cheaper):
        async with world.database.begin() as c:
            await catalogue.put_product(c, product)
    async with world.database.read() as c:
        found = (await catalogue.get_products(c, ["pr_serum"]))[0]
    assert (found.title, [one.price_minor for one in found.variants]) == ({"en": "New"}, [1_000, 1_000])
    assert [one.on_hand for one in found.variants] == [5, 7]


@pytest.mark.parametrize(
    "wrong",
    [
        replace(SERUM, currency="XXX"),
        replace(SERUM, variants=()),
        replace(SERUM, title={"en": "x" * 2_001}),
        replace(SERUM, variants=(replace(SERUM.variants[0], product_id="pr_other"),)),
        replace(SERUM, variants=(replace(SERUM.variants[0], on_hand=-1),)),
        replace(SERUM, variants=(replace(SERUM.variants[0], price_minor=0),)),
    ],
)
async def test_a_product_that_cannot_be_right_is_refused(world: World, wrong: Product) -> None:
    with pytest.raises(Invalid):
        async with world.database.begin() as c:
            await catalogue.put_product(c, wrong)
