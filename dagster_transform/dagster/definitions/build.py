"""Definitions for a whole transform."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg

from dagster_transform import dbt, sqlmesh
from dagster_transform.config import DbtProject, TransformConfig, load_config
from dagster_transform.dagster._compat import executes_a_run
from dagster_transform.dagster.definitions.assets import multi_asset
from dagster_transform.dagster.definitions.not_loaded import not_loaded
from dagster_transform.dagster.definitions.shown import Shown, show
from dagster_transform.dagster.execution.run_options import TransformResource
from dagster_transform.dagster.jobs.build import build_sqlmesh_jobs
from dagster_transform.dagster.jobs.checks import check_jobs
from dagster_transform.dagster.jobs.pause import pause_jobs
from dagster_transform.dagster.schedules.janitor import janitor_schedules
from dagster_transform.dagster.translation.inner_names import op_name
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.dagster.watching.sensors import watching_sensors
from dagster_transform.errors import TransformError
from dagster_transform.process.collector import kept


@cache
def transform_executor() -> dg.ExecutorDefinition:
    """One process, and a failed model stops no Python asset that only needs models that were built.

    A process for each step would cost seconds, and Dagster's default would abandon every step
    downstream of the op in which one of a hundred models failed. It is always the same object, so
    that Definitions of two transforms can be merged.
    """
    return dg.in_process_executor.configured(
        {"step_dependency_config": {"require_upstream_step_success": False}}
    )


@cache
def _resource() -> TransformResource:
    """Likewise, without options."""
    return TransformResource()


def build_transform_definitions(
    config: TransformConfig | str | Path | None = None,
    *,
    translator: TransformTranslator | None = None,
    executor: dg.ExecutorDefinition | bool | None = True,
    name: str = "transform",
) -> dg.Definitions:
    """Everything that a transform.yaml describes.

    Args:
        config: The configuration, its file or its folder. None: what DAGSTER_TRANSFORM_CONFIG
            says, else transform.yaml in the working directory.
        translator: How nodes look in Dagster.
        executor: True sets `transform_executor()` as the location's default, which is what
            pressing Materialize uses. None leaves the choice to the Definitions that these are
            merged into: Dagster allows one.
        name: The op's name.

    Returns:
        Definitions with the assets, their checks, the resource `transform`, two jobs for each
        SQLMesh project (`<project>_plan` and `<project>_janitor`), `<name>_pause` and
        `<name>_resume`, `<project>_checks` where checks run apart, those of `check_jobs`, and those
        of job groups where there is a job group file, with their schedules and a sensor
        `<name>_sensor`; those of janitors are stopped at first. A sensor
        `<project>_environment_sensor` watches each SQLMesh project, and
        `<project>_artifacts_sensor` each dbt project with a watched folder. A project that can't be
        loaded is an asset `<project>/not_loaded` whose description says why, and whose
        materialisation fails with it; the others load, and nothing of them is built over
        that one. So is one that Dagster can't show together with those before it in transform.yaml.
        Where an environment has what the project's files have not, `<project>/not_in_files` names
        it.

    Raises:
        ConfigError: The configuration is wrong.
    """
    return definitions_of(config, translator=translator, executor=executor, name=name)


def definitions_of(
    config: TransformConfig | str | Path | None,
    *,
    translator: TransformTranslator | None,
    executor: dg.ExecutorDefinition | bool | None,
    name: str,
    refresh: bool | None = None,
) -> dg.Definitions:
    """What `build_transform_definitions` gives; where `refresh` is not None, it says whether graph
    files that are missing or stale are made anew."""
    if not isinstance(config, TransformConfig):
        config = load_config(config)
    begins = executes_a_run()
    spare = _spare_process(config) if begins else None
    with kept("definitions"):
        shown = show(config, translator, spare, refresh=refresh)
        assets: list[Any] = [
            not_loaded(project, error, shown.missing.get(project, ()))
            for project, error in shown.errors.items()
        ]
        assets += [_not_in_files(project, shown) for project in shown.loaded.not_in_files]
        if shown.transform.graph.nodes:
            assets.append(multi_asset(name, shown.made, shown.transform, shown.not_there))
    if config.warm and not begins:
        from dagster_transform.dagster.warm import start_runs_warm

        start_runs_warm(config)
    if begins and config.keep_event_log_open:
        # Not with this module: it brings SQLAlchemy, which loading definitions does without.
        from dagster_transform.dagster._compat_events import store_events_faster

        store_events_faster()
    if begins and spare is None:  # else it may be all about dbt
        sqlmesh.import_early()
    chosen = transform_executor() if executor is True else executor or None
    jobs: list[Any] = [
        job
        for project in config.projects
        for job in build_sqlmesh_jobs(project, config, translator=translator)
    ] + _pause_jobs(name, shown)
    taken = {op_name(name)}  # Dagster has one set of names for jobs and ops
    for job in jobs:
        taken |= {job.name, *(op.name for op in job.nodes)}
    checks = check_jobs(config, shown.transform.graph, shown.transform.keys, taken)
    schedules = [*janitor_schedules(config, jobs), *checks.schedules]
    jobs += checks.jobs
    sensors: list[dg.SensorDefinition] = watching_sensors(config, shown.transform)
    if shown.groups is not None:
        taken |= {job.name for job in checks.jobs}
        from dagster_transform.dagster.jobs.job_groups import GroupOps

        ops = GroupOps(name, shown.made, shown.transform, chosen or transform_executor())
        grouped = shown.groups.build(ops, taken)
        jobs += grouped.jobs
        schedules += grouped.schedules
        sensors += grouped.sensors
    return dg.Definitions(
        assets=assets,
        jobs=jobs,
        schedules=schedules,
        sensors=sensors,
        resources={"transform": _resource()},
        executor=chosen,
        metadata=_errors(shown.errors),
    )


def _pause_jobs(name: str, shown: Shown) -> list[Any]:
    """The jobs that pause and resume nodes, where there are any."""
    if not shown.transform.graph.nodes:
        return []
    return [*pause_jobs(op_name(name), shown.transform)]


def _spare_process(config: TransformConfig) -> dbt.SpareProcess | None:
    """Start dbt at once, beside Dagster's loading and planning."""
    projects = [name for name, p in config.projects.items() if isinstance(p, DbtProject)]
    if projects:
        return dbt.spare_process(config.prepared_root(projects[0]) / projects[0])
    return None


def _not_in_files(project: str, shown: Shown) -> dg.AssetSpec:
    """One asset for all of a project: their own keys may be others' by now, for what is not in a
    SQLMesh project may have become a Python asset."""
    names = shown.loaded.not_in_files[project]
    environment = getattr(shown.config.project(project), "environment", None)
    listing = "\n".join(f"- `{name}`" for name in names)
    return dg.AssetSpec(
        key=dg.AssetKey([project, "not_in_files"]),
        description=(
            f"**Environment {environment} has what the files of project {project} have not.** "
            "People read it there as it was built last: no run builds it any more. Applying a plan "
            f"takes it out; adding it to the files keeps it.\n\n{listing}"
        ),
        metadata={"dagster_transform/not_in_files": list(names)},
        group_name="not_in_files",
    )


def _errors(errors: Mapping[str, TransformError]) -> Mapping[str, Any]:
    return {
        f"dagster_transform/{project}": dg.MetadataValue.md(f"```\n{error}\n```")
        for project, error in errors.items()
    }
