"""What a graph file that was written anew says: how the files differ from the environment, and what
of the job group file does not fit any more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from dagster_transform.config import TransformConfig
from dagster_transform.config.job_group_file import read_job_group_file
from dagster_transform.dagster.translation.keys import keys_of
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.errors import TransformError
from dagster_transform.graph import Graph, GraphFile, read_graph_file
from dagster_transform.planning.job_groups.file import load_job_groups
from dagster_transform.planning.job_groups.settings import job_group_settings, not_in_environment

_NAMED = 5
_KINDS = ("new", "changed", "affected", "removed")


def told_of_drift(
    config: TransformConfig, project: str, translator: TransformTranslator, now: datetime
) -> list[str]:
    """Lines for the log of a sensor.

    Args:
        config: Where graph files and the job group file are.
        project: Whose graph file was written anew.
        translator: How nodes are called in Dagster.
        now: Aware.
    """
    try:
        found = read_graph_file(config.graph_path(project), project)
        return [*_of_files(found), *_of_job_groups(config, translator, now)]
    except TransformError as error:
        return [str(error)]


def _of_files(found: GraphFile) -> Iterator[str]:
    said = []
    for kind in _KINDS:
        if names := getattr(found.drift, kind):
            more = f" and {len(names) - _NAMED} more" * (len(names) > _NAMED)
            said.append(f"{len(names)} {kind} ({', '.join(names[:_NAMED])}{more})")
    said += found.drift.other
    if said:
        yield (
            f"The files of project {found.project} here differ from environment "
            f"{found.environment}: {'; '.join(said)}. If they are older than the plan, deploy the "
            "newer ones; if they are newer, apply a plan."
        )


def _of_job_groups(
    config: TransformConfig, translator: TransformTranslator, now: datetime
) -> Iterator[str]:
    path = config.job_group_file
    if not path.exists():
        return
    graphs = [read_graph_file(config.graph_path(name), name).graph for name in config.projects]
    graph = Graph.combine(graphs)
    graph = keys_of(graph, translator).named(graph)
    loaded = load_job_groups(
        read_job_group_file(path),
        graph,
        job_group_settings(config, graph),
        now=now,
        left_out=not_in_environment(config, graph),
    )
    for problem in loaded.drift[:_NAMED]:
        yield str(problem)
    if len(loaded.drift) > _NAMED:
        more = len(loaded.drift) - _NAMED
        yield f"{more} more: run `dagster-transform job-groups check`."
