"""What Dagster can show of a transform: the graph files as they are now, in Dagster's terms."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from dagster_transform.config import TransformConfig, load_config
from dagster_transform.dagster.definitions.fitting import fit
from dagster_transform.dagster.definitions.loading import Loaded, load_graphs
from dagster_transform.dagster.definitions.not_loaded import known_keys
from dagster_transform.dagster.execution.transform import Transform
from dagster_transform.dagster.translation.freshness import with_freshness
from dagster_transform.dagster.translation.not_there_yet import with_what_is_not_there_yet
from dagster_transform.dagster.translation.specs import Translation, translate
from dagster_transform.dagster.translation.translator import TransformTranslator
from dagster_transform.errors import TransformError
from dagster_transform.graph import Graph

if TYPE_CHECKING:
    from dagster_transform.dagster.jobs.job_groups import JobGroups
    from dagster_transform.dbt import SpareProcess
    from dagster_transform.runs.unreadable import Unreadable


@dataclass(frozen=True, slots=True)
class Shown:
    """What Dagster can show of a transform.

    Attributes:
        loaded: The graph files.
        made: The combined graph in Dagster's terms, each asset tagged with its job group.
        transform: What ops work with.
        errors: Why a project can't be shown, or only as it was, by its name.
        missing: Keys of nodes that can't be shown as what they are, as far as they are known, by
            project.
        groups: The job groups, where there is a file of them.
    """

    loaded: Loaded
    made: Translation
    transform: Transform
    errors: Mapping[str, TransformError]
    missing: Mapping[str, Collection[dg.AssetKey]]
    groups: JobGroups | None

    @property
    def config(self) -> TransformConfig:
        """The configuration."""
        return self.transform.config

    @property
    def not_there(self) -> set[dg.AssetKey]:
        """All keys of `missing`."""
        return {key for keys in self.missing.values() for key in keys}


def show(
    config: TransformConfig | str | Path | None,
    translator: TransformTranslator | None = None,
    spare: SpareProcess | None = None,
    *,
    refresh: bool | None = None,
) -> Shown:
    """What Dagster can show of a transform.

    Args:
        config: The configuration, its file or its folder; None: what `load_config` takes then.
        translator: How nodes look in Dagster.
        spare: A dbt process that was started early.
        refresh: Whether graph files that are missing or stale are made anew; None: under
            `dagster dev` and `dg`.

    Raises:
        ConfigError: The configuration is wrong, or the job group file.
    """
    if not isinstance(config, TransformConfig):
        config = load_config(config)
    chosen, called = config, translator or TransformTranslator(config.root)
    loaded = load_graphs(config, refresh=refresh)

    def as_shown(graph: Graph) -> Translation:
        made = with_freshness(translate(graph, called), graph, chosen)
        return with_what_is_not_there_yet(made, graph, chosen)

    found = fit(loaded.graphs, as_shown)
    errors = {**loaded.errors, **found.errors}
    shown = set(found.made.keys.nodes)
    missing: dict[str, list[dg.AssetKey]] = {}
    for project in sorted(errors.keys() - {node.project for node in found.graph.nodes.values()}):
        graph = loaded.graphs.get(project)
        nodes = loaded.left.get(project, ()) if graph is None else graph.nodes.values()
        missing[project] = [key for key in known_keys(nodes, called) if key not in shown]
        shown.update(missing[project])
    unreadable = _unreadable(loaded, errors)
    transform = Transform(found.graph, config, found.made.keys, called, spare, unreadable)
    groups = _job_groups(config, found.made, transform, missing)
    made = found.made if groups is None else groups.tagged(found.made)
    return Shown(loaded, made, transform, errors, missing, groups)


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
