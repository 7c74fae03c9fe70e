"""The job that drops what has expired in a SQLMesh project. No run of models ever does that."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from dagster_transform.config import SqlmeshProject, TransformConfig
from dagster_transform.dagster.execution.run_options import TransformResource
from dagster_transform.dagster.jobs.names import job_op_name
from dagster_transform.errors import TransformError

if TYPE_CHECKING:
    from dagster_transform.sqlmesh.janitor.report import Sweep

_OUTPUT = "sweep"


class JanitorConfig(dg.Config):
    """How thorough the sweep is."""

    ignore_ttl: bool = Field(
        default=False,
        description="Drop also tables that no environment uses and whose snapshot_ttl is not over "
        "yet. Not while a plan is being applied: its new tables are in no environment yet.",
    )


def janitor_name(project: str) -> str:
    """The name of a project's job."""
    return f"{project}_janitor"


def build_janitor_job(project: str, config: TransformConfig) -> dg.JobDefinition:
    """`<project>_janitor`: a job of one op.

    Args:
        project: A SQLMesh project of `config`.
        config: Where the projects are.
    """
    name = janitor_name(project)
    settings = config.project(project)
    if not isinstance(settings, SqlmeshProject):
        raise TypeError(f"{project} is no SQLMesh project")
    about = (
        f"Drops what has expired in SQLMesh project {project}: environments with their views, "
        "tables that no environment uses; and compacts the state's intervals. Start its schedule: "
        "no other run does it."
    )

    @dg.op(
        name=job_op_name("sweep", project, config),
        description=about,
        config_schema=JanitorConfig.to_fields_dict(),  # no annotation: Dagster can't read it here
        out={_OUTPUT: dg.Out(dg.Nothing, is_required=False)},
    )
    def janitor_op(context):  # type: ignore[no-untyped-def]  # Dagster reads the annotation
        from dagster_transform.sqlmesh.janitor.report import as_markdown

        try:
            asked = JanitorConfig(**context.op_config)
            done = _sweep(context, project, settings, config, asked)
        except Exception as error:
            _tell(context, config, project, getattr(error, "description", None) or str(error))
            raise
        text = as_markdown(done)
        (context.log.warning if done.failures else context.log.info)(text)
        metadata: dict[str, Any] = {
            "dagster_transform/sweep": dg.MetadataValue.md(text),
            "dagster_transform/sweep_json": dg.MetadataValue.json(done.to_json()),
            **{f"dagster_transform/{key}": n for key, n in done.counts.items()},
        }
        yield dg.Output(None, _OUTPUT, metadata=metadata)
        failed = bool(done.failures) and not done.tolerated
        what = f"{len(done.failures)} could not be dropped: {done.failures[0]}" if failed else ""
        _tell(context, config, project, what)
        if failed:
            listing = "\n- ".join(done.failures)
            raise dg.Failure(
                description=f"{len(done.failures)} could not be dropped; all else is done:\n"
                f"- {listing}",
                metadata=metadata,
                allow_retries=False,
            )

    @dg.job(name=name, description=about, executor_def=dg.in_process_executor)
    def janitor_job() -> None:
        janitor_op()

    return janitor_job


def _tell(
    context: dg.OpExecutionContext, config: TransformConfig, project: str, reason: str
) -> None:
    """Tell people why the sweep has failed; or, of "", that it has not, who was told so before."""
    if config.alerts.channels:
        # Here, because who has no channels need not import what sends messages.
        from dagster_transform.dagster.alerts.alerting import tell_of_job

        tell_of_job(context, config, project, reason)


def _sweep(
    context: dg.OpExecutionContext,
    name: str,
    project: SqlmeshProject,
    config: TransformConfig,
    asked: JanitorConfig,
) -> Sweep:
    """Sweep while nobody else uses the environment."""
    # Here, because what only a run needs takes as long to import as definitions to load.
    from dagster_transform.dagster.execution.claims import new_claims, warn_of_memory
    from dagster_transform.sqlmesh import (
        SqlmeshSettings,
        end_backends,
        project_shared_resources,
        sweep_project,
    )

    paths, now = [str(path) for path in project.paths], datetime.now(timezone.utc)
    settings = SqlmeshSettings(environment=project.environment, paths=paths, now=now)
    try:
        end = partial(end_backends, name, project, paths)
        options = TransformResource()
        with closing(new_claims(context, config, options, end)) as claims:
            warn_of_memory(context, claims.held.store, options.lifetime)
            shared = project_shared_resources(name, project, settings, alone=True)
            claims.take_shared({name: shared})
            return sweep_project(name, project, paths, now=now, ignore_ttl=asked.ignore_ttl)
    except TransformError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
