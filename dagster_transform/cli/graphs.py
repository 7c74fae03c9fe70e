"""The graph of all projects as people see it: from graph files, nodes by their asset keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_transform.cli.prepare import translator_named
from dagster_transform.config import TransformConfig
from dagster_transform.errors import TransformError
from dagster_transform.graph import (
    Graph,
    GraphFile,
    GraphFileError,
    InputId,
    default_key,
    named_by_keys,
    read_graph_file,
    why_stale,
)

if TYPE_CHECKING:
    from dagster_transform.dagster.translation.translator import TransformTranslator

_SUFFIX = ".graph.json"


class NoGraphFilesError(TransformError):
    """A folder has no graph files."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known of the projects.

    Attributes:
        graph: The nodes of all projects, named as people call them.
        files: The graph files, by project.
    """

    graph: Graph
    files: Mapping[str, GraphFile]

    def stale(self, config: TransformConfig) -> Iterator[tuple[str, str]]:
        """The projects whose graph files do not fit their files any more, and why."""
        for name, found in self.files.items():
            project = config.project(name)
            environment = getattr(project, "environment", None)  # dbt has none
            settings = project.graph_settings()
            why = why_stale(found, config.root, project.paths, environment, settings)
            if why is not None:
                yield name, why


def prepared(config: TransformConfig, translator: str | None = None) -> Prepared:
    """The graph of all projects, from the graph files where `prepare` writes them.

    Args:
        config: The configuration.
        translator: `module:Class` of the translator that the definitions have; None: of none.

    Raises:
        GraphFileError: A graph file is missing, or can't be used.
        GraphError: The projects' graphs don't fit together.
        TranslatorError: There is no such translator.
    """
    files = {name: read_graph_file(config.graph_path(name), name) for name in config.projects}
    graph = named_as_shown(config, [file.graph for file in files.values()], translator)
    return Prepared(graph, files)


def prepared_as_far_as_possible(
    config: TransformConfig, translator: TransformTranslator
) -> tuple[Prepared, Mapping[str, TransformError]]:
    """The same, without the projects whose graph files can't be used.

    Args:
        config: The configuration.
        translator: The translator that the definitions have.

    Returns:
        What is known; and what is wrong, by project.

    Raises:
        GraphError: The projects' graphs don't fit together.
        TransformError: Two of their nodes have one asset key.
    """
    # Here, because Dagster takes a second to import.
    from dagster_transform.dagster.translation.keys import keys_of

    files: dict[str, GraphFile] = {}
    errors: dict[str, TransformError] = {}
    for name in config.projects:
        try:
            files[name] = read_graph_file(config.graph_path(name), name)
        except GraphFileError as error:
            errors[name] = error
    graph = Graph.combine(file.graph for file in files.values())
    return Prepared(keys_of(graph, translator).named(graph), files), errors


def prepared_elsewhere(
    config: TransformConfig, path: Path, translator: str | None = None
) -> Prepared:
    """The same of other graph files: those of a folder, or one in the place of its project's.

    Raises:
        GraphFileError: A graph file can't be used.
        NoGraphFilesError: There is none.
    """
    if path.is_dir():
        paths = sorted(path.glob(f"*{_SUFFIX}"))
        if not paths:
            raise NoGraphFilesError(
                f"{path} has no graph files (*{_SUFFIX}).",
                remedy="Run `dagster-transform prepare` there: they are in .dagster_transform.",
            )
        found = [read_graph_file(each) for each in paths]
        files = {each.project: each for each in found}
    else:
        other = read_graph_file(path)
        files = {
            name: read_graph_file(config.graph_path(name), name)
            for name in config.projects
            if name != other.project
        }
        files[other.project] = other
    graph = named_as_shown(config, [file.graph for file in files.values()], translator)
    return Prepared(graph, files)


def named_as_shown(
    config: TransformConfig, graphs: Iterable[Graph], translator: str | None = None
) -> Graph:
    """The combined graph, its nodes called by the asset keys that they have in Dagster.

    Args:
        config: The configuration; where it is the defs.yaml of a component, that may have changed
            keys.
        graphs: Of the projects.
        translator: `module:Class` of the translator that the definitions have; None: of none.

    Raises:
        GraphError: The graphs don't fit together.
        TransformError: The translator can't be made, or gives two nodes one key.
    """
    if translator is None and not config.translated_by_component:
        return _by_default(graphs)
    # Here, because Dagster takes a second to import.
    from dagster_transform.dagster.translation.keys import keys_of

    graph = Graph.combine(graphs)
    return keys_of(graph, translator_named(config, translator)).named(graph)


def _by_default(graphs: Iterable[Graph]) -> Graph:
    graph = Graph.combine(graphs)
    keys: dict[InputId, tuple[str, ...]] = {n.id: default_key(n) for n in graph.nodes.values()}
    keys.update((source.id, default_key(source)) for source in graph.sources.values())
    return named_by_keys(graph, keys)
