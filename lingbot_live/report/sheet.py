"""Rows of a CSV file that a spreadsheet shows as they are."""

from __future__ import annotations

from collections.abc import Iterable

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # with which a spreadsheet begins to compute


def safe_row(row: Iterable[object]) -> list[object]:
    """Return the cells of a row; texts that a spreadsheet would run get a quote in front."""
    return [
        f"'{c}" if isinstance(c, str) and c.lstrip(" ").startswith(_FORMULA) else c for c in row
    ]
