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
from dagster_transform.sqlmesh.intervals import Interval, in_words, merged, without
from dagster_transform.sqlmesh.state.evaluation import Evaluation

_ENDLESS = 2**62
Intervals = dict[str, list[Interval]]


@dataclass(slots=True)
class Allotment:
    """What is built of what was asked for.

    Attributes:
        build: Batches to build, by node.
        held: Nodes of which nothing can be built now, and why, in words.
        owing: Nodes that were not asked for and owe something to one that was.
    """

    build: Intervals = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    owing: set[str] = field(default_factory=set)


def allot(
    evaluation: Evaluation,
    wanted: Mapping[Any, Collection[Interval]],
    owed: Mapping[Any, Collection[Interval]],
    called: Callable[[str], str] = name_of_reference,
    *,
    restating: bool = False,
) -> Allotment:
    """Decide what is built.

    Args:
        evaluation: With the snapshots of the wanted nodes and of all their ancestors.
        wanted: What the selected nodes lack or have to build anew, by snapshot.
        owed: What the others should have by their crons and lack, by snapshot.
        called: What people call the node of a fully qualified name.
        restating: Whether signals get to know that this is a restatement.
    """
    scheduler = evaluation.scheduler
    dag = snapshots_to_dag(scheduler.snapshots.values())
    batches = {
        s.name: list(i)
        for s, i in scheduler.batch_intervals(
            {**owed, **wanted},
            evaluation.deployability,
            evaluation.naming,
            dag=dag,
            is_restatement=restating,
        ).items()
    }
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
        mine = batches.get(name, [])
        built = leave_out(snapshot, mine, not_built)
        beyond = reach.beyond(snapshot) if built else {}
        for uncovered in beyond.values():
            built = leave_out(snapshot, built, [uncovered])
        if built:
            result.build[name] = built
        else:
            words = in_words(asked[name])
            result.held[name] = _why(snapshot, called, bool(not_built), beyond, words)
    return result


def leave_out(snapshot: Any, batches: list[Interval], debts: list[Interval]) -> list[Interval]:
    """`batches` less every interval of the node that overlaps `debts`."""
    if not debts:
        return batches
    unit = snapshot.node.interval_unit
    cells = [_compat.cells_of(batch, unit) for batch in batches]
    return without(batches, debts, cells, uninterrupted=bool(snapshot.depends_on_past))


def within_reach(evaluation: Evaluation, batches: Mapping[Any, Collection[Interval]]) -> Intervals:
    """`batches` by name, less what an upstream that is built by time range does not have yet.

    For the backfill of a plan, which SQLMesh has planned as a whole: nothing else is owed there.
    """
    by_name = {s.name: (s, list(i)) for s, i in batches.items()}
    result: Intervals = {}
    reach = _Reach(evaluation, result)
    for snapshot_id in snapshots_to_dag(evaluation.scheduler.snapshots.values()):
        if snapshot_id.name in by_name:
            snapshot, built = by_name[snapshot_id.name]
            for uncovered in reach.beyond(snapshot).values() if built else ():
                built = leave_out(snapshot, built, [uncovered])
            result[snapshot.name] = built
    return result


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
        if not (snapshot.is_incremental or snapshot.is_scd_type_2):
            return {}
        found: dict[str, Interval] = {}
        for parent in self._sliced(snapshot):
            has, until = self._has(parent), self._end(parent)
            if has < until:
                found[parent.name] = (has, until)
        return found

    def _sliced(self, snapshot: Any) -> Iterable[Any]:
        """The upstreams that are built by time range; views are looked through."""
        stack, seen = [p.name for p in snapshot.parents], set()
        while stack:
            name = stack.pop()
            parent = self._evaluation.by_name.get(name)
            if parent is None or name in seen or name == snapshot.name:
                continue
            seen.add(name)
            if parent.is_incremental_by_time_range:
                yield parent
            elif parent.is_view or parent.is_embedded:
                stack.extend(p.name for p in parent.parents)

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


def _why(
    snapshot: Any, called: Callable[[str], str], owed: bool, beyond: Collection[str], asked: str
) -> str:
    """Why nothing of a node can be built.

    Args:
        snapshot: The node's.
        called: What people call the node of a fully qualified name.
        owed: Whether an upstream that is not selected owes it something.
        beyond: Upstreams that have not got far enough.
        asked: What was to be built, in words.
    """
    if owed:
        parents = ", ".join(called(p.name) for p in snapshot.parents)
        return (
            f"an upstream that is not selected has not built the data yet ({parents}): "
            f'select +key:"{called(snapshot.name)}" or set upstreams: include'
        )
    if beyond:
        parents = ", ".join(sorted(map(called, beyond)))
        return f"its upstream {parents} has not got that far yet"
    return f"a signal, its own or an upstream's, holds back {asked}"
