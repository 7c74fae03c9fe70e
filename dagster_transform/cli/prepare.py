"""From the files of a project to its graph file, and how these and the environment differ."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_transform import dbt, sqlmesh
from dagster_transform.config import DbtProject, SettingError, TransformConfig
from dagster_transform.errors import TransformError
from dagster_transform.graph import (
    Graph,
    GraphFile,
    GraphFileError,
    SourceFile,
    fingerprint,
    read_graph_file,
    why_stale,
    write_graph_file,
)

if TYPE_CHECKING:
    from dagster_transform.dagster.translation.translator import TransformTranslator


class TranslatorError(TransformError):
    """A translator of somebody's own can't be made."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            cause, remedy="Give --translator module:Class, a subclass of TransformTranslator."
        )


class ComponentTranslatorError(TransformError):
    """How a component calls nodes in Dagster can't be found out."""

    def __init__(self, config: TransformConfig, error: BaseException) -> None:
        while error.__cause__ is not None:  # Dagster's own say where in a project, and not what
            error = error.__cause__
        super().__init__(
            f"How assets are called is said by the component of {config.file}, and that can't be "
            f"loaded: {type(error).__name__}: {error}",
            remedy="`dg check defs` looks at it. Run the command where Dagster runs: in the "
            "environment in which the project of the file can be imported.",
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """A project's files, its environment and its graph file side by side.

    Attributes:
        files: What the files say now, with the drift between them and the environment.
        stale: Why the graph file does not fit the files, in words; None if it does.
    """

    files: GraphFile
    stale: str | None

    @property
    def equal(self) -> bool:
        """Whether all of them say the same."""
        return not self.files.drift and self.stale is None


def prepare_project(config: TransformConfig, name: str) -> GraphFile:
    """Read a project and write its graph file, whole or not at all. Packages that a dbt project
    declares are installed, and its artifacts kept for runs.

    Args:
        config: The configuration.
        name: The project's name.

    Returns:
        What was written.

    Raises:
        UnknownProjectError: There is no such project.
        TransformError: It can't be read; the graph file is what it was.
    """
    project = config.project(name)
    if isinstance(project, DbtProject):
        # Before the files are looked at, because dbt writes package-lock.yml among them.
        dbt.install_packages(name, project, artifacts=config.artifacts_path(name))
    # Taken before reading: a file that changes in between makes the graph file stale, not wrong.
    found = _read(config, name, fingerprint(config.root, project.paths), keep=True)
    write_graph_file(config.graph_target(name), found)
    return found


def compare_project(config: TransformConfig, name: str) -> Comparison:
    """Read a project and compare; nothing is written.

    Raises:
        UnknownProjectError: There is no such project.
        TransformError: It can't be read.
    """
    return Comparison(_read(config, name, {}, keep=False), _why_stale(config, name))


def find_unfit(
    config: TransformConfig, read: Mapping[str, Graph], translator: str | None = None
) -> Mapping[str, TransformError]:
    """Why Dagster can't show projects, by name; those that have not been read now are taken from
    their graph files, where there are such.

    Args:
        config: The configuration.
        read: Graphs of projects, as their files are now.
        translator: `module:Class` of a translator of one's own; None: there is none.

    Raises:
        TranslatorError: There is no such class.
        ComponentTranslatorError: What the component says of nodes is not known.
    """
    # Here, because Dagster takes a second to import, and not every command needs it.
    from dagster_transform.dagster.definitions.fitting import fit
    from dagster_transform.dagster.translation.specs import translate

    graphs = known_graphs(config, read)
    made = translator_named(config, translator)
    return fit(graphs, lambda graph: translate(graph, made)).errors


def known_graphs(config: TransformConfig, read: Mapping[str, Graph]) -> dict[str, Graph]:
    """The graph of each project, by name: those that were read, else of their graph files, where
    there are such."""
    graphs: dict[str, Graph] = {}
    for name in config.projects:
        if name in read:
            graphs[name] = read[name]
        else:
            with suppress(GraphFileError):
                graphs[name] = read_graph_file(config.graph_path(name), name).graph
    return graphs


def where_commands_are_typed(config: TransformConfig) -> list[Path]:
    """The folders in which `sqlmesh` and `dbt` are typed, beside those of their projects. Not the
    other projects' folders: what lies there is theirs."""
    return [config.root, Path.cwd()]


def translator_named(config: TransformConfig, name: str | None) -> TransformTranslator:
    """How nodes are called and look in Dagster.

    Args:
        config: The configuration.
        name: `module:Class` of a translator of one's own; None: the component's whose defs.yaml the
            configuration is, else ours.

    Raises:
        TranslatorError: There is no such class.
        ComponentTranslatorError: The component can't be loaded.
    """
    from dagster_transform.dagster.translation.translator import (
        TransformTranslator,
    )

    if name is None and config.translated_by_component:
        from dagster_transform.dagster.component.of_file import translator_of_file

        try:
            return translator_of_file(config)
        except (Exception, SystemExit) as error:
            raise ComponentTranslatorError(config, error) from error
    if name is None:
        return TransformTranslator(config.root)
    module, _, attribute = name.partition(":")
    try:
        sys.path.insert(0, os.getcwd())  # as Dagster's own commands look for modules
        try:
            kind = getattr(import_module(module), attribute)
        finally:
            sys.path.pop(0)
        found = kind(config.root)
    except Exception as error:
        raise TranslatorError(
            f"The translator {name} can't be made: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(found, TransformTranslator):
        raise TranslatorError(f"{name} is no subclass of TransformTranslator.")
    return found


def _read(
    config: TransformConfig, name: str, sources: Mapping[str, SourceFile], *, keep: bool
) -> GraphFile:
    project = config.project(name)
    try:
        if isinstance(project, DbtProject):
            artifacts = config.artifacts_path(name) if keep else None
            return dbt.read_project(
                name, project, root=config.root, artifacts=artifacts, sources=sources
            )
        paths = [str(path) for path in project.paths]
        return sqlmesh.read_project(name, project, paths, root=config.root, sources=sources)
    except SettingError as error:
        raise config.located(name, error) from None


def _why_stale(config: TransformConfig, name: str) -> str | None:
    path = config.graph_path(name)
    if not path.exists():
        return "does not exist"
    try:
        found = read_graph_file(path, name)
    except GraphFileError as error:
        return error.cause.removeprefix(f"The graph file {path} ").removesuffix(".")
    project = config.project(name)
    environment = None if isinstance(project, DbtProject) else project.environment
    settings = project.graph_settings()
    return why_stale(found, config.root, project.paths, environment, settings)
