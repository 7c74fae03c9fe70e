"""The parts of a transform one by one, for people who compose Definitions of their own.

Each reads the graph files (a tenth of a second for a thousand nodes), and neither framework. All
parts of one transform.yaml fit together: they share its lineage, its claims and the resource
`transform`.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from dagster_transform.config import TransformConfig
from dagster_transform.dagster.definitions.assets import multi_asset
from dagster_transform.dagster.definitions.build import transform_executor
from dagster_transform.dagster.definitions.errors import WrongFrameworkError
from dagster_transform.dagster.definitions.shown import Shown, show
from dagster_transform.dagster.jobs.checks import check_jobs
from dagster_transform.dagster.jobs.pause import pause_jobs
from dagster_transform.dagster.translation.inner_names import op_name
from dagster_transform.dagster.translation.specs import part_of
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.dagster.watching.sensors import watching_sensors
from dagster_transform.graph import SelectionError, select


def build_sqlmesh_assets(
    project: str,
    config: TransformConfig | str | Path | None = None,
    *,
    translator: TransformTranslator | None = None,
) -> dg.AssetsDefinition:
    """One SQLMesh project as one multi-asset, with one op of its name.

    Args:
        project: Its name in transform.yaml.
        config: As for `build_transform_definitions`.
        translator: How nodes look in Dagster.

    Returns:
        An AssetsDefinition with the project's models and audits, that needs a resource `transform`
        (a `TransformResource`). It is linked to the assets of the transform's other projects.

    Raises:
        UnknownProjectError: There is no such project.
        WrongFrameworkError: It is a dbt project.
        TransformError: The project can't be loaded.
    """
    return _assets_of(project, "sqlmesh", show(config, translator))


def build_dbt_assets(
    project: str,
    config: TransformConfig | str | Path | None = None,
    *,
    translator: TransformTranslator | None = None,
) -> dg.AssetsDefinition:
    """One dbt project as one multi-asset, with one op of its name.

    Args:
        project: Its name in transform.yaml.
        config: As for `build_transform_definitions`.
        translator: How nodes look in Dagster.

    Returns:
        An AssetsDefinition with the project's models, seeds, snapshots and tests, that needs a
        resource `transform` (a `TransformResource`). It is linked to the assets of the transform's
        other projects.

    Raises:
        UnknownProjectError: There is no such project.
        WrongFrameworkError: It is a SQLMesh project.
        TransformError: The project can't be loaded.
    """
    return _assets_of(project, "dbt", show(config, translator))


def select_nodes(
    expression: str,
    config: TransformConfig | str | Path | None = None,
    *,
    translator: TransformTranslator | None = None,
) -> dg.AssetSelection:
    """The assets of the nodes that a selection of ours selects, for jobs and schedules.

    Args:
        expression: One or more terms: a name (`marts.delays`, `staging/*`), `tag:x`, `project:x`,
            `kind:x` or `group:x`, each with `+` before it (and all upstream) or after it (and all
            downstream). `*` is all.
        config: As for `build_transform_definitions`.
        translator: How nodes look in Dagster.

    Returns:
        A selection of assets by their keys, which can be joined with others: of Python assets, say.

    Raises:
        SelectionError: A term matches no node; with those that are like it.
        TransformError: A term matches no node, and a project can't be loaded that may have it.
    """
    shown = show(config, translator)
    keys = shown.transform.keys
    try:
        found = select(keys.named(shown.transform.graph), expression)
    except SelectionError:
        for error in shown.errors.values():
            raise error from None
        raise
    return dg.AssetSelection.assets(*(keys.assets[node] for node in sorted(found)))


def build_job_groups(
    config: TransformConfig | str | Path | None = None,
    *,
    translator: TransformTranslator | None = None,
    executor: dg.ExecutorDefinition | None = None,
    name: str = "transform",
) -> dg.Definitions:
    """The job groups of a job group file.

    Args:
        config: As for `build_transform_definitions`.
        translator: How nodes look in Dagster.
        executor: Of their jobs; None: `transform_executor()`.
        name: Of the transform: the sensor is `<name>_sensor`.

    Returns:
        Definitions whose `jobs`, `schedules` and `sensors` can be merged or taken one by one; the
        sensor launches what could not go at its tick. None of them where there is no job group
        file. The assets are not among them.

    Raises:
        ConfigError: The configuration or the job group file is wrong.
    """
    shown = show(config, translator)
    if shown.groups is None:
        return dg.Definitions()
    from dagster_transform.dagster.jobs.job_groups import GroupOps

    ops = GroupOps(name, shown.made, shown.transform, executor or transform_executor())
    grouped = shown.groups.build(ops, {op_name(name)})
    return dg.Definitions(jobs=grouped.jobs, schedules=grouped.schedules, sensors=grouped.sensors)


def build_check_jobs(
    config: TransformConfig | str | Path | None = None,
    *,
    translator: TransformTranslator | None = None,
) -> dg.Definitions:
    """The jobs that run checks and build nothing: `<project>_checks` where checks run apart, and
    those of `check_jobs` in transform.yaml.

    Args:
        config: As for `build_transform_definitions`.
        translator: How nodes look in Dagster.

    Returns:
        Definitions whose `jobs` and `schedules` can be merged or taken one by one.

    Raises:
        CheckJobError: A job can't be made as transform.yaml says.
    """
    shown = show(config, translator)
    found = check_jobs(shown.config, shown.transform.graph, shown.transform.keys, ())
    return dg.Definitions(jobs=found.jobs, schedules=found.schedules)


def build_pause_jobs(
    config: TransformConfig | str | Path | None = None,
    *,
    translator: TransformTranslator | None = None,
    name: str = "transform",
) -> list[dg.JobDefinition]:
    """`<name>_pause` and `<name>_resume`, with which people pause and resume nodes in the UI.

    Args:
        config: As for `build_transform_definitions`.
        translator: How nodes look in Dagster.
        name: Of the transform.
    """
    return pause_jobs(op_name(name), show(config, translator).transform)


def build_watching_sensors(
    config: TransformConfig | str | Path | None = None,
    *,
    translator: TransformTranslator | None = None,
) -> list[dg.SensorDefinition]:
    """`<project>_environment_sensor` of each SQLMesh project, and `<project>_artifacts_sensor` of
    each dbt project with a watched folder: they see what is done outside of Dagster.

    Args:
        config: As for `build_transform_definitions`.
        translator: How nodes look in Dagster.
    """
    shown = show(config, translator)
    return watching_sensors(shown.config, shown.transform)


def _assets_of(project: str, framework: str, shown: Shown) -> dg.AssetsDefinition:
    known = shown.config.project(project)
    if known.framework != framework:
        raise WrongFrameworkError(
            f"Project {project} is a {known.framework} project.",
            remedy=f"build_{known.framework}_assets({project!r}) makes its assets.",
        )
    if project in shown.errors:
        raise shown.errors[project]
    graph, keys = shown.transform.graph, shown.transform.keys
    nodes = {keys.assets[node.id] for node in graph.nodes.values() if node.project == project}
    checks = {keys.checks[check.id] for check in graph.checks.values() if check.project == project}
    return multi_asset(
        project, part_of(shown.made, nodes, checks), shown.transform, shown.not_there
    )
