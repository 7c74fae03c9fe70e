"""What the three ways of a run have in common: work that others have done is taken out of ours."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from dagster_transform.graph import UnitId
from dagster_transform.sqlmesh.intervals import Interval
from dagster_transform.sqlmesh.runs.backends import ProjectBackends
from dagster_transform.sqlmesh.runs.way_of_run import WayOfRun, take_out_what_others_built
from dagster_transform.sqlmesh.state.assessment import Assessment
from dagster_transform.sqlmesh.state.current_environment import (
    CurrentEnvironment,
    PlannedEnvironment,
)
from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.sqlmesh.state.work import Work

DAYS = [(0, 1), (1, 2), (2, 3)]


class Way:
    """A way of a run that knows what others have built."""

    plans = False

    def __init__(self, not_built: Mapping[str, Sequence[Interval]]) -> None:
        environment = PlannedEnvironment("", (), Evaluation(None, None, None, execution_time=0))
        work = {name: Work(None, list(DAYS)) for name in ("a", "b", "c")}
        self.assessment = Assessment({}, work, CurrentEnvironment(environment))
        self.asked: list[str] = []
        self._not_built = not_built

    def begin(self, building: Collection[str], backends: ProjectBackends) -> None:
        raise NotImplementedError

    def why_not(self, reference: str, is_cancelled: Callable[[], bool]) -> str:
        raise NotImplementedError

    def read_again(self, works: Mapping[str, Work]) -> Mapping[str, Sequence[Interval]]:
        self.asked += works
        return self._not_built

    def promotion_tables(self, unit: UnitId) -> Mapping[str, bool]:
        raise NotImplementedError

    def promote(self, unit: UnitId) -> None:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError


def test_only_what_others_have_built_is_taken_out() -> None:
    way = Way({"a": [(1, 2)], "b": []})
    protocol: WayOfRun = way
    take_out_what_others_built(protocol, ["a", "b", "c", "not to be built"])
    assert way.asked == ["a", "b", "c"]
    work = way.assessment.work
    assert work["a"].batches == [(1, 2)]
    assert not work["a"].is_done
    assert work["b"].is_done
    assert work["c"].batches == DAYS
    assert not work["c"].recorded
