"""When the log says how far a long build has come."""

from __future__ import annotations

from dagster_transform.graph import Graph
from dagster_transform.planning import Outcome, RunPlan, Unit, UnitKind
from dagster_transform.planning.values import Limits
from dagster_transform.runs.log_lines import LogLines
from dagster_transform.runs.progress import LEAST_SECONDS, is_due
from dagster_transform.walk import Finished, Progress, Progressed, Report, Started
from tests.support.run_without_dagster import Lines

UNIT = Unit("p:x", UnitKind.BUILD, "p")


class Told:
    """A log, and a clock that tests set."""

    def __init__(self) -> None:
        self.now = 100.0
        self.log = Lines()
        run_plan = RunPlan({UNIT.id: UNIT}, {}, Limits())
        self.lines = LogLines(self.log, Graph.of(), run_plan, lambda _: "w/m/x", lambda: self.now)
        self.lines.event(Started(UNIT, 1))
        self.log.clear()

    def build(self, batches: int, seconds: float) -> None:
        for number in range(1, batches + 1):
            self.now += seconds / batches
            progress = Progress(UNIT.id, number, batches, f"batch {number}")
            self.lines.event(Progressed(UNIT, progress))


def test_a_short_build_is_not_interrupted() -> None:
    told = Told()
    told.build(1_155, LEAST_SECONDS * 0.99)
    assert told.log == []


def test_a_long_one_says_where_it_is() -> None:
    told = Told()
    told.build(1_155, 65)
    assert len(told.log) == 12
    assert told.log[0] == "w/m/x: batch 89 of 1,155, batch 89, 7 %"
    assert told.log[-1].startswith("w/m/x: batch 1,0")
    told.lines.event(
        Finished(UNIT, Outcome.BUILT, "", Report(UNIT.id, Outcome.BUILT, seconds=65, rows=3))
    )
    assert told.log[-1] == "w/m/x: built in 65.00 s, 3 rows, 1,155 of 1,155 batches"


def test_one_that_fails_says_how_far_it_has_come() -> None:
    told = Told()
    told.build(10, 1)
    told.lines.event(Progressed(UNIT, Progress(UNIT.id, 3, 10, "b")))
    told.lines.event(Finished(UNIT, Outcome.FAILED, "no", Report(UNIT.id, Outcome.FAILED, "no")))
    assert told.log == ["w/m/x: failed, 3 of 10 batches: no"]


def test_hours_cost_a_bounded_number_of_lines() -> None:
    told = Told()
    told.build(100_000, 10 * 3600)
    assert 100 < len(told.log) < 160


def test_the_rule() -> None:
    assert not is_due(104.9, 100, 100)
    assert is_due(105, 100, 100)
    assert not is_due(1_149, 100, 1_100)  # a twentieth of what it has taken
    assert is_due(1_153, 100, 1_100)
