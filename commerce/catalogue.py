"""Products and their variants: what is sold, at what list price, and how many units lie on the shelf."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import upsert
from commerce.errors import Invalid, NotFound
from commerce.money import require_amount, require_currency
from commerce.schema import product as product_table
from commerce.schema import variant as variant_table

MAX_PRODUCTS: Final = 500
MAX_VARIANTS: Final = 50
MAX_ON_HAND: Final = 10_000_000
MAX_TEXT: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One thing a buyer can choose: `on_hand` units are on the shelf, units set aside for a sale not among them."""

    variant_id: str
    product_id: str
    title: dict[str, str]
    price_minor: int
    on_hand: int
    floor_minor: int | None = None
    """No sale may go below this price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product with its variants in the seller's order. Texts are by language: `{"en": ..., "zh": ...}`."""

    product_id: str
    title: dict[str, str]
    description: dict[str, str]
    picture: str
    currency: str
    variants: tuple[Variant, ...]

    def check(self) -> None:
        """Raise Invalid when the product could never be right."""
        require_currency(self.currency)
        if not 0 < len(self.variants) <= MAX_VARIANTS:
            raise Invalid("bad_product", f"a product has 1 to {MAX_VARIANTS} variants")
        for texts in (self.title, self.description, *(variant.title for variant in self.variants)):
            if not all(isinstance(text, str) and len(text) <= MAX_TEXT for text in texts.values()):
                raise Invalid("bad_product", f"a text has at most {MAX_TEXT} characters")
        for variant in self.variants:
            require_amount(variant.price_minor, "price_minor")
            if variant.floor_minor is not None:
                require_amount(variant.floor_minor, "floor_minor")
            if variant.product_id != self.product_id:
                raise Invalid("bad_product", "a variant names another product")
            if type(variant.on_hand) is not int or not 0 <= variant.on_hand <= MAX_ON_HAND:
                raise Invalid("bad_product", f"on_hand must be an integer from 0 to {MAX_ON_HAND}")


async def put_product(c: AsyncConnection, product: Product) -> None:
    """Add the product, or replace its texts, prices and order of variants. Idempotent by id.

    Stock of a variant that exists already is left alone: only stock movements change it.
    """
    product.check()
    position = (await c.execute(select(func.count()).select_from(product_table))).scalar_one()
    texts: dict[str, Any] = {
        "title": product.title,
        "description": product.description,
        "picture": product.picture,
        "currency": product.currency,
    }
    await _upsert(c, product_table, {"product_id": product.product_id}, {"position": position}, texts)
    for number, one in enumerate(product.variants):
        await _upsert(
            c,
            variant_table,
            {"variant_id": one.variant_id},
            {"product_id": one.product_id, "on_hand": one.on_hand},
            {
                "title": one.title,
                "price_minor": one.price_minor,
                "floor_minor": one.floor_minor,
                "position": number,
            },
        )


async def _upsert(
    c: AsyncConnection, table: Any, key: dict[str, Any], at_first: dict[str, Any], always: dict[str, Any]
) -> None:
    statement = upsert.insert_into(c, table).values(**key, **at_first, **always)
    await c.execute(statement.on_conflict_do_update(index_elements=list(key), set_=always))


async def get_products(c: AsyncConnection, product_ids: Iterable[str] | None = None) -> list[Product]:
    """The named products, or all, in the seller's order (at most MAX_PRODUCTS); unknown ids are left out."""
    query = select(product_table).order_by(product_table.c.position, product_table.c.product_id)
    variants_query = select(variant_table).order_by(variant_table.c.position, variant_table.c.variant_id)
    if product_ids is not None:
        wanted = list(product_ids)[:MAX_PRODUCTS]
        query = query.where(product_table.c.product_id.in_(wanted))
        variants_query = variants_query.where(variant_table.c.product_id.in_(wanted))
    variants: dict[str, list[Variant]] = {}
    for row in await c.execute(variants_query):
        variants.setdefault(row.product_id, []).append(_variant(row))
    return [
        Product(
            product_id=row.product_id,
            title=row.title,
            description=row.description,
            picture=row.picture,
            currency=row.currency,
            variants=tuple(variants.get(row.product_id, ())),
        )
        for row in await c.execute(query.limit(MAX_PRODUCTS))
    ]


async def get_variant(c: AsyncConnection, variant_id: str) -> tuple[Variant, str]:
    """The variant and its currency; raises NotFound("unknown_variant")."""
    query = select(variant_table, product_table.c.currency).join(product_table)
    row = (await c.execute(query.where(variant_table.c.variant_id == variant_id))).first()
    if row is None:
        raise NotFound("unknown_variant", "there is no such variant", variant_id=variant_id)
    return _variant(row), row.currency


def _variant(row: Row[Any]) -> Variant:
    return Variant(
        variant_id=row.variant_id,
        product_id=row.product_id,
        title=row.title,
        price_minor=row.price_minor,
        on_hand=row.on_hand,
        floor_minor=row.floor_minor,
    )
