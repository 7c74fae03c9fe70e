from __future__ import annotations

from dagster_transform.errors import TransformError
from dagster_transform.sqlmesh.runs.failures import BatchError, in_words


def test_an_error_has_its_kind_and_its_batch() -> None:
    assert in_words(ValueError("no such column")) == "ValueError: no such column"
    assert in_words(ValueError()) == "ValueError without a message"
    failed = BatchError("2024-03-01")
    failed.__cause__ = ValueError("no such column")
    assert in_words(failed) == "2024-03-01: ValueError: no such column"


def test_our_own_errors_say_it_themselves() -> None:
    error = TransformError("Nothing works.", remedy="Try again.")
    assert in_words(error) == str(error)


def test_a_message_is_neither_endless_nor_has_it_a_password() -> None:
    text = in_words(ValueError("x" * 5_000))
    assert len(text) < 2_100
    assert text.endswith("...")
    assert "geheim" not in in_words(ValueError("postgresql://me:geheim@db/w is not there"))
