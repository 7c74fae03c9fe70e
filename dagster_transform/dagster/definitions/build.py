"""Definitions for a whole transform, and parts of them for people who compose by hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_transform import dbt, sqlmesh
from dagster_transform.config import DbtProject, TransformConfig, load_config
from dagster_transform.dagster._compat import executes_a_run
from dagster_transform.dagster.definitions.assets import build_transform_assets, multi_asset
from dagster_transform.dagster.definitions.fitting import fit
from dagster_transform.dagster.definitions.loading import Loaded, load_graphs
from dagster_transform.dagster.definitions.not_loaded import known_keys, not_loaded
from dagster_transform.dagster.execution.run_options import TransformResource
from dagster_transform.dagster.execution.transform import Transform
from dagster_transform.dagster.jobs.build import build_sqlmesh_jobs
from dagster_transform.dagster.jobs.checks import build_check_jobs
from dagster_transform.dagster.jobs.pause import build_pause_jobs
from dagster_transform.dagster.schedules.janitor import janitor_schedules
from dagster_transform.dagster.translation.freshness import with_freshness
from dagster_transform.dagster.translation.inner_names import op_name
from dagster_transform.dagster.translation.specs import Translation, translate
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.dagster.watching.sensors import watching_sensors
from dagster_transform.errors import TransformError
from dagster_transform.process.collector import kept

if TYPE_CHECKING:
    from dagster_transform.dagster.jobs.job_groups import JobGroups
    from dagster_transform.runs.unreadable import Unreadable


def transform_executor() -> dg.ExecutorDefinition:
    """One process, and a failed model stops no Python asset that only needs models that were built.

    A process for each step would cost seconds, and Dagster's default would abandon every step
    downstream of the op in which one of a hundred models failed.
    """
    return dg.in_process_executor.configured(
        {"step_dependency_config": {"require_upstream_step_success": False}}
    )


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
    if not isinstance(config, TransformConfig):
        config = load_config(config)
    translator = translator or TransformTranslator(config.root)
    begins = executes_a_run()
    spare = _spare_process(config) if begins else None
    loaded = load_graphs(config)
    with kept("definitions"):
        found = fit(
            loaded.graphs,
            lambda graph: with_freshness(translate(graph, translator), graph, config),
        )
        errors = {**loaded.errors, **found.errors}
        shown = set(found.made.keys.nodes)
        missing: dict[str, list[dg.AssetKey]] = {}
        for project in sorted(
            errors.keys() - {node.project for node in found.graph.nodes.values()}
        ):
            graph = loaded.graphs.get(project)
            nodes = loaded.left.get(project, ()) if graph is None else graph.nodes.values()
            missing[project] = [k for k in known_keys(nodes, translator) if k not in shown]
            shown.update(missing[project])
        assets: list[Any] = [
            not_loaded(project, error, missing.get(project, ()))
            for project, error in errors.items()
        ]
        assets += [_not_in_files(project, config, loaded) for project in loaded.not_in_files]
        unreadable = _unreadable(loaded, errors)
        transform = Transform(found.graph, config, found.made.keys, translator, spare, unreadable)
        not_there = {key for keys in missing.values() for key in keys}
        made = found.made
        groups = _job_groups(config, made, transform, missing)
        if groups is not None:
            made = groups.tagged(made)
        if found.graph.nodes:
            assets.append(multi_asset(name, made, transform, not_there))
    if begins:
        # Not with this module: it brings SQLAlchemy, which loading definitions does without.
        from dagster_transform.dagster._compat_events import store_events_faster

        store_events_faster()
        if spare is None:  # else it may be all about dbt
            sqlmesh.import_early()
    chosen = transform_executor() if executor is True else executor or None
    jobs: list[Any] = [
        job
        for project in config.projects
        for job in build_sqlmesh_jobs(project, config, translator=translator)
    ] + _pause_jobs(name, transform)
    taken = {op_name(name)}  # Dagster has one set of names for jobs and ops
    for job in jobs:
        taken |= {job.name, *(op.name for op in job.nodes)}
    checks = build_check_jobs(config, found.graph, made.keys, taken)
    schedules = [*janitor_schedules(config, jobs), *checks.schedules]
    jobs += checks.jobs
    sensors: list[dg.SensorDefinition] = watching_sensors(config, transform)
    if groups is not None:
        taken |= {job.name for job in checks.jobs}
        from dagster_transform.dagster.jobs.job_groups import GroupOps

        ops = GroupOps(name, made, transform, chosen or transform_executor())
        grouped = groups.build(ops, taken)
        jobs += grouped.jobs
        schedules += grouped.schedules
        sensors += grouped.sensors
    return dg.Definitions(
        assets=assets,
        jobs=jobs,
        schedules=schedules,
        sensors=sensors,
        resources={"transform": TransformResource()},
        executor=chosen,
        metadata=_errors(errors),
    )


def build_sqlmesh_assets(
    project: str,
    config: TransformConfig | str | Path | None = None,
    *,
    translator: TransformTranslator | None = None,
) -> dg.AssetsDefinition:
    """One SQLMesh project as one multi-asset, for people who compose by hand.

    Args:
        project: Its name in transform.yaml.
        config: As for `build_transform_definitions`.
        translator: How nodes look in Dagster.

    Returns:
        An AssetsDefinition that needs a resource `transform` (a `TransformResource`).

    Raises:
        UnknownProjectError: There is no such project.
        TransformError: The project can't be loaded.
    """
    if not isinstance(config, TransformConfig):
        config = load_config(config)
    config.project(project)
    loaded = load_graphs(config, [project])
    for error in loaded.errors.values():
        raise error
    return build_transform_assets(loaded.graph, config, translator=translator, name=project)


def _pause_jobs(name: str, transform: Transform) -> list[Any]:
    """The jobs that pause and resume nodes, where there are any."""
    if not transform.graph.nodes:
        return []
    return [*build_pause_jobs(op_name(name), transform)]


def _job_groups(
    config: TransformConfig,
    made: Translation,
    transform: Transform,
    missing: Mapping[str, Collection[dg.AssetKey]],
) -> JobGroups | None:
    """The job groups, where there is a file of them."""
    if not config.job_group_file.exists():
        return None
    # Here, because who has no job groups need not import what they take.
    from dagster_transform.dagster.jobs.job_groups import read_job_groups

    return read_job_groups(config, made, transform, missing)


def _spare_process(config: TransformConfig) -> dbt.SpareProcess | None:
    """Start dbt at once, beside Dagster's loading and planning."""
    projects = [name for name, p in config.projects.items() if isinstance(p, DbtProject)]
    if projects:
        return dbt.spare_process(config.prepared_root(projects[0]) / projects[0])
    return None


def _not_in_files(project: str, config: TransformConfig, loaded: Loaded) -> dg.AssetSpec:
    """One asset for all of a project: their own keys may be others' by now, for what is not in a
    SQLMesh project may have become a Python asset."""
    names = loaded.not_in_files[project]
    environment = getattr(config.project(project), "environment", None)
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


def _unreadable(loaded: Loaded, errors: Mapping[str, TransformError]) -> dict[str, Unreadable]:
    """What can't be loaded, with what it builds where its graph is left out."""
    if not errors:
        return {}
    from dagster_transform.runs.unreadable import Unreadable  # only those pay for it who need it

    return {
        project: Unreadable(
            error,
            None
            if project in loaded.errors or project not in loaded.graphs
            else frozenset(node.relation for node in loaded.graphs[project].nodes.values()),
        )
        for project, error in errors.items()
    }


def _errors(errors: Mapping[str, TransformError]) -> Mapping[str, Any]:
    return {
        f"dagster_transform/{project}": dg.MetadataValue.md(f"```\n{error}\n```")
        for project, error in errors.items()
    }
