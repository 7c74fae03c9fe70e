"""A sample of rows, bounded: what is stored with a check's result must stay small."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

Cell = str | int | float | bool | None
Sample = tuple[Mapping[str, Cell], ...]
"""Rows as mappings from column to value, all with the same columns."""

MOST_COLUMNS = 50
MOST_CHARACTERS = 200
"""Of one value."""
_LARGEST = 2**63
"""Above it, Dagster's storage and JavaScript keep no whole number."""


def sample_of(columns: Sequence[str], rows: Iterable[Sequence[Any]], most: int) -> Sample:
    """The first rows, with what is no text, number or truth value as text.

    Args:
        columns: Names of the columns; of two with one name the second gets a number.
        rows: Rows with as many values.
        most: How many rows.
    """
    names: list[str] = []
    for name in columns[:MOST_COLUMNS]:
        again = sum(other == name or other.startswith(f"{name}_") for other in names)
        names.append(f"{name}_{again + 1}" if name in names else str(name))
    return tuple(
        {name: _cell(value) for name, value in zip(names, row, strict=False)}
        for row in islice(rows, most)
    )


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < _LARGEST:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    text = str(value)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}..."
