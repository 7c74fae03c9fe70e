from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dagster_transform.sqlmesh.intervals import Interval
from dagster_transform.sqlmesh.state.due_intervals import interval_to_rebuild, names_of_others
from dagster_transform.sqlmesh.state.evaluation import Evaluation


def snapshot(kind: str, **intervals: list[Interval]) -> Any:
    kinds = dict.fromkeys(("is_full", "is_view", "is_seed"), False)
    given = {"intervals": [], "dev_intervals": [], **kinds, **intervals}
    return SimpleNamespace(**given | {kind: True})


@pytest.mark.parametrize("kind", ["is_full", "is_view", "is_seed"])
def test_what_is_built_whole_is_built_again_over_its_last_interval(kind: str) -> None:
    assert interval_to_rebuild(snapshot(kind, intervals=[(0, 1), (1, 2), (5, 6)])) == (5, 6)
    assert interval_to_rebuild(snapshot(kind, dev_intervals=[(0, 1), (1, 2)])) == (0, 2)
    assert interval_to_rebuild(snapshot(kind)) is None  # never built: it is missing anyway


def test_what_is_built_by_intervals_is_not_built_again() -> None:
    assert interval_to_rebuild(snapshot("is_incremental", intervals=[(0, 1)])) is None


def test_others_are_what_somebody_builds_and_is_not_named() -> None:
    def model(name: str, *, is_model: bool = True, is_symbolic: bool = False) -> Any:
        return SimpleNamespace(name=name, is_model=is_model, is_symbolic=is_symbolic)

    found = [model("a"), model("b"), model("external", is_symbolic=True)]
    found.append(model("audit", is_model=False))
    scheduler = SimpleNamespace(snapshots=dict(enumerate(found)))
    evaluation = Evaluation(scheduler, None, None, execution_time=0)
    assert names_of_others(evaluation, {"a"}) == {"b"}
