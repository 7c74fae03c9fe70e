"""Jobs of SQLMesh projects that are no runs of models: the plan, and the janitor."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from dagster_transform.config import SqlmeshProject, TransformConfig, load_config
from dagster_transform.dagster.jobs.janitor import build_janitor_job
from dagster_transform.dagster.jobs.plan import build_plan_job
from dagster_transform.dagster.translation.translator import TransformTranslator


def build_sqlmesh_jobs(
    project: str,
    config: TransformConfig | str | Path | None = None,
    *,
    translator: TransformTranslator | None = None,
) -> list[dg.JobDefinition]:
    """The jobs of one SQLMesh project, for people who compose by hand.

    They load neither SQLMesh nor the project before they run.

    Args:
        project: Its name in transform.yaml.
        config: As for `build_transform_definitions`.
        translator: How nodes are called in Dagster.

    Returns:
        `<project>_plan`, which needs a resource `transform` (a `TransformResource`), and
        `<project>_janitor`; none for a project of another framework.

    Raises:
        UnknownProjectError: There is no such project.
        ConfigError: The configuration is wrong.
    """
    if not isinstance(config, TransformConfig):
        config = load_config(config)
    if not isinstance(config.project(project), SqlmeshProject):
        return []
    translator = translator or TransformTranslator(config.root)
    return [build_plan_job(project, config, translator), build_janitor_job(project, config)]
