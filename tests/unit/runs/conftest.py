"""Runs over one store in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.claiming_runs import Runs


@pytest.fixture
def runs() -> Iterator[Runs]:
    found = Runs()
    yield found
    found.store.down = False
    for claims in found.made:
        claims.close()
    assert found.held() == []
    found.real.close()
