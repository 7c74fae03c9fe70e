"""What the ops of jobs are called."""

from __future__ import annotations

from dagster_transform.config import TransformConfig

_JOBS = ("plan", "janitor")


def job_op_name(kind: str, project: str, config: TransformConfig) -> str:
    """`<kind>_<project>`; with `_op` at its end where that is the name of a job (a project may be
    called `plan`), since Dagster has one set of names for jobs and ops.

    Args:
        kind: What the op does: `plan` or `sweep`.
        project: The project's name.
        config: All projects.
    """
    jobs = {f"{name}_{each}" for name in config.projects for each in _JOBS}
    found = f"{kind}_{project}"
    while found in jobs:
        found += "_op"
    return found
