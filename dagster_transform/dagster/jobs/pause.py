"""The jobs with which people pause nodes and environments in the UI, and resume them."""

from __future__ import annotations

import dagster as dg
from pydantic import Field

from dagster_transform.dagster.execution.transform import Transform

OUTPUT = "pauses"


class _What(dg.Config):
    """What is meant."""

    nodes: list[str] = Field(
        default=[],
        description="Nodes, by asset key (warehouse/marts/delays) or name (marts.delays, "
        "project:marts.delays); or keys of `dagster-transform claims list` (tag:heavy).",
    )
    selection: str | None = Field(
        default=None,
        description="Nodes, as the asset selection syntax of Dagster has it: group:marts, "
        'key:"warehouse/marts/*". Selected assets that are no nodes of the transform are passed '
        "over.",
    )
    environments: list[str] = Field(
        default=[],
        description="SQLMesh projects: their environments, for runs and plans, and all their "
        "nodes.",
    )
    by: str | None = Field(
        default=None,
        description="Who you are. A tag `user` of the run says it too, and goes before this.",
    )


class PauseConfig(_What):
    """What to pause, and why."""

    reason: str = Field(description="Shown to whoever has to wait, and on the assets.")
    until: str | None = Field(
        default=None,
        description="When the pause ends by itself: 2h, 1d 12h, or 2026-01-31T06:00+01:00 (UTC "
        "where there is no zone). Without it: when somebody resumes it.",
    )


class ResumeConfig(_What):
    """What to resume."""


def pause_jobs(name: str, transform: Transform) -> list[dg.JobDefinition]:
    """`<name>_pause` and `<name>_resume`: jobs of one op, `pause_<name>` and `resume_<name>`.

    Args:
        name: The name of the transform's op.
        transform: Whose nodes.
    """
    return [
        _job("pause", name, PauseConfig, _PAUSE, transform),
        _job("resume", name, ResumeConfig, _RESUME, transform),
    ]


_PAUSE = (
    "Has no run build nodes until they are resumed. What runs now goes on; what is due meanwhile "
    "waits, with all that reads it, and is launched when the pause ends."
)
_RESUME = "Ends pauses. What waited for them is launched by the transform's sensor."


def _job(
    verb: str, name: str, form: type[_What], about: str, transform: Transform
) -> dg.JobDefinition:
    @dg.op(
        name=f"{verb}_{name}",
        description=about,
        config_schema=form.to_fields_dict(),  # no annotation: Dagster can't read it here
        out={OUTPUT: dg.Out(dg.Nothing, is_required=False)},
    )
    def pause_op(context):  # type: ignore[no-untyped-def]  # Dagster reads the annotation
        # Here, because claims are not imported where definitions load.
        from dagster_transform.dagster.jobs.pausing import pause_named, resume_named

        asked = form(**context.op_config)
        if isinstance(asked, PauseConfig):
            yield pause_named(context, transform, asked)
        elif isinstance(asked, ResumeConfig):
            yield resume_named(context, transform, asked)

    @dg.job(name=f"{name}_{verb}", description=about, executor_def=dg.in_process_executor)
    def pause_job() -> None:
        pause_op()

    return pause_job
