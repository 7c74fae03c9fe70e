"""The claims of one op: as whom it claims, and where."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from dagster_transform.claims import Owner, OwnerKind, Store
from dagster_transform.config import TransformConfig
from dagster_transform.dagster.execution.claims_store import open_claims
from dagster_transform.dagster.execution.ports import InstanceRecords
from dagster_transform.dagster.execution.run_options import TransformResource, is_tick
from dagster_transform.databases.backends import BackendId
from dagster_transform.graph import UnitId
from dagster_transform.planning import Slot
from dagster_transform.runs.claiming.backends import EndBackends
from dagster_transform.runs.claiming.claims import RunClaims
from dagster_transform.runs.claiming.held import HeldClaims
from dagster_transform.runs.claiming.policy import ClaimPolicy
from dagster_transform.runs.lifetime import RunLifetime

_PERSON, _TICK = 1, 0
_IN_MEMORY = (
    "Claims are kept in memory, as this Dagster instance keeps its runs: other processes don't see "
    "them, and may build the same tables at the same moment. Set DAGSTER_HOME, or claims_url in "
    "transform.yaml, to share them."
)


def held_claims(context: Any, config: TransformConfig) -> HeldClaims:
    """What an op holds: nothing yet.

    Args:
        context: Dagster's context of the op.
        config: Where claims are kept.

    Raises:
        ClaimsError: The claims store can't be used.
    """
    return HeldClaims(open_claims(context.instance, config), context.log)


def warn_of_memory(context: Any, store: Store, lifetime: RunLifetime) -> None:
    """Say once a run that its claims keep no other process out, where that is so."""
    if not store.shared:
        lifetime.warn_once(context.log, _IN_MEMORY)


def claim_policy(
    context: Any,
    resource: TransformResource,
    slots: Mapping[UnitId, tuple[Slot, ...]] | None = None,
) -> ClaimPolicy:
    """How an op claims.

    Args:
        context: Dagster's context of the op.
        resource: What the run asks for.
        slots: What its units take of what is counted.
    """
    tags = context.run.tags
    return ClaimPolicy(
        owner=owner_of(context, tick=is_tick(tags)),
        skip=resource.skips_claimed(tags),
        wait=resource.claim_wait,
        slots=slots or {},
    )


def no_backends(_: Collection[BackendId]) -> Collection[BackendId]:
    """Ends none: for whoever reaches no database server."""
    return ()


def new_claims(
    context: Any,
    config: TransformConfig,
    resource: TransformResource,
    end_backends: EndBackends = no_backends,
) -> RunClaims:
    """Claims for work on a project as a whole, of which nothing is taken yet.

    Args:
        context: Dagster's context of the op.
        config: Where claims are kept.
        resource: What the run asks for.
        end_backends: Ends backends that other runs have on database servers.

    Raises:
        ClaimsError: The claims store can't be used.
    """
    held = held_claims(context, config)
    records = InstanceRecords(context.instance)
    return RunClaims(held, claim_policy(context, resource), records, end_backends)


def owner_of(context: Any, *, tick: bool) -> Owner:
    """As whom a run claims.

    Args:
        context: Dagster's context of an op.
        tick: Whether a schedule or sensor launched the run.
    """
    run = context.run
    attempt = 0
    if run.root_run_id and (record := context.instance.get_run_record_by_id(run.run_id)):
        attempt = int(record.create_timestamp.timestamp())  # later attempts are created later
    return Owner(
        kind=OwnerKind.RUN,
        run_id=run.run_id,
        root_run_id=run.root_run_id or run.run_id,
        attempt=attempt,
        reason=run.job_name if not run.job_name.startswith("__") else "",
        priority=_TICK if tick else _PERSON,
    )
