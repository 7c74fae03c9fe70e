"""The job that explains a SQLMesh project's plan, and applies exactly what was explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from dagster_transform.config import SqlmeshProject, TransformConfig
from dagster_transform.dagster.jobs.names import job_op_name
from dagster_transform.dagster.translation.translator import TransformTranslator

if TYPE_CHECKING:
    from dagster_transform.sqlmesh import PlanRequest

OUTPUT = "plan"


class PlanConfig(dg.Config):
    """What to do with the plan, and what to ask of it."""

    apply: bool = Field(
        default=False,
        description="False: only explain. True: apply what has been explained: in this run, or in "
        "the run that showed `digest`.",
    )
    digest: str | None = Field(
        default=None,
        description="With `apply`: the digest of the plan that was shown. Any other plan is "
        "refused, and the run says what has changed. A plan of which a part was built since is "
        "the same plan.",
    )
    run: bool = Field(
        default=False,
        description="Build also what is due of models that the plan does not change, as "
        "`sqlmesh plan --run`.",
    )
    start: str | None = Field(
        default=None, description="Backfill from here; in development environments only."
    )
    end: str | None = Field(
        default=None, description="Backfill up to here; in development environments only."
    )
    forward_only: bool = Field(
        default=False, description="Changed models keep their tables: only new data is affected."
    )
    allow_destructive_models: list[str] = Field(
        default=[], description="Models whose forward-only changes may drop or narrow columns."
    )
    allow_additive_models: list[str] = Field(
        default=[],
        description="Models whose forward-only changes may add columns although they forbid it.",
    )
    skip_tests: bool = Field(
        default=False,
        description="Don't run the project's unit tests: one that fails refuses the plan.",
    )

    @property
    def request(self) -> PlanRequest:
        """What is asked of the plan itself."""
        from dagster_transform.sqlmesh import PlanRequest

        return PlanRequest.of(self.model_dump())


def build_plan_job(
    project: str, config: TransformConfig, translator: TransformTranslator
) -> dg.JobDefinition:
    """`<project>_plan`: a job of one op, which needs the resource `transform`.

    It is no asset job: the files may have models that the code location has not loaded yet.

    Args:
        project: A SQLMesh project of `config`.
        config: Where the projects are.
        translator: How nodes are called in Dagster.
    """
    name = f"{project}_plan"
    op = job_op_name("plan", project, config)
    settings = config.project(project)
    if not isinstance(settings, SqlmeshProject):
        raise TypeError(f"{project} is no SQLMesh project")
    about = (
        f"Explains SQLMesh's plan of project {project} for environment {settings.environment}: "
        "what is added, changed and removed, and what would be backfilled. `apply: true` applies "
        "it, with `digest` only if it is still what was shown."
    )

    @dg.op(
        name=op,
        description=about,
        config_schema=PlanConfig.to_fields_dict(),  # Dagster can't read it as an annotation here
        required_resource_keys={"transform"},
        out={OUTPUT: dg.Out(dg.Nothing, is_required=False)},
    )
    def plan_op(context):  # type: ignore[no-untyped-def]  # Dagster reads the annotation
        # Here, because what only a run needs takes as long to import as definitions to load.
        from dagster_transform.dagster.jobs.planning import Planning

        if config.keep_event_log_open:
            from dagster_transform.dagster._compat_connections import keep_connections

            keep_connections(context.instance)
        planning = Planning(op, project, settings, config, translator)
        asked = PlanConfig(**context.op_config)
        yield from planning.run(context, asked, context.resources.transform)

    @dg.job(name=name, description=about, executor_def=dg.in_process_executor)
    def plan_job() -> None:
        plan_op()

    return plan_job
