"""Code servers, and runs as the UI creates them: of a job of a code location, with a selection."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.selector import JobSubsetSelector
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget

ASSET_JOB = "__ASSET_JOB"


@contextmanager
def code_server(
    instance: dg.DagsterInstance, file: Path, folder: Path, location: str = "here"
) -> Iterator[WorkspaceProcessContext]:
    """A code server as the webserver has it, a process of its own; in the end it is over.

    Args:
        instance: Whose launcher begins runs there.
        file: The definitions, as `defs`.
        folder: Its working directory.
        location: The name of the code location.
    """
    target = PythonFileTarget(str(file), "defs", str(folder), location)
    with WorkspaceProcessContext(instance, target) as process:
        try:
            yield process
        finally:
            process._grpc_server_registry.shutdown_all_processes()
            process._grpc_server_registry.wait_for_processes()


def remote_job(
    context: Any,
    assets: Collection[dg.AssetKey] | None = None,
    checks: Collection[dg.AssetCheckKey] | None = None,
    job_name: str = ASSET_JOB,
) -> Any:
    """A job of the only code location, as the webserver sees it.

    Args:
        context: A request context of the workspace.
        assets: The selected assets; None: all.
        checks: The selected checks; None: those of the assets.
        job_name: Its name.
    """
    location = context.get_code_location(context.code_location_names[0])
    (repository,) = location.get_repositories().values()
    return location.get_job(
        JobSubsetSelector(
            location_name=location.name,
            repository_name=repository.name,
            job_name=job_name,
            op_selection=None,
            asset_selection=assets,
            asset_check_selection=checks,
        )
    )


def create_run(
    instance: dg.DagsterInstance,
    context: Any,
    assets: Collection[dg.AssetKey] | None = None,
    checks: Collection[dg.AssetCheckKey] | None = None,
    *,
    job_name: str = ASSET_JOB,
    config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> dg.DagsterRun:
    """A run that can be launched or executed; `remote_job` says what else goes in."""
    job = remote_job(context, assets, checks, job_name)
    location = context.get_code_location(context.code_location_names[0])
    (repository,) = location.get_repositories().values()
    run_config = dict(config or {})
    plan = location.get_execution_plan(
        job, run_config, step_keys_to_execute=None, known_state=None, instance=instance
    )
    return instance.create_run(
        job_name=job_name,
        run_id=None,
        run_config=run_config,
        resolved_op_selection=job.resolved_op_selection,
        step_keys_to_execute=plan.execution_plan_snapshot.step_keys_to_execute,
        op_selection=None,
        status=dg.DagsterRunStatus.NOT_STARTED,
        root_run_id=None,
        parent_run_id=None,
        tags={**job.tags, **(tags or {})},
        job_snapshot=job.job_snapshot,
        execution_plan_snapshot=plan.execution_plan_snapshot,
        parent_job_snapshot=job.parent_job_snapshot,
        remote_job_origin=job.get_remote_origin(),
        job_code_origin=job.get_python_origin(),
        asset_selection=assets,
        asset_check_selection=checks,
        asset_graph=repository.asset_graph,
    )
