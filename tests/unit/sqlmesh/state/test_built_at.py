from __future__ import annotations

from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from dagster_transform.sqlmesh.state.built_at import built_at
from dagster_transform.sqlmesh.state.evaluation import Evaluation


def evaluation(representative: bool) -> Evaluation:
    index = SimpleNamespace(is_representative=lambda _: representative)
    return Evaluation(None, deployability=index, naming=None, execution_time=0)


@pytest.mark.parametrize(
    ("representative", "hour"), [(True, 6), (False, 7)], ids=["production", "development"]
)
def test_it_is_the_moment_of_the_table_that_the_environment_has(
    representative: bool, hour: int
) -> None:
    moments = [datetime(2024, 3, 5, h, tzinfo=timezone.utc) for h in (6, 7)]
    stamps = [int(moment.timestamp() * 1000) for moment in moments]
    snapshot = SimpleNamespace(last_altered_ts=stamps[0], dev_last_altered_ts=stamps[1])
    assert built_at(snapshot, evaluation(representative)) == moments[hour - 6]


def test_it_may_not_be_known() -> None:
    snapshot = SimpleNamespace(last_altered_ts=None, dev_last_altered_ts=0)
    assert built_at(snapshot, evaluation(True)) is None
    assert built_at(snapshot, evaluation(False)) is None


def test_intervals_are_those_of_the_table_that_the_environment_has() -> None:
    snapshot: Any = SimpleNamespace(intervals=[(0, 1)], dev_intervals=[(2, 3)])
    assert evaluation(True).intervals_of(snapshot) == [(0, 1)]
    assert evaluation(False).intervals_of(snapshot) == [(2, 3)]
