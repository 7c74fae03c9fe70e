"""The guard against permanent holes: what may be built now, and what an upstream still owes.

A node built over data that is not there yet is recorded as complete over it, and no later run
repairs it. SQLMesh orders the nodes of one run; it does not see what another run, an upstream that
is not selected, a signal or a coarser upstream still owes. So what is owed is left out here, and
stays missing until it can be built.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlmesh.core.snapshot import snapshots_to_dag
from sqlmesh.utils.date import to_timestamp

from dagster_transform.graph import name_of_reference
from dagster_transform.sqlmesh import _compat
from dagster_transform.sqlmesh.errors import SignalError
from dagster_transform.sqlmesh.intervals import Interval, in_words, merged, minus, without
from dagster_transform.sqlmesh.state.evaluation import Evaluation
from dagster_transform.sqlmesh.state.ready_batches import ready_batches

BUILT_IN_PRODUCTION = "this environment reads production's table, which production's runs build"
_ENDLESS = 2**62
Intervals = dict[str, list[Interval]]


@dataclass(slots=True)
class Allotment:
    """What is built of what was asked for.

    Attributes:
        build: Batches to build, by node.
        held: Nodes of which nothing can be built now, and why, in words.
        owing: Nodes that were not asked for and owe something to one that was.
        errors: Nodes that were asked for, and why nobody can say what of them can be built now;
            none is in `build` or `held`.
    """

    build: Intervals = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    owing: set[str] = field(default_factory=set)
    errors: dict[str, SignalError] = field(default_factory=dict)


def allot(
    evaluation: Evaluation,
    wanted: Mapping[Any, Collection[Interval]],
    owed: Mapping[Any, Collection[Interval]],
    called: Callable[[str], str] = name_of_reference,
    *,
    restating: bool = False,
    no_run_builds: Callable[[str], str] = lambda _: "",
) -> Allotment:
    """Decide what is built.

    Args:
        evaluation: With the snapshots of the wanted nodes and of all their ancestors.
        wanted: What the selected nodes lack or have to build anew, by snapshot; of a plan, what its
            backfills build.
        owed: What the others should have by their crons and lack, by snapshot; in a plan, which
            SQLMesh has made as a whole, nothing.
        called: What people call the node of a fully qualified name.
        restating: Whether signals get to know that this is a restatement.
        no_run_builds: Why no selection makes a run build the node of a fully qualified name, and
            what does; "" of one that a run builds once it is selected.
    """
    scheduler = evaluation.scheduler
    dag = snapshots_to_dag(scheduler.snapshots.values())
    ready = ready_batches(evaluation, {**owed, **wanted}, called, restating=restating)
    asked = {s.name: list(i) for s, i in wanted.items()}
    missing = {s.name: list(i) for s, i in owed.items()}
    result = Allotment()
    debts: Intervals = {}
    debtors: dict[str, set[str]] = {}
    reach = _Reach(evaluation, result.build)
    for snapshot_id in dag:
        snapshot = scheduler.snapshots.get(snapshot_id)
        if snapshot is None:
            continue
        name = snapshot.name
        parents = [p.name for p in snapshot.parents]
        not_built = merged(i for parent in parents for i in debts.get(parent, ()))
        debts[name] = merged([*not_built, *missing.get(name, ())])
        debtors[name] = {d for p in parents for d in debtors.get(p, ())}
        if name in missing:
            debtors[name].add(name)
        if not asked.get(name):
            continue
        result.owing |= debtors[name]
        if ready.culprits.get(name) in asked:
            result.errors[name] = ready.errors[name]
            continue
        mine = ready.batches.get(name, [])
        empty = reach.empty(snapshot)
        built = [] if empty else leave_out(snapshot, mine, not_built)
        beyond = reach.beyond(snapshot) if built else {}
        for uncovered in beyond.values():
            built = leave_out(snapshot, built, [uncovered])
        if built != mine and not minus(built, evaluation.intervals_of(snapshot)):
            built = []  # what is left is there already: the lookback of what was left out
        if built:
            result.build[name] = built
        else:
            owes = debtors[name] if not_built else set()
            why = _Why(evaluation, called, no_run_builds, owes, empty, beyond.keys(), asked[name])
            result.held[name] = why.in_words(snapshot)
    return result


def leave_out(snapshot: Any, batches: list[Interval], debts: list[Interval]) -> list[Interval]:
    """`batches` less every interval of the node that overlaps `debts`."""
    if not debts:
        return batches
    unit = snapshot.node.interval_unit
    cells = [_compat.cells_of(batch, unit) for batch in batches]
    return without(batches, debts, cells, uninterrupted=bool(snapshot.depends_on_past))


def why_empty(snapshot: Any, evaluation: Evaluation) -> str:
    """Why a node has no data yet of which nothing is missing either; empty if it has some."""
    if evaluation.intervals_of(snapshot):
        return ""
    start = f", start {snapshot.node.start}" if snapshot.node.start else ""
    return (
        "nothing of it was ever built, and no interval is due yet "
        f"(cron '{snapshot.node.cron}'{start})"
    )


class _Reach:
    """How far the data of upstreams reaches that are built by time range.

    An hourly child of a daily model would be complete for hours of a day that its parent gets only
    tomorrow, a daily child of a model with a weekly cron for the days of the week. This holds for
    children that are built interval by interval, of upstreams whose rows come interval by interval;
    views pass through. A FULL child is built whole again and again, and of other parents (a
    dimension that is built daily) the child takes what is there, as in SQLMesh.

    Args:
        evaluation: The snapshots.
        build: What this run will have built of them, by name; filled in while it is asked.
    """

    def __init__(self, evaluation: Evaluation, build: Mapping[str, Collection[Interval]]) -> None:
        self._evaluation = evaluation
        self._build = build

    def beyond(self, snapshot: Any) -> dict[str, Interval]:
        """Time that an upstream does not have yet: by its name."""
        if not _goes_by_intervals(snapshot):
            return {}
        found: dict[str, Interval] = {}
        for parent in self._read(snapshot):
            if parent.is_incremental_by_time_range:
                has, until = self._has(parent), self._end(parent)
                if has < until:
                    found[parent.name] = (has, until)
        return found

    def empty(self, snapshot: Any) -> set[str]:
        """Upstreams that have no data at all, and will get some: names.

        Of what `beyond` is about, a model takes what is before the upstream's start.
        """
        sliced = _goes_by_intervals(snapshot)
        return {
            parent.name
            for parent in self._read(snapshot)
            if not (sliced and parent.is_incremental_by_time_range)
            and not self._evaluation.intervals_of(parent)
            and not self._build.get(parent.name)
            and self._has(parent) < self._end(parent)
        }

    def _read(self, snapshot: Any) -> Iterable[Any]:
        """The upstreams that have rows of their own; views are looked through."""
        stack, seen = [p.name for p in snapshot.parents], set()
        while stack:
            name = stack.pop()
            parent = self._evaluation.by_name.get(name)
            if parent is None or name in seen or name == snapshot.name:
                continue
            seen.add(name)
            if parent.is_view or parent.is_embedded:
                stack.extend(p.name for p in parent.parents)
            elif parent.is_model and not parent.is_symbolic:
                yield parent

    def _has(self, parent: Any) -> int:
        """Until when; a model that has nothing yet has all that is before its start."""
        intervals = self._evaluation.intervals_of(parent)
        ends = [end for _, end in [*intervals, *self._build.get(parent.name, ())]]
        start = to_timestamp(parent.node.start) if parent.node.start else 0
        return max(ends, default=start)

    @staticmethod
    def _end(parent: Any) -> int:
        """A model with an end gets nothing after it: nobody waits for that."""
        if not parent.node.end:
            return _ENDLESS
        return int(parent.inclusive_exclusive(0, parent.node.end, strict=False)[1])


def _goes_by_intervals(snapshot: Any) -> bool:
    return bool(snapshot.is_incremental or snapshot.is_scd_type_2)


@dataclass(frozen=True, slots=True)
class _Why:
    """Why nothing of a node can be built.

    Attributes:
        evaluation: The snapshots.
        called: What people call the node of a fully qualified name.
        no_run_builds: As of `allot`.
        owes: Names of upstreams that are not built by this run and lack data that it needs.
        empty: Names of upstreams that have no data at all.
        beyond: Names of upstreams that have not got far enough.
        asked: What was to be built.
    """

    evaluation: Evaluation
    called: Callable[[str], str]
    no_run_builds: Callable[[str], str]
    owes: Collection[str]
    empty: Collection[str]
    beyond: Collection[str]
    asked: Collection[Interval]

    def in_words(self, snapshot: Any) -> str:
        """As people read it."""
        if self.owes:
            by_name = self.evaluation.by_name
            elsewhere = [n for n in self.owes if self.evaluation.is_productions(by_name[n])]
            if elsewhere:
                return f"its upstream {self._names(elsewhere)} lacks data: {BUILT_IN_PRODUCTION}"
            if nobodys := [n for n in self.owes if self.no_run_builds(n)]:
                why = self.no_run_builds(nobodys[0])
                return f"its upstream {self._names(nobodys)} lacks data: {why}"
            return (
                f"an upstream that is not selected has not built the data yet "
                f"({self._names(self.owes)}): "
                f'select +key:"{self.called(snapshot.name)}" or set upstreams: include'
            )
        if self.empty:
            return f"its upstream {self._names(self.empty)} has no data yet"
        if self.beyond:
            return f"its upstream {self._names(self.beyond)} has not got that far yet"
        return f"a signal, its own or an upstream's, holds back {in_words(self.asked)}"

    def _names(self, names: Collection[str]) -> str:
        return ", ".join(sorted(map(self.called, names)))
