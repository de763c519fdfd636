"""Cursors for lists that go from newest to oldest: `TIME.ID` of the last row seen, so that new rows never shift a page."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, and_, or_

from commerce.errors import Invalid

MAX_PAGE: Final = 200
MAX_CURSOR_CHARACTERS: Final = 100


def page_size(limit: int) -> int:
    """`limit` within 1 to MAX_PAGE."""
    return max(1, min(MAX_PAGE, limit))


def encode_cursor(at_ms: int, row_id: str) -> str:
    return f"{at_ms}.{row_id}"


def decode_cursor(cursor: str) -> tuple[int, str]:
    """The place a cursor names; raises Invalid("bad_cursor")."""
    at, _, row_id = cursor.partition(".")
    if not (
        at.isascii() and at.isdigit() and len(at) <= 18 and row_id and len(cursor) <= MAX_CURSOR_CHARACTERS
    ):
        raise Invalid("bad_cursor", "this cursor is not one of ours")
    return int(at), row_id


def after_cursor(
    cursor: str | None, at_ms: ColumnElement[Any], row_id: ColumnElement[Any]
) -> list[ColumnElement[bool]]:
    """Conditions for the rows that come after the cursor in an order of (at_ms, row_id) descending."""
    if cursor is None:
        return []
    seen_at_ms, seen_id = decode_cursor(cursor)
    return [or_(at_ms < seen_at_ms, and_(at_ms == seen_at_ms, row_id < seen_id))]
