"""A store that can be cut off, and what a keeper reports as lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dagster_transform.claims import Lost
from tests.support.flaky_store import FAST, Flaky


@pytest.fixture
def lost() -> list[Lost]:
    return []


@pytest.fixture
def store() -> Iterator[Flaky]:
    store = Flaky(FAST)
    yield store
    store.hang.set()
