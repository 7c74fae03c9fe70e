"""From SQLMesh's plan to its explanation. Reads what it is given, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from dagster_transform.sqlmesh.intervals import Interval, merged
from dagster_transform.sqlmesh.plans.explanation import (
    MOST_DIFFS,
    Backfill,
    Change,
    PlanExplanation,
    PlanRequest,
    Restated,
    Waits,
)
from dagster_transform.sqlmesh.state.expiry import expired_at

_CATEGORIES = {
    "BREAKING": "breaking",
    "NON_BREAKING": "non-breaking",
    "FORWARD_ONLY": "forward-only",
    "INDIRECT_BREAKING": "indirect breaking",
    "INDIRECT_NON_BREAKING": "indirect non-breaking",
    "METADATA": "metadata",
}


@dataclass(frozen=True, slots=True)
class Base:
    """What a plan is compared with.

    Attributes:
        previous_plan: The environment's plan; None if there is no such environment.
        finalized: Whether that plan has come to its end. If not, the plan is compared with what
            the environment had before it.
        origin: Name of the environment that a new one is made from, if there is one.
        origin_plan: Its plan.
        infos: SQLMesh's table infos, by fully qualified name.
        expired_at: When the environment has expired, UTC: it counts as new then; None: it has not.
    """

    previous_plan: str | None = None
    finalized: bool = True
    origin: str | None = None
    origin_plan: str | None = None
    infos: Mapping[str, Any] = field(default_factory=dict)
    expired_at: datetime | None = None

    @classmethod
    def of(cls, plan: Any, state: Any) -> Base:
        """Of SQLMesh's plan, from the state that it was made with."""
        diff = plan.context_diff
        name = diff.create_from.lower() if diff.is_new_environment else diff.environment
        record = state.get_environment(name)
        before = state.get_environment(diff.environment)
        expired = expired_at(before) if before is not None else None
        if record is None:
            return cls(expired_at=expired)
        if diff.is_new_environment:
            infos = _by_name(record.snapshots)
            return cls(origin=name, origin_plan=record.plan_id, infos=infos, expired_at=expired)
        infos = record.snapshots if record.finalized_ts else record.previous_finalized_snapshots
        return cls(record.plan_id, bool(record.finalized_ts), infos=_by_name(infos or []))

    def has_version_of(self, snapshot: Any) -> bool:
        """Whether the snapshot's table is the one that is there already."""
        info = self.infos.get(snapshot.name)
        return info is not None and info.version == snapshot.version


def explain(
    project: str,
    plan: Any,
    base: Base,
    backfill: Mapping[Any, Collection[Interval]],
    request: PlanRequest,
    *,
    called: Callable[[str], str],
    waiting: Mapping[str, str],
    execution_time: int,
) -> PlanExplanation:
    """Say what applying a plan would do.

    Args:
        project: The project's name in transform.yaml.
        plan: SQLMesh's Plan.
        base: What it is compared with.
        backfill: What its backfills build, by snapshot; empty where that can't be known.
        waiting: What is not built of that yet, or left to runs, and why, in words, by fully
            qualified name.
        request: What was asked for.
        called: What people call the node of a fully qualified name.
        execution_time: The plan's moment, epoch milliseconds.
    """
    diff = plan.context_diff
    changes = sorted(_changes(plan, base, called), key=lambda change: change.reference)
    restated = [
        Restated(s.name, called(s.name), tuple(interval))
        for s, interval in sorted(plan.restatements.items())
    ]
    builds = [
        Backfill(
            s.name, called(s.name), _kind(s), tuple(merged(intervals)), due=base.has_version_of(s)
        )
        for s, intervals in sorted(backfill.items(), key=lambda item: str(item[0].name))
        if intervals
    ]
    needed = plan.has_changes or plan.has_unmodified_unpromoted or bool(restated)
    return PlanExplanation(
        project=project,
        environment=str(diff.environment),
        execution_time=execution_time,
        previous_plan=base.previous_plan,
        finalized=base.finalized,
        origin=base.origin,
        origin_plan=base.origin_plan,
        target=_target(plan),
        needed=bool(needed or (request.run and builds)),
        changes=tuple(changes),
        backfill=tuple(builds),
        restated=tuple(restated),
        waiting=tuple(Waits(n, called(n), reason) for n, reason in sorted(waiting.items())),
        others=tuple(_others(plan, base)),
        request=request,
    )


def _changes(plan: Any, base: Base, called: Callable[[str], str]) -> Iterable[Change]:
    diffs = 0
    for snapshot in plan.snapshots.values():
        how = _how(snapshot, base.infos.get(snapshot.name))
        if not how:
            continue
        text = ""
        if how in ("direct", "metadata") and diffs < MOST_DIFFS:
            text = plan.context_diff.text_diff(snapshot.name)
            diffs += bool(text)
        yield Change(
            snapshot.name,
            called(snapshot.name),
            _kind(snapshot),
            how,
            category=_category(snapshot),
            forward_only=bool(snapshot.is_forward_only),
            identifier=snapshot.identifier,
            diff=text,
        )
    there = {snapshot.name for snapshot in plan.snapshots.values()}
    for name, info in base.infos.items():
        if name not in there:
            yield Change(
                name, called(name), _kind(info), "removed", identifier=info.snapshot_id.identifier
            )


def _how(snapshot: Any, info: Any | None) -> str:
    """How a node stands to what was there: SQLMesh's own rule, on the fingerprints."""
    if info is None or info.node_type != snapshot.node_type:
        return "added"
    then, now = info.fingerprint, snapshot.fingerprint
    if then == now:
        return ""
    if then.data_hash != now.data_hash:
        return "direct"
    if then.parent_data_hash != now.parent_data_hash:
        return "indirect"
    return "metadata" if then.metadata_hash != now.metadata_hash else "indirect"


def _category(snapshot: Any) -> str:
    """In words; empty where SQLMesh could not say."""
    category = snapshot.change_category
    if category is None or not snapshot.version:
        return ""
    return _CATEGORIES[category.name]


def _kind(snapshot: Any) -> str:
    kind = snapshot.model_kind_name
    return str(kind.value) if kind is not None else "AUDIT"


def _others(plan: Any, base: Base) -> Iterable[str]:
    diff = plan.context_diff
    if base.origin is not None and not diff.has_snapshot_changes:
        yield f"a new environment, whose models are those of {base.origin}"
    if base.expired_at is not None:
        moment = f"{base.expired_at:%Y-%m-%d %H:%M} UTC"
        yield f"the environment is kept, which has expired on {moment}; it is planned as a new one"
    if plan.has_unmodified_unpromoted:
        yield "views of unchanged models, which the environment does not have yet"
    if diff.has_environment_statements_changes:
        yield "before_all or after_all statements"
    if diff.has_requirement_changes:
        yield "Python requirements"
    if (
        not diff.is_new_environment
        and diff.previous_gateway_managed_virtual_layer != diff.gateway_managed_virtual_layer
    ):
        yield "which gateway makes the views"


def _target(plan: Any) -> str:
    """Identity of all that the environment will hold."""
    diff = plan.context_diff
    content = {
        "nodes": sorted((s.name, s.identifier) for s in plan.snapshots.values()),
        # As data, sorted below: the order of macros in them is that of a set.
        "statements": [json.loads(s.json()) for s in _in_order(diff.environment_statements)],
        "requirements": diff.requirements,
    }
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _in_order(statements: Iterable[Any]) -> list[Any]:
    return sorted(statements, key=lambda statement: statement.project or "")


def _by_name(infos: Iterable[Any]) -> dict[str, Any]:
    return {info.name: info for info in infos}
