"""Samples of rows are small, and can be stored."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from dagster_transform.databases.samples import MOST_COLUMNS, sample_of


def test_rows_become_mappings() -> None:
    rows = [(1, "x"), (2, None), (3, "y")]
    assert sample_of(["id", "name"], iter(rows), 2) == (
        {"id": 1, "name": "x"}, {"id": 2, "name": None},
    )  # fmt: skip


def test_what_is_no_text_number_or_truth_value_becomes_text() -> None:
    values = (True, 1.5, Decimal("1.50"), date(2024, 3, 5), 2**70, float("nan"), b"\xff", [1])
    (row,) = sample_of([str(i) for i in range(8)], [values], 1)
    assert list(row.values()) == [
        True, 1.5, "1.50", "2024-03-05", str(2**70), "nan", "b'\\xff'", "[1]",
    ]  # fmt: skip


def test_it_is_bounded() -> None:
    (row,) = sample_of([f"c{i}" for i in range(80)], [["x" * 1000] * 80], 5)
    assert len(row) == MOST_COLUMNS
    assert {len(str(value)) for value in row.values()} == {200}


def test_columns_of_one_name_are_all_there() -> None:
    (row,) = sample_of(["id", "id", "id"], [(1, 2, 3)], 1)
    assert list(row.values()) == [1, 2, 3]
    assert len(row) == 3


def test_no_rows_are_no_sample() -> None:
    assert sample_of(["id"], [], 5) == ()
