"""CSV (RFC 4180) for people with spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as text. Numbers stay numbers; a text that a spreadsheet would take for a formula gets a quote in front."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows([[_cell(cell) for cell in row] for row in rows])
    return buffer.getvalue()


def _cell(value: Any) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def iso_time(at_ms: int | None) -> str:
    """UTC, to the millisecond; empty for never."""
    if at_ms is None:
        return ""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
