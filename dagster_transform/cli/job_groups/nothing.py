"""Why there is no node that a job group could have, and what to do."""

from __future__ import annotations

from collections.abc import Iterator

from dagster_transform.cli.graphs import Prepared
from dagster_transform.cli.job_groups.situation import ENVIRONMENT
from dagster_transform.config import SqlmeshProject, TransformConfig
from dagster_transform.errors import TransformError
from dagster_transform.graph.counts import counted
from dagster_transform.planning.job_groups.settings import not_in_environment
from dagster_transform.sqlmesh.configs import shell_command
from dagster_transform.sqlmesh.first_plan import first_plan


class NothingToGroupError(TransformError):
    """There is no node that a job group could have."""


def nothing_to_group(config: TransformConfig, known: Prepared, source: str) -> NothingToGroupError:
    """The error.

    Args:
        config: What transform.yaml says.
        known: The projects, as their graph files have them.
        source: Whether nodes that only the files have could be in groups: `environment` or `files`.
    """
    path, graph = config.job_group_file, known.graph
    left_out = not_in_environment(config, graph) if source == ENVIRONMENT else {}
    waiting = [graph.nodes[id] for id in left_out if graph.nodes[id].cron is not None]
    if not graph.nodes:
        return NothingToGroupError(
            f"{path} is not written: no project has a node.",
            remedy="`dagster-transform list` shows what there is; `prepare` reads the projects.",
        )
    if not waiting:
        return NothingToGroupError(
            f"{path} is not written: no node has a cron, so there is nothing to schedule.",
            remedy="Give nodes a cron: SQLMesh's have one, dbt's a `cron` of their project in "
            "transform.yaml or one of their own (docs/dbt.md). Then `dagster-transform prepare`.",
        )
    projects = sorted({node.project for node in waiting})
    ways = [*_plans(config, known, projects), "Then `dagster-transform prepare`."]
    return NothingToGroupError(
        f"{path} is not written: the {counted(len(waiting), 'node')} with a cron "
        f"{'is' if len(waiting) == 1 else 'are'} not in the environment yet, so no run could "
        f"build them ({', '.join(sorted(set(left_out.values())))}).",
        remedy=" ".join(ways) + " Or take what the files have at once: `--from files`.",
    )


def _plans(config: TransformConfig, known: Prepared, projects: list[str]) -> Iterator[str]:
    """How the nodes of projects come into their environments."""
    for name in projects:
        project = config.project(name)
        if not isinstance(project, SqlmeshProject):
            continue
        of = f"Project {name}: " if len(projects) > 1 else ""
        paths, gateway = project.paths, project.gateway
        if known.files[name].plan_id is None:
            yield of + first_plan(name, project.environment, paths, gateway).remedy
        else:
            plan = shell_command(paths, f"plan {project.environment}", gateway)
            yield f"{of}Apply the plan of what the files have: `{plan}`, or the job {name}_plan."
