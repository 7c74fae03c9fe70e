from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_transform.graph import Check, Graph, Node, Relation, Source
from dagster_transform.planning import GOOD_OUTCOMES, Outcome, Readiness, Unit, UnitKind, plan_run
from dagster_transform.walk import Finished, Retrying, Started
from tests.support.fake_project_run import Rehearsal, Script, build, check, promotion

PROJECTS = ("a", "b", "c")
SECONDS = st.sampled_from((0.0, 0.5, 1.0, 2.0, 3.0, 7.0))
ENDS = st.sampled_from((None, None, None, None, Outcome.FAILED, Outcome.UP_TO_DATE))
NOT_DONE = (Outcome.WAITING, Outcome.CANCELLED)


@st.composite
def scripts(draw: st.DrawFn, unit: Unit) -> Script:
    outcome = draw(ENDS)
    if outcome is Outcome.FAILED:
        outcome = draw(st.sampled_from((Outcome.FAILED, Outcome.FAILED, *NOT_DONE)))
    fails_check = outcome is None and unit.kind is not UnitKind.PROMOTE and draw(st.booleans())
    names = (f"{unit.id}:bad",) if fails_check and draw(st.booleans()) else ()
    return Script(
        seconds=draw(SECONDS),
        outcome=outcome,
        transient_failures=draw(st.sampled_from((0, 0, 0, 1, 2, 3))),
        failed_checks=names if unit.blocking else (),
        warned_checks=() if unit.blocking else names,
        heeds_cancel=draw(st.booleans()),
    )


@dataclass
class Case:
    """A plan, what becomes of each of its units, and how the walk may go about it."""

    units: list[Unit] = field(default_factory=list)
    scripts: dict[str, Script] = field(default_factory=dict)
    capacity: dict[str, int] = field(default_factory=dict)
    exclusive: dict[str, set[str]] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)

    def rehearse(self, **limits: float) -> Rehearsal:
        return Rehearsal(
            *self.units,
            scripts=self.scripts,
            capacity=self.capacity,
            exclusive=self.exclusive,
            **{**self.limits, **limits},
        )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    case = Case(
        capacity={p: draw(st.integers(1, 4)) for p in PROJECTS},
        exclusive={p: draw(st.sets(st.sampled_from(("f", "g")), max_size=2)) for p in PROJECTS},
        limits={
            "max_concurrent_models": draw(st.integers(1, 4)),
            "retries": draw(st.integers(0, 3)),
            "retry_delay": draw(st.sampled_from((0.0, 0.5, 2.0))),
            "cancel_grace": draw(st.sampled_from((0.0, 1.0, 5.0, 50.0))),
        },
    )
    for number in range(draw(st.integers(4, 16))):
        above = [u.id for u in case.units]
        chosen = draw(st.lists(st.sampled_from(above), unique=True, max_size=3)) if above else []
        id = f"{draw(st.sampled_from(PROJECTS))}:{number:02}"
        kind = draw(st.sampled_from((*[UnitKind.BUILD] * 4, UnitKind.CHECK, UnitKind.PROMOTE)))
        if kind is UnitKind.BUILD:
            unit = build(id, *chosen, promotion=draw(st.sampled_from((None, None, "p"))))
        elif kind is UnitKind.CHECK:
            unit = check(id, *chosen, blocking=draw(st.booleans()))
        else:
            unit = promotion(id, *chosen)
        case.units.append(unit)
        case.scripts[id] = draw(scripts(unit))
    return case


# -- what must be so, computed without the walker -------------------------------------------------


def goes_on(unit: Unit, end: Finished) -> bool:
    """Whether `unit` may go on after the end of one that it waits for."""
    if end.outcome not in GOOD_OUTCOMES:
        return False
    # One that comes after a check judges what would be built after that.
    judges = unit.kind is UnitKind.CHECK and end.unit.kind is UnitKind.BUILD
    return judges or not (end.report and end.report.failed_checks)


def own_outcome(case: Case, unit: Unit) -> Outcome:
    """What becomes of a unit that is started and not interrupted."""
    script = case.scripts[unit.id]
    if script.transient_failures > case.limits["retries"]:
        return Outcome.FAILED
    outcome = script.report(unit, script.transient_failures + 1).outcome
    return Outcome.BACKFILLED if outcome is Outcome.BUILT and unit.promotion else outcome


def passed_on(end: Finished) -> Outcome:
    return end.outcome if end.outcome in NOT_DONE else Outcome.BLOCKED


def ancestors(walk: Rehearsal, unit: Unit) -> set[str]:
    found: set[str] = set()
    stack = [*unit.after]
    while stack:
        if (id := stack.pop()) not in found:
            found.add(id)
            stack.extend(walk.plan.units[id].after)
    return found


def causes(walk: Rehearsal) -> Iterator[tuple[str, str]]:
    """Units that failed in this run or whose blocking check did, and how a reason names them."""
    for id, end in walk.ends.items():
        if end.report is not None and end.report.failed_checks:
            yield id, f"blocking check failed: {id}:bad"
        elif end.outcome is Outcome.FAILED:
            yield id, f"upstream failed: {id}"


def assert_within_limits(walk: Rehearsal) -> None:
    """At no moment more runs than may, and nothing begins before what it waits for."""
    for ran in walk.ran:
        at_once = [
            r for r in walk.ran if r.start <= ran.start and (r.end is None or r.end > ran.start)
        ]
        builds = sum(r.unit.kind is UnitKind.BUILD for r in at_once)
        assert builds <= walk.plan.limits.max_concurrent_models
        for project, project_run in walk.project_runs.items():
            mine = [r.unit.kind for r in at_once if r.unit.project == project]
            assert len(mine) <= project_run.capacity
            assert UnitKind.PROMOTE not in mine or len(mine) == 1
            for other in walk.project_runs.values():
                if other is not project_run and other.exclusive & project_run.exclusive:
                    assert not mine or not any(r.unit.project == other.project for r in at_once)
        for before in ran.unit.after:
            assert goes_on(ran.unit, walk.ends[before])
            assert all(r.end is not None and r.end <= ran.start for r in walk.runs_of(before))


class WatchesForIdleness:
    """Fails when the walk waits although something could start."""

    def __init__(self, walk: Rehearsal) -> None:
        self.walk = walk
        walk.inbox.before_wait = self

    def __call__(self) -> None:
        resting = {
            e.unit.id
            for time, e in self.walk.told
            if isinstance(e, Retrying) and self.walk.inbox.now() < time + e.delay
        }
        # A project run whose report lies in the inbox is still at work for the walker.
        running = {e.unit.id for _, e in self.walk.told if isinstance(e, Started)}
        last = {e.unit.id: e for _, e in self.walk.told}
        running = {id for id in running if isinstance(last[id], Started)}
        for unit in self.walk.plan.units.values():
            if unit.id in running | resting | self.walk.ends.keys():
                continue
            ends = [self.walk.ends.get(before) for before in unit.after]
            if all(end is not None and goes_on(unit, end) for end in ends):
                assert self._is_held(unit, running), f"{unit.id} could start"

    def _is_held(self, unit: Unit, running: set[str]) -> bool:
        at_work = [self.walk.plan.units[id] for id in running]
        mine = [u.kind for u in at_work if u.project == unit.project]
        project_run = self.walk.project_runs[unit.project]
        builds = sum(u.kind is UnitKind.BUILD for u in at_work)
        holders = {self.walk.holders.get(r) for r in project_run.exclusive} - {None, unit.project}
        return (
            len(mine) >= project_run.capacity
            or UnitKind.PROMOTE in mine
            or (unit.kind is UnitKind.PROMOTE and bool(mine))
            or (
                unit.kind is UnitKind.BUILD
                and builds >= self.walk.plan.limits.max_concurrent_models
            )
            or any(u.project in holders for u in at_work)
        )


# -- walks ----------------------------------------------------------------------------------------


@given(cases())
@settings(max_examples=100, deadline=None)
def test_every_unit_ends_once_as_its_ancestors_let_it(case: Case) -> None:
    walk = case.rehearse().run()  # it makes sure that each unit is told exactly once
    cause_of = dict(causes(walk))
    for unit in walk.plan.units.values():
        end = walk.ends[unit.id]
        bad = [walk.ends[b] for b in unit.after if not goes_on(unit, walk.ends[b])]
        if not bad:
            assert end.outcome is own_outcome(case, unit)
            assert end.report is not None
            continue
        assert end.outcome in {passed_on(b) for b in bad}
        assert end.report is None
        assert unit.id not in walk.order
        if end.outcome is Outcome.BLOCKED:
            above = ancestors(walk, unit)
            assert end.reason in {why for id, why in cause_of.items() if id in above}


@given(cases())
@settings(max_examples=100, deadline=None)
def test_the_limits_hold_at_each_moment(case: Case) -> None:
    assert_within_limits(case.rehearse().run())


@given(cases())
@settings(max_examples=100, deadline=None)
def test_nothing_waits_that_could_start(case: Case) -> None:
    walk = case.rehearse()
    WatchesForIdleness(walk)
    walk.run()


@given(cases())
@settings(max_examples=100, deadline=None)
def test_a_unit_is_tried_as_often_as_it_may_be(case: Case) -> None:
    walk = case.rehearse().run()
    for id in set(walk.order):
        wanted = case.scripts[id].transient_failures + 1
        assert len(walk.runs_of(id)) == min(wanted, walk.plan.limits.retries + 1)
        for i, (first, then) in enumerate(
            zip(walk.runs_of(id), walk.runs_of(id)[1:], strict=False)
        ):
            assert first.end is not None
            assert then.start >= first.end + walk.plan.limits.retry_delay * 2**i


@given(cases(), st.floats(0, 20))
@settings(max_examples=100, deadline=None)
def test_after_an_interrupt_nothing_starts_and_everything_is_told(case: Case, time: float) -> None:
    walk = case.rehearse().run_until(time)
    ends, order, running = walk.outcomes, walk.order, set(walk.running)
    walk.cancel("stopped")
    assert walk.order == order
    assert all(walk.outcomes[id] == outcome for id, outcome in ends.items())
    for id in walk.outcomes.keys() - ends.keys() - running:
        assert walk.ends[id].outcome in (
            Outcome.CANCELLED,
            Outcome.FAILED,
            Outcome.BLOCKED,
            *NOT_DONE,
        )
    assert walk.inbox.now() <= max(time, 0) + walk.plan.limits.cancel_grace + 0.11 or not running
    assert_within_limits(walk)


@given(cases(), st.integers(0, 30))
@settings(max_examples=100, deadline=None)
def test_a_walk_that_is_left_between_two_events_can_be_cancelled(case: Case, events: int) -> None:
    walk = case.rehearse().run_for(events)
    starts = len(walk.ran)
    walk.cancel()
    assert len(walk.ran) == len(walk.order) == starts


@given(cases())
@settings(max_examples=100, deadline=None)
def test_fail_fast_starts_nothing_after_the_first_failure(case: Case) -> None:
    walk = case.rehearse(fail_fast=True).run()
    failed = False
    for _, event in walk.told:
        assert not (failed and isinstance(event, Started | Retrying))
        if isinstance(event, Finished):
            bad_check = event.report is not None and event.report.failed_checks
            failed |= event.outcome is Outcome.FAILED or bool(bad_check)
    assert_within_limits(walk)


# -- run plans ------------------------------------------------------------------------------------


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    nodes: list[Node] = []
    for label in draw(st.permutations(range(draw(st.integers(3, 10))))):
        name = f"n{label:02}"
        ids = [n.id for n in nodes] + ["s:raw"]
        deps = draw(st.lists(st.sampled_from(ids), unique=True, max_size=3))
        project = draw(st.sampled_from(PROJECTS))
        relation = Relation("duckdb:/x", None, project, name)
        nodes.append(
            Node(
                f"{project}:{name}", project, "dbt", name, name, "table", relation, deps=tuple(deps)
            )
        )
    ids = [n.id for n in nodes] + ["s:raw"]
    checks = []
    for number in range(draw(st.integers(2, 6))):
        target, *also = draw(st.lists(st.sampled_from(ids), min_size=1, max_size=3, unique=True))
        checks.append(
            Check(
                f"{target}:c{number}",
                draw(st.sampled_from(PROJECTS)),
                f"c{number}",
                target,
                tuple(also),
                blocking=draw(st.booleans()),
                in_build=draw(st.booleans()),
            )
        )
    source = Source("s:raw", "s", "raw", "raw", Relation("duckdb:/x", None, "s", "raw"))
    return Graph.of(nodes, [source], checks)


OUT = st.builds(
    Readiness,
    st.sampled_from(
        (None, None, None, Outcome.UP_TO_DATE, Outcome.WAITING, Outcome.CLAIMED, Outcome.FAILED)
    ),
    st.just("because"),
)


@given(st.data(), graphs())
@settings(max_examples=100, deadline=None)
def test_a_run_plan_has_everything_that_was_selected_in_a_possible_order(
    data: st.DataObject, graph: Graph
) -> None:
    chosen = data.draw(st.sets(st.sampled_from(sorted(graph.nodes)))) if graph.nodes else set()
    judged = data.draw(st.sets(st.sampled_from(sorted(graph.checks)))) if graph.checks else set()
    readiness = {n: data.draw(OUT) for n in sorted(chosen)}
    plan = plan_run(graph, chosen, judged, readiness)  # and there never is a circle

    done = {c for c in judged if graph.checks[c].in_build and graph.checks[c].target in plan.units}
    assert plan.units.keys() | plan.left_out.keys() == (chosen | judged) - done
    assert not plan.units.keys() & plan.left_out.keys()
    assert all(out.reason for out in plan.left_out.values())

    seen: set[str] = set()
    reach: dict[str, set[str]] = {}
    for unit in plan.units.values():
        assert unit.after <= seen
        seen.add(unit.id)
        reach[unit.id] = set(unit.after).union(*(reach[b] for b in unit.after))
    for id in plan.units.keys() & graph.nodes.keys():
        above = graph.ancestors((id,))
        assert reach[id] & graph.nodes.keys() == above & plan.units.keys()
        for check_id in plan.units.keys() & graph.checks.keys():
            check = graph.checks[check_id]
            if check.blocking and {check.target, *check.also} <= above:
                assert check_id in reach[id]
            assert check.blocking or check_id not in reach[id]
