"""A room's products in the host's order: reorder, add one quickly, take one out, and read many from a CSV file, or write them to one.

A CSV is taken whole or not at all; what is wrong with it is told by row and column. A file that was written here can be read again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from commerce import catalogue, sale_rows
from commerce.catalogue import MAX_ON_HAND, MAX_VARIANTS, Product, Variant
from commerce.csv_lines import FORMULA_STARTS, csv_lines
from commerce.errors import NotFound, OutOfState
from commerce.money import MAX_AMOUNT_MINOR, MINOR_DIGITS
from commerce.sale_rules import OCCUPYING
from live import pictures, rooms, scripts
from live.rooms import Room
from live.schema import room, room_product
from live.scripts import Script

MAX_IN_ROOM: Final = 200
MAX_ROWS: Final = 500
MAX_TITLE: Final = 80
MAX_ROW_ERRORS: Final = 20
COLUMNS: Final = ("title", "price", "stock")
MORE_COLUMNS: Final = ("title_zh", "variant", "variant_zh", "currency", "picture", "script", "minute")
DEFAULT_PICTURE: Final = "tea-tin"
_PRICE: Final = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,2}))?")
_STOCK: Final = re.compile(r"[0-9]{1,8}")
_MINUTE: Final = re.compile(r"[0-9]{0,4}")


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with a CSV: `row` counts from 1, the header's, as a spreadsheet does."""

    row: int
    column: str
    message: str


@dataclass(frozen=True, slots=True)
class Item:
    """A product as a file has it, and what the file says of its `script` and `minute`; without these columns nothing."""

    product: Product
    spoken: Mapping[str, Any]


async def reorder(c: AsyncConnection, room_id: str, product_ids: Sequence[str]) -> Room:
    """Put the room's products in this order. Raises OutOfState `run_changed` when they are not exactly the room's."""
    now = await rooms.product_ids(c, room_id)
    if sorted(now) != sorted(product_ids):
        raise OutOfState("run_changed", "The run of show has changed meanwhile. Look again.")
    for position, product_id in enumerate(product_ids):
        await c.execute(
            update(room_product)
            .where(room_product.c.room_id == room_id, room_product.c.product_id == product_id)
            .values(position=position)
        )
    return await _changed(c, room_id)


async def add(c: AsyncConnection, room_id: str, products: Sequence[Product]) -> Room:
    """Put products into the catalogue and at the end of the room's run; those it has stay where they are.

    Raises OutOfState `run_full` beyond 200.
    """
    now = await rooms.product_ids(c, room_id)
    new = [product for product in products if product.product_id not in now]
    if len(now) + len(new) > MAX_IN_ROOM:
        raise OutOfState("run_full", f"A run of show has at most {MAX_IN_ROOM} products.", most=MAX_IN_ROOM)
    for product in products:
        await catalogue.put_product(c, product)
    last = select(func.max(room_product.c.position)).where(room_product.c.room_id == room_id)
    first = ((await c.execute(last)).scalar() or 0) + 1
    for number, product in enumerate(new):
        row = {"room_id": room_id, "product_id": product.product_id, "position": first + number}
        await c.execute(insert(room_product).values(**row))
    return await _changed(c, room_id)


async def remove(c: AsyncConnection, room_id: str, product_id: str) -> Room:
    """Take a product out of the run; its sales and orders stay.

    Raises NotFound `not_in_run`, and OutOfState `on_sale` while it is on sale or `is_pinned` while it is shown.
    """
    active, _ = await sale_rows.list_for_room(c, room_id, MAX_IN_ROOM, states=OCCUPYING)
    if any(sale.product_id == product_id for sale in active):
        raise OutOfState("on_sale", "It is on sale now.")
    if (await rooms.get(c, room_id)).pinned_product_id == product_id:
        raise OutOfState("is_pinned", "Viewers see it now. Unpin it first.")
    gone = await c.execute(
        delete(room_product).where(room_product.c.room_id == room_id, room_product.c.product_id == product_id)
    )
    if not gone.rowcount:
        raise NotFound("not_in_run", "This product is not in the run of show.")
    return await _changed(c, room_id)


async def _changed(c: AsyncConnection, room_id: str) -> Room:
    return await rooms.change(c, room_id, run_version=room.c.run_version + 1)


async def add_items(c: AsyncConnection, room_id: str, items: Sequence[Item]) -> Room:
    """Add what a file has, or change what it has anew. Raises OutOfState `run_full` beyond 200."""
    after = await add(c, room_id, [item.product for item in items])
    spoken = {item.product.product_id: item.spoken for item in items if item.spoken}
    return await scripts.put(c, room_id, spoken) if spoken else after


def read_csv(
    text: str, room_id: str, currency: str, known: Sequence[Product] = ()
) -> tuple[list[Item], list[RowError]]:
    """The items of a CSV (RFC 4180, with a header), or what is wrong with it: at most 20 errors.

    Rows of one title are variants of one product; its script and minute stand in the first of them. A title that the room has
    already (`known`), or had from a file, is the same product: its prices, script and minute change, and its stock is left alone.
    """
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    errors: list[RowError] = []
    rows: dict[str, list[tuple[int, Mapping[str, str]]]] = {}
    number = 1
    try:
        header = [name.strip().lower().replace(" ", "_") for name in next(lines, [])]
        errors += _header_errors(header)
        for values in lines if not errors else ():
            number += 1  # rows as a spreadsheet counts them: one cell may hold many lines
            if not any(value.strip() for value in values):
                continue
            if len(values) != len(header):
                errors.append(RowError(number, "", f"{len(values)} cells where the header has {len(header)}"))
                continue
            row = {name: _unquoted(value.strip()) for name, value in zip(header, values, strict=True)}
            errors += _row_errors(number, row, currency)
            rows.setdefault(row["title"], []).append((number, row))
            if sum(map(len, rows.values())) > MAX_ROWS:
                errors.append(RowError(number, "", f"more than {MAX_ROWS} rows"))
                break
            if len(errors) >= MAX_ROW_ERRORS:
                break
    except csv.Error as error:
        errors.append(RowError(number + 1, "", f"not CSV: {error}"))
    if not rows and not errors:
        errors.append(RowError(1, "", "no rows below the header"))
    if errors:
        return [], errors[:MAX_ROW_ERRORS]
    items = []
    by_title = {product.title.get("en"): product for product in known}
    for title, found in rows.items():
        errors += _variant_errors(found)
        if not errors:
            item = [row for _, row in found]
            product = _product(room_id, title, item, currency)
            if title in by_title:
                product = _as_known(product, by_title[title], has_picture=bool(item[0].get("picture")))
            items.append(Item(product, _spoken(item[0])))
    return ([], errors[:MAX_ROW_ERRORS]) if errors else (items, [])


def write_csv(products: Sequence[Product], spoken: Mapping[str, Script]) -> str:
    """All items as a CSV that `read_csv` reads: a row per variant, the script in a product's first."""
    rows: list[Sequence[Any]] = [(*COLUMNS, *MORE_COLUMNS)]
    for product in products:
        said = spoken.get(product.product_id)
        for number, variant in enumerate(product.variants):
            row = {
                "title": product.title.get("en", ""),
                "price": _price(variant.price_minor, product.currency),
                "stock": variant.on_hand,
                "title_zh": product.title.get("zh"),
                "variant": variant.title.get("en"),
                "variant_zh": variant.title.get("zh"),
                "currency": product.currency,
                "picture": product.picture,
            }
            if number == 0 and said is not None:
                row |= {"script": said.script, "minute": said.minute}
            rows.append([row.get(name) for name in rows[0]])
    return csv_lines(rows)


def _header_errors(header: Sequence[str]) -> list[RowError]:
    known = {*COLUMNS, *MORE_COLUMNS}
    errors = [RowError(1, name, "this column is missing") for name in COLUMNS if name not in header]
    errors += [RowError(1, name[:40], "there is no such column") for name in header if name not in known]
    if len(set(header)) != len(header):
        errors.append(RowError(1, "", "a column stands twice"))
    return errors


def _row_errors(number: int, row: Mapping[str, str], currency: str) -> list[RowError]:
    errors = []

    def wrong(column: str, message: str) -> None:
        errors.append(RowError(number, column, message))

    if not row["title"]:
        wrong("title", "must not be empty")
    for column in ("title", "title_zh", "variant", "variant_zh"):
        text = row.get(column, "")
        if len(text) > MAX_TITLE or not text.isprintable():
            wrong(column, f"at most {MAX_TITLE} characters on one line")
    own = row.get("currency") or currency
    if own not in MINOR_DIGITS:
        wrong("currency", f"one of {', '.join(MINOR_DIGITS)}")
    elif price_minor(row["price"], own) is None:
        digits = MINOR_DIGITS[own]
        wrong(
            "price",
            f"an amount above 0 with at most {digits} digits after the point, like {'59.90' if digits else '590'}",
        )
    if not _STOCK.fullmatch(row["stock"]) or int(row["stock"]) > MAX_ON_HAND:
        wrong("stock", f"a whole number from 0 to {MAX_ON_HAND}")
    if row.get("picture") and row["picture"] not in pictures.NAMES:
        wrong("picture", f"one of {', '.join(pictures.NAMES)}")
    try:
        scripts.clean(row.get("script", ""))
    except ValueError as error:
        wrong("script", str(error))
    minute = row.get("minute", "")
    if not _MINUTE.fullmatch(minute) or int(minute or 0) > scripts.MAX_MINUTE:
        wrong("minute", f"a whole number from 0 to {scripts.MAX_MINUTE}, or nothing")
    return errors


def _variant_errors(found: Sequence[tuple[int, Mapping[str, str]]]) -> list[RowError]:
    """Rows of one title together: every variant once, one currency, not too many."""
    errors, seen = [], set()
    for number, row in found:
        if row.get("variant", "") in seen:
            errors.append(RowError(number, "variant", "this title has this variant already"))
        seen.add(row.get("variant", ""))
        if row.get("currency", "") != found[0][1].get("currency", ""):
            errors.append(RowError(number, "currency", "all variants of a title have one currency"))
        for column in ("script", "minute"):
            if row.get(column) and row[column] != found[0][1][column]:
                errors.append(RowError(number, column, "it stands in the first row of a title"))
    if len(found) > MAX_VARIANTS:
        errors.append(RowError(found[-1][0], "variant", f"a title has at most {MAX_VARIANTS} variants"))
    return errors


def price_minor(text: str, currency: str) -> int | None:
    """An amount as people write it ("59.90") in minor units; None when it is none of this currency."""
    digits = MINOR_DIGITS[currency]
    found = _PRICE.fullmatch(text)
    if found is None or len(found[2] or "") > digits:
        return None
    minor = int(found[1]) * 10**digits + int((found[2] or "").ljust(digits, "0") or 0)
    return minor if 0 < minor <= MAX_AMOUNT_MINOR else None


def _product(room_id: str, title: str, rows: Sequence[Mapping[str, str]], currency: str) -> Product:
    first = rows[0]
    product_id = _id("pr", room_id, title)
    own = first.get("currency") or currency
    return Product(
        product_id=product_id,
        title=by_language(title, first.get("title_zh", "")),
        description={},
        picture=first.get("picture") or DEFAULT_PICTURE,
        currency=own,
        variants=tuple(
            Variant(
                variant_id=_id("va", product_id, row.get("variant", "")),
                product_id=product_id,
                title=by_language(row.get("variant") or "Standard", row.get("variant_zh", "")),
                price_minor=price_minor(row["price"], own) or 0,
                on_hand=int(row["stock"]),
            )
            for row in rows
        ),
    )


def _as_known(read: Product, known: Product, *, has_picture: bool) -> Product:
    """A product as a file has it, under the ids that it has already, and with what a file doesn't say as it is."""
    variants = {variant.title.get("en"): variant for variant in known.variants}

    def same(variant: Variant) -> Variant:
        title, product_id = variant.title, known.product_id
        old = variants.get(title["en"])
        if old is None:
            return replace(variant, variant_id=_id("va", product_id, title["en"]), product_id=product_id)
        return replace(old, title={**old.title, **title}, price_minor=variant.price_minor)

    return replace(
        read,
        product_id=known.product_id,
        title={**known.title, **read.title},
        description=known.description,
        picture=read.picture if has_picture else known.picture,
        variants=tuple(map(same, read.variants)),
    )


def _spoken(row: Mapping[str, str]) -> dict[str, Any]:
    spoken: dict[str, Any] = {}
    if "script" in row:
        spoken["script"] = scripts.clean(row["script"])
    if "minute" in row:
        spoken["minute"] = int(row["minute"]) if row["minute"] else None
    return spoken


def _unquoted(cell: str) -> str:
    """Without the quote that keeps a spreadsheet from taking a text for a formula (`csv_lines`)."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA_STARTS) else cell


def _price(minor: int, currency: str) -> str:
    digits = MINOR_DIGITS[currency]
    return f"{minor // 10**digits}.{minor % 10**digits:0{digits}}" if digits else str(minor)


def by_language(english: str, chinese: str | None) -> dict[str, str]:
    """A text as the catalogue and rooms keep it; without Chinese there is none of it."""
    return {"en": english, **({"zh": chinese} if chinese else {})}


def _id(prefix: str, *parts: str) -> str:
    joined = "\0".join(parts)
    return f"{prefix}_{hashlib.sha256(joined.encode()).hexdigest()[:20]}"
