"""Private parts of Dagster that this package touches, each with a contract test.

tests/contract/test_dagster_compat.py fails, naming the part, when a new version moves one.
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import dagster as dg
from dagster._core.definitions.assets.definition.asset_spec import (
    SYSTEM_METADATA_KEY_IO_MANAGER_KEY,
)
from dagster._core.definitions.dependency import NodeHandle
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.definitions.utils import is_valid_name

if TYPE_CHECKING:
    from dagster._core.storage.event_log.base import AssetRecord

CODE_VERSION_TAG = "dagster/code_version"
"""The tag of a materialisation that has the version of the code that was executed."""
_RUN_COMMANDS = frozenset(
    {
        ("api", "execute_run"), ("api", "execute_step"), ("api", "resume_run"),
        ("asset", "materialize"), ("job", "execute"),
    }
)  # fmt: skip


_KEYS_AT_ONCE = 500
"""That one query names."""


def executes_a_run() -> bool:
    """Whether this process was started to execute a run, or a step of one.

    It was by a command of Dagster's; a code server and the multiprocess executor make processes
    with `multiprocessing`, for nothing but that.
    """
    if multiprocessing.parent_process() is not None:
        return True
    context = click.get_current_context(silent=True)
    group = context.parent if context is not None else None
    if context is None or group is None:
        return False
    return (group.command.name, context.command.name) in _RUN_COMMANDS


IO_MANAGER_KEY = SYSTEM_METADATA_KEY_IO_MANAGER_KEY
"""Metadata of an asset: the I/O manager by which Python assets load it."""


def is_inner_name(name: str, *, an_input: bool = False) -> bool:
    """Whether Dagster takes a name for an op or an output (or an input): it has an alphabet of its
    own, and words that are reserved."""
    return (an_input and name == "config") or is_valid_name(name)


def output_without_event(output_name: str) -> dg.Output[None]:
    """An output that lets downstream ops go on and stores no event for its asset.

    For a node that was up to date: what reads it may run, and nothing says that it was
    materialised. Dagster leaves the event out for outputs that carry this metadata key.
    """
    return dg.Output(
        None,
        output_name=output_name,
        metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True},
    )


def check_outputs(assets: dg.AssetsDefinition) -> dict[str, dg.AssetCheckKey]:
    """The outputs of the blocking checks of a multi-asset, with their keys."""
    specs = assets._check_specs_by_output_name
    return {name: spec.key for name, spec in specs.items() if spec.blocking}


def check_evaluation(
    context: Any,
    key: dg.AssetCheckKey,
    result: dg.AssetCheckResult,
    *,
    blocking: bool,
    find_target: bool,
) -> dg.AssetCheckEvaluation:
    """The event of a check's result that is only logged.

    Args:
        context: Dagster's context of the op.
        key: The check's.
        result: Its result.
        blocking: Whether it holds something back.
        find_target: Whether to aim it at the latest materialisation, as Dagster does with what an
            op yields, of a check that is selected: not where this op has just logged a
            materialisation, which is stored after it.
    """
    step = context.op_execution_context._step_execution_context if find_target else None
    return dg.AssetCheckEvaluation(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=result.passed,
        metadata=result.metadata,
        severity=result.severity,
        blocking=blocking,
        target_materialization_data=(
            None
            if step is None
            else result.to_asset_check_evaluation(step).target_materialization_data
        ),
    )


def look_up_materializations(context: Any, keys: Collection[dg.AssetKey]) -> None:
    """Ask for the latest materialisations of assets at once; results of checks that the op yields
    or `check_evaluation` makes aim at them. Dagster would ask for each alone, a few queries each.

    Args:
        context: Dagster's context of the op.
        keys: Assets that nobody materialises until their checks have ended.
    """
    step = context.op_execution_context._step_execution_context
    step._data_version_cache._fetch_input_asset_version_info(sorted(keys))


def is_only_step(context: Any) -> bool:
    """Whether the op is the only one of its job: no other one waits for its outputs."""
    return len(context.job_def.nodes_in_topological_order) == 1


def ops_of_run(
    context: dg.AssetExecutionContext,
) -> list[tuple[str, frozenset[dg.AssetKey | dg.AssetCheckKey]]]:
    """The ops into which Dagster has split this multi-asset in this run, first ones first.

    Returns:
        The step key of each, and the assets and checks that the run selects of it.
    """
    job = context.job_def
    chosen = context.run.step_keys_to_execute
    steps = [
        node.name
        for node in job.nodes_in_topological_order
        if node.definition.name == context.op_def.name and (not chosen or node.name in chosen)
    ]
    layer = job.asset_layer
    return [
        (step, frozenset(layer.get_selected_entity_keys_for_node(NodeHandle(step, None))))
        for step in steps
    ]


def blocking_failures(
    context: dg.AssetExecutionContext, but: Collection[dg.AssetCheckKey]
) -> list[dg.AssetCheckEvaluation]:
    """The blocking checks that have failed in this run until now; one query.

    Args:
        context: Dagster's context of the op.
        but: Checks that are left out; no query where the run has no others.
    """
    if not context.job_def.asset_layer.asset_graph.asset_check_keys - set(but):
        return []
    found = context.instance.get_records_for_run(
        context.run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    )
    events = (each.event_log_entry.dagster_event for each in found.records)
    results = (event.asset_check_evaluation_data for event in events if event is not None)
    return [
        each
        for each in results
        if each.blocking
        and not each.passed
        and each.severity is dg.AssetCheckSeverity.ERROR
        and each.asset_check_key not in but
    ]


def assets_below(
    context: dg.AssetExecutionContext, key: dg.AssetKey, nodes: Collection[dg.AssetKey]
) -> list[dg.AssetKey]:
    """The nodes that read an asset, directly or through other assets that this run materialises.

    Args:
        context: Dagster's context of the op.
        key: The asset's.
        nodes: The keys of all nodes.
    """
    assets = context.job_def.asset_layer.asset_graph
    found: dict[dg.AssetKey, None] = {}
    seen = {key}
    left = [key]
    while left:
        for child in sorted(assets.get(left.pop()).child_keys - seen):
            seen.add(child)
            if child in nodes:
                found[child] = None
            elif assets.get(child).is_executable:
                left.append(child)
    return list(found)


def last_evaluations(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetCheckKey]
) -> dict[dg.AssetCheckKey, tuple[dg.AssetCheckEvaluation, float, str]]:
    """The latest evaluation of each check that has one, when it was stored (seconds since 1970),
    and in which run."""
    storage = instance.event_log_storage
    found: dict[dg.AssetCheckKey, tuple[dg.AssetCheckEvaluation, float, str]] = {}
    behind: list[dg.AssetCheckKey] = []  # planned since, and not carried out yet
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        some = keys[start : start + _KEYS_AT_ONCE]
        for key, last in storage.get_latest_asset_check_execution_by_key(some).items():
            if isinstance(last.evaluation, dg.AssetCheckEvaluation):
                found[key] = (last.evaluation, last.create_timestamp, last.run_id)
            else:
                behind.append(key)
    for key, record in storage.get_asset_check_summary_records(behind).items():
        done = record.last_completed_check_execution_record
        if done is not None and isinstance(done.evaluation, dg.AssetCheckEvaluation):
            found[key] = (done.evaluation, done.create_timestamp, done.run_id)
    return found


def asset_records(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]
) -> Iterator[AssetRecord]:
    """What Dagster has of assets, of those that it has heard of; a query for 500 assets."""
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        yield from instance.get_asset_records(keys[start : start + _KEYS_AT_ONCE])


def last_materialized(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]
) -> dict[dg.AssetKey, float]:
    """When Dagster last heard that assets were materialised, in seconds since 1970; a query for 500
    assets."""
    return {key: record.timestamp for key, record in _last_materializations(instance, keys)}


def last_materializing_runs(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]
) -> dict[dg.AssetKey, str | None]:
    """The run that has last materialised each asset, by id: None where none has, but a sensor, say,
    has reported it. A query for 500 assets."""
    return {key: record.run_id or None for key, record in _last_materializations(instance, keys)}


def _last_materializations(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]
) -> Iterator[tuple[dg.AssetKey, dg.EventLogRecord]]:
    for record in asset_records(instance, keys):
        last = record.asset_entry.last_materialization_record
        if last is not None:
            yield record.asset_entry.asset_key, last


def runs_left_open(instance: dg.DagsterInstance, run_ids: Collection[str]) -> set[str]:
    """Of runs those of which a step has begun and not ended: they are under way, or were killed,
    which Dagster need not know. A query, and one for each run that has not succeeded."""
    if not run_ids:
        return set()
    runs = instance.get_runs(dg.RunsFilter(run_ids=list(run_ids)))
    return {
        run.run_id
        for run in runs
        if not run.is_success
        and any(step.end_time is None for step in instance.get_run_step_stats(run.run_id))
    }


def last_metadata(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]
) -> dict[dg.AssetKey, Mapping[str, dg.MetadataValue[Any]]]:
    """What the last materialisation of each asset says that has one; a query for 500 assets."""
    found: dict[dg.AssetKey, Mapping[str, dg.MetadataValue[Any]]] = {}
    for record in asset_records(instance, keys):
        last = record.asset_entry.last_materialization
        if last is not None and last.asset_materialization is not None:
            found[record.asset_entry.asset_key] = last.asset_materialization.metadata
    return found


def summary_event(
    label: str, description: str, metadata: Mapping[str, dg.MetadataValue[Any]]
) -> dg.ExpectationResult:
    """An event about a whole step. Dagster has no other one, and warns that this one will go."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return dg.ExpectationResult(
            success=True, label=label, description=description, metadata=metadata
        )


def code_references(path: str, line: int) -> dg.CodeReferencesMetadataValue:
    """A link to a line of a file.

    Dagster warns that these classes are in beta, which says nothing to those who load definitions
    and would end the loading where warnings are errors.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        reference = dg.LocalFileCodeReference(file_path=path, line_number=line)
        return dg.CodeReferencesMetadataValue(code_references=[reference])


def any_downstream_conditions() -> dg.AutomationCondition[Any]:
    """Materialise where a condition downstream asks for it; a class in beta, as above."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.AutomationCondition.any_downstream_conditions()


def tag_run(instance: dg.DagsterInstance, run_id: str, tags: Mapping[str, str]) -> None:
    """Add tags to a run while it goes on; `instance.get_run_records` finds it by them."""
    instance.add_run_tags(run_id, tags)


def output_metadata(
    instance: dg.DagsterInstance, run_id: str
) -> Iterable[Mapping[str, dg.MetadataValue[Any]]]:
    """The metadata of each output that a run has stored, oldest first."""
    found = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_OUTPUT)
    for record in found.records:
        event = record.event_log_entry.dagster_event
        if event is not None:
            yield event.step_output_data.metadata


def storage_url(instance: dg.DagsterInstance) -> str | None:
    """The URL of the PostgreSQL database that has the instance's runs, with its password; None
    where they are elsewhere."""
    url = getattr(instance.run_storage, "postgres_url", None)
    return str(url) if url else None


def sqlite_folder(instance: dg.DagsterInstance) -> str | None:
    """The folder in which the instance keeps the SQLite file of its runs; None: it has none."""
    url = getattr(instance.run_storage, "_conn_string", None)
    if not url or not str(url).startswith("sqlite:///"):
        return None
    return str(Path(str(url).removeprefix("sqlite:///")).parent)
