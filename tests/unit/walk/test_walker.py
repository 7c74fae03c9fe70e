from __future__ import annotations

from dataclasses import replace

import pytest

from dagster_transform.planning import Outcome, Unit, UnitKind
from dagster_transform.walk import Event, Finished, Report, Started
from tests.support.fake_project_run import (
    NEVER,
    NothingWillHappen,
    Rehearsal,
    Script,
    VirtualInbox,
    build,
    chain,
    check,
)

# -- what starts when -----------------------------------------------------------------------------


def test_an_empty_plan_tells_nothing() -> None:
    assert Rehearsal().run().told == []


def test_each_unit_is_told_when_it_starts_and_when_it_ends() -> None:
    walk = Rehearsal(build("a:x"), build("a:y", "a:x")).run()
    assert [(time, type(e), e.unit.id) for time, e in walk.told] == [
        (0, Started, "a:x"),
        (1, Finished, "a:x"),
        (1, Started, "a:y"),
        (2, Finished, "a:y"),
    ]
    assert walk.walk.finished == walk.ends


def test_a_unit_starts_the_moment_the_last_one_before_it_has_ended() -> None:
    walk = Rehearsal(
        build("a:slow"),
        build("a:quick"),
        build("a:after_both", "a:slow", "a:quick"),
        build("a:after_quick", "a:quick"),
        scripts={"a:slow": Script(5), "a:quick": Script(2)},
    ).run()
    assert walk.times["a:after_quick"] == (2, 3)
    assert walk.times["a:after_both"] == (5, 6)


def test_no_more_models_than_the_limit_are_built_at_once_over_all_projects() -> None:
    units = [build(f"{p}:{i}") for p in "ab" for i in range(4)]
    walk = Rehearsal(*units, max_concurrent_models=3).run()
    assert walk.most_at_once() == 3
    assert max(end for _, end in walk.times.values()) == 3  # 8 seconds of work, 3 at a time


def test_checks_do_not_count_as_models() -> None:
    units = [build("a:x"), build("a:y"), *(check(f"a:c{i}") for i in range(4))]
    walk = Rehearsal(*units, max_concurrent_models=1).run()
    assert walk.most_at_once(UnitKind.BUILD) == 1
    assert walk.most_at_once(UnitKind.CHECK) == 4
    assert {walk.times[f"a:c{i}"] for i in range(4)} == {(0, 1)}


def test_no_project_run_gets_more_units_than_its_capacity() -> None:
    units = [build("a:x"), check("a:c1"), check("a:c2"), *(build(f"b:{i}") for i in range(4))]
    walk = Rehearsal(*units, capacity={"a": 1, "b": 2}).run()
    a, b = ({id: t for id, t in walk.times.items() if id.startswith(p)} for p in "ab")
    assert a == {"a:x": (0, 1), "a:c1": (1, 2), "a:c2": (2, 3)}
    assert b == {"b:0": (0, 1), "b:1": (0, 1), "b:2": (1, 2), "b:3": (1, 2)}


def test_a_project_that_is_not_bounded_builds_as_its_project_run_can_and_does_not_count() -> None:
    units = [build(f"{project}:{i}") for project in "ab" for i in range(4)]
    walk = Rehearsal(
        *units, capacity={"a": 8, "b": 3}, max_concurrent_models=2, unbounded=frozenset("b")
    ).run()
    assert [walk.times[f"a:{i}"][0] for i in range(4)] == [0, 0, 1, 1]
    assert [walk.times[f"b:{i}"][0] for i in range(4)] == [0, 0, 0, 1]


def test_a_full_project_run_does_not_hold_back_another_one() -> None:
    units = [build("a:1"), build("a:2"), build("b:1")]
    walk = Rehearsal(*units, capacity={"a": 1}, max_concurrent_models=2).run()
    assert walk.times["b:1"] == (0, 1)


def test_what_ends_makes_room_at_once_and_not_in_waves() -> None:
    units = [build(f"a:{i}") for i in range(4)]
    scripts = {"a:0": Script(10)}
    walk = Rehearsal(*units, scripts=scripts, max_concurrent_models=2).run()
    assert [walk.times[f"a:{i}"] for i in range(4)] == [(0, 10), (0, 1), (1, 2), (2, 3)]


def test_ready_units_start_in_the_order_of_the_plan() -> None:
    units = [build(f"a:{name}") for name in "dbca"]
    walk = Rehearsal(*units, build("a:last"), max_concurrent_models=1).run()
    assert walk.order == ["a:d", "a:b", "a:c", "a:a", "a:last"]


def test_the_order_of_the_plan_holds_across_projects_and_kinds() -> None:
    units = [build("b:1"), build("a:1"), build("b:2"), check("a:c"), build("a:2")]
    assert Rehearsal(*units, max_concurrent_models=1).run().order == [
        "b:1",
        "a:c",
        "a:1",
        "b:2",
        "a:2",
    ]
    walk = Rehearsal(*units, capacity={"a": 1}, max_concurrent_models=2).run()
    assert walk.order == ["b:1", "a:1", "b:2", "a:c", "a:2"]


def test_what_becomes_ready_late_still_has_its_place_in_the_plan() -> None:
    units = [build("a:root"), build("a:child", "a:root"), build("a:x"), build("a:y")]
    walk = Rehearsal(*units, capacity=1).run()
    assert walk.order == ["a:root", "a:child", "a:x", "a:y"]


def test_projects_that_depend_on_each_other_are_ordered_unit_by_unit() -> None:
    walk = Rehearsal(
        build("dbt:raw"),
        build("sm:mart", "dbt:raw"),
        build("dbt:report", "sm:mart"),
        build("dbt:other"),
        scripts={"dbt:other": Script(9)},
    ).run()
    assert walk.times == {
        "dbt:raw": (0, 1),
        "dbt:other": (0, 9),
        "sm:mart": (1, 2),
        "dbt:report": (2, 3),
    }


def test_ten_thousand_nodes_in_a_chain() -> None:
    walk = Rehearsal(*chain(10_000)).run()
    assert set(walk.outcomes.values()) == {"built"}
    assert walk.inbox.now() == 10_000


def test_the_walk_goes_on_while_what_it_tells_is_being_stored() -> None:
    units = [build("a:0"), build("a:1", "a:0"), *(build(f"b:{i}") for i in range(6))]
    walk = Rehearsal(*units)
    for event in walk.walk.events():
        walk.note(event)
        walk.inbox.let_time_pass(0.13)  # Dagster's database is slow
    began, _ = walk.times["a:1"]
    assert 1 <= began < 1.13, "with the next event, and not when all were stored"
    assert walk.order[-1] == "a:1"


def test_a_unit_that_nobody_can_start_is_told_and_the_walk_ends() -> None:
    walk = Rehearsal(build("a:x"), build("a:y", "a:x"), capacity=0).run()
    assert walk.outcomes == {"a:x": "cancelled", "a:y": "cancelled"}
    assert walk.reasons["a:x"] == "its project run could not start it"


def test_a_report_of_a_unit_that_does_not_run_changes_nothing() -> None:
    walk = Rehearsal(build("a:x"), build("a:y", "a:x"))
    walk.inbox.put(Report("a:y", Outcome.BUILT))
    walk.inbox.put(Report("a:stranger", Outcome.FAILED, "?"))
    assert walk.run().times == {"a:x": (0, 1), "a:y": (1, 2)}


def test_the_fake_does_not_hang_where_nothing_will_happen() -> None:
    with pytest.raises(NothingWillHappen):
        VirtualInbox().get(None)
    with pytest.raises(NothingWillHappen):
        Rehearsal(build("a:x"), scripts={"a:x": Script(NEVER)}).run()


# -- what one process holds -----------------------------------------------------------------------

FILE = {"a": {"file:x"}, "b": {"file:x"}}


def test_two_project_runs_have_a_file_in_phases() -> None:
    units = [*(build(f"a:{i}") for i in range(4)), *(build(f"b:{i}") for i in range(4))]
    walk = Rehearsal(*units, exclusive=FILE, capacity={"a": 2, "b": 4}).run()
    assert [walk.times[f"a:{i}"] for i in range(4)] == [(0, 1), (0, 1), (1, 2), (1, 2)]
    assert {walk.times[f"b:{i}"] for i in range(4)} == {(2, 3)}
    assert walk.project_runs["a"].closings == [2]
    assert walk.project_runs["b"].closings == []


def test_a_project_run_that_does_one_at_a_time_keeps_what_it_holds_while_it_has_work() -> None:
    interleaved = [unit for pair in zip(chain(5), chain(5, "b"), strict=True) for unit in pair]
    walk = Rehearsal(*interleaved, exclusive=FILE, capacity=1).run()
    assert [id[0] for id in walk.order] == ["a"] * 5 + ["b"] * 5
    assert walk.project_runs["a"].closings == [5]


def test_an_idle_project_run_closes_its_files_although_it_has_work_that_can_not_start_yet() -> None:
    walk = Rehearsal(build("a:1"), build("b:1", "a:1"), build("a:2", "b:1"), exclusive=FILE).run()
    assert walk.times == {"a:1": (0, 1), "b:1": (1, 2), "a:2": (2, 3)}
    assert walk.project_runs["a"].closings == [1]
    assert walk.project_runs["b"].closings == [2]


def test_a_project_run_at_work_is_not_asked_to_close_its_files() -> None:
    units = [build("a:quick"), build("a:long"), build("b:1", "a:quick")]
    walk = Rehearsal(*units, scripts={"a:long": Script(7)}, exclusive=FILE).run()
    assert walk.times["b:1"] == (7, 8)
    assert walk.project_runs["a"].closings == [7]


def test_project_runs_that_need_nothing_alone_or_something_else_run_side_by_side() -> None:
    exclusive = {"a": {"file:x"}, "b": {"file:y"}}
    walk = Rehearsal(build("a:1"), build("b:1"), build("c:1"), exclusive=exclusive).run()
    assert {walk.times[f"{p}:1"] for p in "abc"} == {(0, 1)}


def test_a_project_run_that_needs_two_files_waits_for_both() -> None:
    exclusive = {"a": {"file:x"}, "b": {"file:y"}, "c": {"file:x", "file:y"}}
    units = [build("a:1"), build("b:1"), build("c:1"), build("a:2", "c:1")]
    walk = Rehearsal(*units, scripts={"b:1": Script(3)}, exclusive=exclusive).run()
    assert walk.times["c:1"] == (3, 4)
    assert walk.times["a:2"] == (4, 5)
    assert [walk.project_runs[p].closings for p in "abc"] == [[3], [3], [4]]


def test_a_check_needs_the_file_too() -> None:
    walk = Rehearsal(build("a:1"), check("b:c"), exclusive=FILE).run()
    assert walk.times == {"a:1": (0, 1), "b:c": (1, 2)}


# -- what comes last ------------------------------------------------------------------------------


def last(id: str, *after: str, blocking: bool = True) -> Unit:
    return replace(check(id, *after, blocking=blocking), last=True)


def test_what_comes_last_waits_for_all_that_does_not() -> None:
    walk = Rehearsal(
        build("a:x"), build("a:slow"), last("a:x:c", "a:x"), last("a:c"),
        scripts={"a:slow": Script(5)},
    ).run()  # fmt: skip
    assert {walk.times["a:x:c"], walk.times["a:c"]} == {(5, 6)}


def test_it_starts_also_after_failures_and_what_it_judges_decides() -> None:
    walk = Rehearsal(
        build("a:x"), build("a:y"), build("a:below", "a:y"),
        last("a:x:c", "a:x"), last("a:y:c", "a:y"), last("a:below:c", "a:below"),
        scripts={"a:y": Script(outcome=Outcome.FAILED, reason="no")},
    ).run()  # fmt: skip
    outcomes = {unit: end.outcome for unit, end in walk.ends.items()}
    assert outcomes["a:x:c"] is Outcome.CHECKED
    assert outcomes["a:y:c"] is outcomes["a:below:c"] is Outcome.BLOCKED


def test_no_more_checks_than_the_limit_run_at_once_over_all_projects() -> None:
    units = [check(f"{p}:{i}") for p in "ab" for i in range(4)]
    walk = Rehearsal(*units, build("a:x"), max_concurrent_checks=3).run()
    assert walk.most_at_once(UnitKind.CHECK) == 3
    assert walk.times["a:x"] == (0, 1)


# -- whoever stores events takes longer than the builds --------------------------------------------


class SlowTeller(Rehearsal):
    """Each event takes a third of a second to store; builds go on meanwhile."""

    def note(self, event: Event) -> None:
        self.inbox.let_time_pass(1 / 3)
        super().note(event)


def test_what_is_built_is_told_soon_though_storing_takes_longer_than_building() -> None:
    layers = [[f"a:{layer}.{n}" for n in range(8)] for layer in range(8)]
    above = [(), *layers]
    units = [build(id, *before) for ids, before in zip(layers, above, strict=False) for id in ids]
    quick = {unit.id: Script(0.05) for unit in units}
    walk = SlowTeller(*units, scripts=quick, capacity=4).run()
    told = {e.unit.id: time for time, e in walk.told if isinstance(e, Finished)}
    ended = {ran.unit.id: ran.end for ran in walk.ran}
    lags = [told[id] - (ended[id] or 0) for id in told]
    # One second, and what comes of the units that were started in it: 4 starts, 4 ends.
    assert max(lags) < 1 + 8 / 3 + 0.1
    assert walk.inbox.now() == pytest.approx(len(walk.told) / 3, rel=0.03), "no time is lost by it"
